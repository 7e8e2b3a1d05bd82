"""Settings come back with their types, and damage to the file costs no more than the settings."""

from __future__ import annotations

import json
from pathlib import Path

from graphstudio.ui import settings as s
from graphstudio.ui.settings import MAX_RECENT, Settings


def test_settings_survive_a_round_trip():
    saved = Settings(theme="light", language="zh", recent=["/a/b.gsproj"], layout_version=3)
    saved.save()
    assert Settings.load() == saved


def test_one_recent_project_stays_a_list():
    Settings(recent=["/a/b.gsproj"]).save()
    assert Settings.load().recent == ["/a/b.gsproj"]


def test_entries_of_a_wrong_type_fall_back_one_by_one():
    Settings().save()
    path = Settings.path()
    stored = json.loads(path.read_text())
    stored |= {"theme": 7, "recent": "x", "layout_version": "1", "language": "zh", "new": [1]}
    path.write_text(json.dumps(stored))
    loaded = Settings.load()
    assert (loaded.theme, loaded.recent, loaded.layout_version) == ("system", [], 0)
    assert loaded.language == "zh"


def test_unknown_names_fall_back():
    Settings(theme="purple", language="xx").save()
    loaded = Settings.load()
    assert (loaded.theme, loaded.language) == ("system", "")


def test_a_damaged_file_gives_the_defaults():
    path = Settings.path()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"{\xff not json")
    assert Settings.load() == Settings()


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRAPHSTUDIO_CONFIG_DIR", str(tmp_path / "file" / "below"))
    Settings().save()


def test_the_latest_project_comes_first_and_once():
    settings = Settings()
    for i in range(MAX_RECENT + 3):
        settings.remember_project(Path(f"/x/{i}.gsproj"))
    settings.remember_project(Path("/x/8.gsproj"))
    names = [Path(p).stem for p in settings.recent]
    assert names[0] == "8"
    assert len(names) == len(set(names)) == MAX_RECENT
    assert Path(settings.last_folder) == Path("/x").resolve()


def test_bytes_of_windows_survive_as_text():
    assert s.to_bytes(s.to_text(b"\x00\xff layout")) == b"\x00\xff layout"
    assert s.to_bytes("no base64!") == b""


def test_node_types_used_last_are_shared_and_kept(digits):
    digits.palette_panel.node_activated.emit("act.gelu")
    digits.canvas.open_search()
    assert digits.canvas.search.shown()[0] == "act.gelu"
    digits.canvas.search.close_box()
    digits.palette_panel.node_activated.emit("merge.add")
    assert digits.settings.recent_types == ["merge.add", "act.gelu"]
    digits.settings.save()
    assert Settings.load().recent_types == ["merge.add", "act.gelu"]
