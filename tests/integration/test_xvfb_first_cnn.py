"""A newcomer's first hour: from an empty canvas to a script that runs in PyTorch.

Every change is made by mouse and keyboard in the real window. The pictures of each stage lie in
the test's folder, for a person to look at.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.desktop import Desktop, Point, State, centre

pytestmark = [pytest.mark.window, pytest.mark.slow, pytest.mark.torch]


def by_label(state: State) -> dict[str, dict]:
    return {node["label"]: node for node in state["nodes"].values()}


def wired(state: State) -> set[tuple[str, str, str]]:
    """(label of the source, label of the target, target port) of each wire."""
    graph = state["document"]["graphs"]["main"]
    label = {node_id: node["label"] for node_id, node in graph["nodes"].items()}
    return {(label[w["from"][0]], label[w["to"][0]], w["to"][1]) for w in graph["wires"]}


def beside(point: Point, dx: float, dy: float = 0) -> Point:
    return point[0] + dx, point[1] + dy


def choose_data(app: Desktop) -> None:
    app.press("param_source")
    app.type("Hand")
    app.key("Return")
    app.wait(lambda s: s["document"]["data"]["source"] == "digits", "the digits to be chosen")


def add_searching(app: Desktop, text: str, label: str, *, enter: str = "Return") -> None:
    """Type into the search box that is open, and wait for the node."""
    app.wait(lambda s: s["focus"] == "canvas-search-line", "the search box")
    app.type(text)
    app.key(enter)
    app.wait(lambda s: label in by_label(s), f"the node {label!r}")


def draw_layers(app: Desktop) -> None:
    """Input from the palette, then by double-click, by a wire dropped on nothing, and by Tab."""
    canvas = app.state()["widgets"]["graph-view"]["rect"]
    row = app.row("palette-tree", "Input")
    app.drag(row, (canvas[0] + 110, canvas[1] + 160))
    app.wait(lambda s: "Input" in by_label(s), "the Input node")

    app.click((canvas[0] + 330, canvas[1] + 160), times=2)
    add_searching(app, "c2", "Conv2D")
    nodes = by_label(app.state())
    app.drag(nodes["Input"]["outputs"]["y"], nodes["Conv2D"]["inputs"]["x"])
    app.wait(lambda s: ("Input", "Conv2D", "x") in wired(s), "the first wire")

    output = by_label(app.state())["Conv2D"]["outputs"]["y"]
    app.drag(output, beside(output, 90))
    add_searching(app, "relu", "ReLU")
    assert ("Conv2D", "ReLU", "x") in wired(app.state()), "a dropped wire joins the new node"

    app.key("Tab")
    add_searching(app, "mp", "MaxPool2D", enter="shift+Return")
    assert ("ReLU", "MaxPool2D", "x") in wired(app.state()), "Shift+Enter goes on from the selected"


def make_and_mend_a_mistake(app: Desktop) -> None:
    """An image into a Dense node: refused by name, mended by one click."""
    app.key("Tab")
    add_searching(app, "dense", "Dense", enter="shift+Return")
    app.press("tool_view_fit_all")
    state = app.wait(lambda s: by_label(s)["Dense"]["rect"][0] < 1200, "everything to be in view")
    nodes = by_label(state)
    if ("MaxPool2D", "Dense", "x") not in wired(state):
        app.drag(nodes["MaxPool2D"]["outputs"]["y"], nodes["Dense"]["inputs"]["x"])
    state = app.wait(
        lambda s: s["problems"] and "Dense" in s["problems"][0]["message"], "the error"
    )
    assert "(N, 32, 4, 4)" in state["problems"][0]["message"]
    assert state["problems"][0]["fixes"] == ["Insert Flatten"]
    app.shot("2-mistake")
    app.press_text("Insert Flatten")
    state = app.wait(lambda s: "Flatten" in by_label(s), "the Flatten node")
    assert {("MaxPool2D", "Flatten", "x"), ("Flatten", "Dense", "x")} <= wired(state)
    assert not [p for p in state["problems"] if "Dense" in p["message"]]


def add_loss(app: Desktop) -> None:
    """CrossEntropy, its target, and the number of classes that the checker asks for."""
    app.press("tool_view_fit_all")
    app.click(centre(by_label(app.state())["Dense"]["rect"]))
    app.key("Tab")
    add_searching(app, "cross", "CrossEntropy", enter="shift+Return")
    assert ("Dense", "CrossEntropy", "prediction") in wired(app.state())
    app.press("tool_view_fit_all")
    app.wait(lambda s: by_label(s)["CrossEntropy"]["rect"][0] < 1200, "the loss to be in view")
    port = by_label(app.state())["CrossEntropy"]["inputs"]["target"]
    app.drag(port, beside(port, -60, 80))
    add_searching(app, "target", "Target")
    state = app.wait(lambda s: s["problems"], "the wrong number of classes to be found")
    assert state["problems"][0]["fixes"] == ["Set the size of the last layer to 10"]
    app.press("statusProblems")
    app.press_text("Set the size of the last layer to 10")
    app.wait(lambda s: not s["problems"], "no problem to be left")


def train(app: Desktop) -> State:
    """Start, pause, resume, stop when it has learnt; the state when it has ended."""
    app.key("F5")
    app.wait(lambda s: s["training"]["state"] == "running", "the training to run", timeout_s=60)
    app.press("pause_button")
    paused = app.wait(lambda s: s["training"]["state"] == "paused", "the pause")
    app.shot("4-paused")
    again = app.state()
    assert again["training"].get("epoch") == paused["training"].get("epoch"), "a pause stands still"
    app.press("pause_button")
    app.wait(lambda s: s["training"]["state"] == "running", "it to go on")
    app.wait(lambda s: (s["training"].get("epoch") or 0) >= 15, "15 epochs", timeout_s=120)
    app.press("stop_button")
    return app.wait(lambda s: s["training"]["state"] == "idle", "the end", timeout_s=60)


def export(app: Desktop, folder: Path) -> None:
    """PyTorch, through the dialog, into a folder of our choice."""
    app.press("tool_file_export")
    app.wait(lambda s: s["modal"], "the export dialog")
    for target in ("tensorflow", "keras"):
        if app.state()["widgets"][f"target_{target}"]["checked"]:
            app.press(f"target_{target}")
    app.fill("exportFolder", str(folder))
    app.shot("6-export")
    app.press("exportRun")
    app.wait(lambda _: list(folder.rglob("train.py")), "the exported files", timeout_s=60)
    app.wait(lambda s: s["widgets"]["exportRun"]["enabled"], "the export to end", timeout_s=60)
    app.shot("7-exported")
    app.key("Escape")


def test_from_an_empty_canvas_to_a_pytorch_script(desktop, tmp_path):
    app = desktop()
    app.shot("0-start")
    app.press("startNew")
    app.wait(lambda s: s["focus"] == "graph-view", "the empty canvas")

    choose_data(app)
    draw_layers(app)
    app.shot("1-layers")
    make_and_mend_a_mistake(app)
    add_loss(app)
    app.shot("3-complete")

    project = tmp_path / "first.gsproj"
    app.key("ctrl+s")
    app.wait(lambda s: s["modal"], "the save dialog")
    app.type(str(project))
    app.key("Return")
    state = app.wait(lambda s: s["path"] and s["clean"], "the project to be saved")
    assert Path(state["path"]) == project

    # So many that it cannot end before the pause, however fast the machine.
    app.fill("epochs_field", "5000", leave="Return")
    trained = train(app)
    assert trained["training"]["history"]["train"]["loss"] < 0.5
    (run,) = (tmp_path / "first.runs").glob("*/run.json")
    evaluation = json.loads((run.parent / "evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["values"]["loss"] < 0.5
    assert (run.parent / "weights.safetensors").stat().st_size > 10_000

    app.click(app.row("dashboardTabs", "Confusion matrix"))
    app.shot("5-confusion")
    app.press("tool_view_toggle_theme")
    app.wait(lambda s: s["theme"] == "light", "the light theme")
    app.shot("5-confusion-light")

    code = tmp_path / "code"
    code.mkdir()
    export(app, code)
    (script,) = code.rglob("train.py")
    ran = subprocess.run(
        [sys.executable, "-W", "error", script.name, "--epochs", "1"],
        cwd=script.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Something went wrong" not in json.dumps(app.state()["widgets"])
