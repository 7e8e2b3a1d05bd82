"""Editing by hand in the real window: move, select, copy, undo, heal, themes and languages."""

from __future__ import annotations

import json

import pytest

from graphstudio.resources import data_dir
from tests.integration.desktop import Desktop, State, centre

pytestmark = [pytest.mark.window, pytest.mark.slow]


@pytest.fixture
def app(desktop, tmp_path) -> Desktop:
    """The digits MLP, as a copy that may be changed."""
    project = tmp_path / "digits.gsproj"
    source = data_dir("projects") / "digits_mlp" / "digits_mlp.gsproj"
    project.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    program = desktop(str(project))
    program.wait(lambda s: len(s["nodes"]) > 3, "the project")
    program.press("tool_view_fit_all")
    return program


def graph(state: State) -> dict:
    return state["document"]["graphs"]["main"]


def title(state: State, node_id: str) -> tuple[float, float]:
    """A point on the header of a node, clear of its ports."""
    x, y, width, _ = state["nodes"][node_id]["rect"]
    return x + width / 2, y + 8


def of_type(state: State, type_id: str) -> list[str]:
    return [node_id for node_id, node in state["nodes"].items() if node["type"] == type_id]


def test_a_dragged_node_moves_and_undo_puts_it_back(app):
    before = app.state()
    node = of_type(before, "layer.dense")[0]
    start = title(before, node)
    app.drag(start, (start[0] + 40, start[1] + 120))
    moved = app.wait(lambda s: graph(s) != graph(before), "the node to move")
    old, new = (graph(s)["nodes"][node]["position"] for s in (before, moved))
    assert new[1] > old[1]
    assert graph(moved)["wires"] == graph(before)["wires"]
    assert not moved["clean"]
    app.key("ctrl+z")
    undone = app.wait(lambda s: graph(s) == graph(before), "the undo")
    assert undone["clean"]
    app.key("ctrl+shift+z")
    app.wait(lambda s: graph(s) == graph(moved), "the redo")


def test_a_rubber_band_selects_and_delete_heals(app):
    state = app.state()
    (flatten,) = of_type(state, "shape.flatten")
    x, y, width, height = state["nodes"][flatten]["rect"]
    app.drag((x - 10, y - 20), (x + width + 6, y + height + 14))
    app.wait(lambda s: s["selection"] == [flatten], "the Flatten node to be selected")

    (source,) = (w["from"] for w in graph(state)["wires"] if w["to"][0] == flatten)
    followers = [w["to"] for w in graph(state)["wires"] if w["from"][0] == flatten]
    app.key("ctrl+Delete")
    healed = app.wait(lambda s: flatten not in s["nodes"], "the node to be gone")
    assert [w["from"] for w in graph(healed)["wires"] if w["to"] in followers] == [source]
    app.key("ctrl+z")
    app.wait(lambda s: graph(s) == graph(state), "everything to be back")


def test_copies_keep_their_inner_wires(app):
    state = app.state()
    app.click(centre(state["nodes"][of_type(state, "layer.dense")[0]]["rect"]))
    app.key("ctrl+a")
    app.wait(lambda s: len(s["selection"]) == len(s["nodes"]), "all to be selected")
    app.key("ctrl+c")
    app.key("ctrl+v")
    pasted = app.wait(lambda s: len(s["nodes"]) == 2 * len(state["nodes"]), "the copies")
    assert len(graph(pasted)["wires"]) == 2 * len(graph(state)["wires"])
    labels = [node["label"] for node in pasted["nodes"].values()]
    assert len(set(labels)) == len(labels)
    app.key("Delete")
    app.wait(lambda s: len(s["nodes"]) == len(state["nodes"]), "the copies to be gone")


def test_a_wrong_wire_is_refused_with_a_reason(app):
    """From a later layer back to an earlier one: a cycle, and nothing changes."""
    state = app.state()
    first, *_, last = of_type(state, "layer.dense")
    start = state["nodes"][last]["outputs"]["y"]
    end = state["nodes"][first]["inputs"]["x"]
    app.move(start)
    app.screen.xdo("mousedown", 1)
    for share in (0.25, 0.5, 0.75, 0.9, 1.0):
        app.move((start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share))
    app.pause(0.6)
    app.shot("refused")
    app.screen.xdo("mouseup", 1)
    app.pause(0.3)
    app.key("Escape")
    assert graph(app.state())["wires"] == graph(state)["wires"]


def test_theme_and_language_change_at_once(app):
    app.press("tool_view_toggle_theme")
    app.wait(lambda s: s["theme"] == "light", "the light theme")
    app.shot("light")
    app.press("statusLanguage")
    app.pause(0.4)
    state = app.state()
    if state["language"] == "en":  # a menu of languages opened
        entries = [m for m in state["menus"] if m["text"] == "中文"]
        app.click(centre(entries[0]["rect"]))
    state = app.wait(lambda s: s["language"] == "zh", "Chinese")
    app.pause(0.3)
    app.shot("chinese")
    shown = json.dumps(app.state()["widgets"], ensure_ascii=False)
    assert "Search nodes" not in shown
    assert "Learning rate" not in shown


def test_saved_work_opens_again(app, desktop, tmp_path):
    state = app.state()
    dense = of_type(state, "layer.dense")[0]
    app.click(title(state, dense))
    app.wait(lambda s: s["selection"] == [dense], "the node to be selected")
    app.fill("param_units", "48")
    app.wait(lambda s: graph(s)["nodes"][dense]["params"].get("units") == 48, "48 units")
    app.key("ctrl+s")
    saved = app.wait(lambda s: s["clean"], "the project to be saved")
    on_disk = json.loads((tmp_path / "digits.gsproj").read_text(encoding="utf-8"))
    assert on_disk["graphs"] == saved["document"]["graphs"]
    assert app.close() is not None
    again = desktop(str(tmp_path / "digits.gsproj"))
    reopened = again.wait(lambda s: len(s["nodes"]) > 3, "the project")
    assert reopened["document"] == saved["document"]
