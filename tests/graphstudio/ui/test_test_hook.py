"""The hook for scripts is off by default and tells the truth when it is on."""

from __future__ import annotations

import json

from graphstudio.ui import test_hook


def test_it_is_off_by_default(window, monkeypatch):
    monkeypatch.delenv(test_hook.VARIABLE, raising=False)
    assert test_hook.install(window) is None


def test_it_answers_with_what_is_on_the_screen(digits, qtbot, monkeypatch, tmp_path):
    monkeypatch.setenv(test_hook.VARIABLE, str(tmp_path))
    assert test_hook.install(digits) is not None
    qtbot.wait(60)
    (tmp_path / "ask").write_text("nonce 7")
    answer = tmp_path / "answer.json"
    qtbot.waitUntil(answer.exists)
    told = json.loads(answer.read_text())
    assert told["nonce"] == "nonce 7"
    assert not (tmp_path / "ask").exists()
    assert told["document"]["format"] >= 1
    assert set(told["nodes"]) == set(digits.project.document.main.nodes)
    for node in told["nodes"].values():
        x, y, w, h = node["rect"]
        assert w > 0
        assert h > 0
        for port in node["inputs"].values():
            assert abs(port[0] - x) <= 8, "inputs are on the left edge"
            assert y <= port[1] <= y + h
        for port in node["outputs"].values():
            assert abs(port[0] - x - w) <= 8, "outputs are on the right edge"
    assert told["widgets"]["graph-view"]["visible"]
    assert told["widgets"]["train_button"]["enabled"]
    assert told["training"]["state"] == "idle"
    assert (told["theme"], told["language"]) == ("dark", "en")
