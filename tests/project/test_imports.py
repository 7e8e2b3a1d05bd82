"""The layers hold, and importing the engine stays cheap."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib

import pytest

from tests.project.source import ROOT

HEAVY = ("PySide6", "torch", "tensorflow", "keras", "graphstudio", "networkx", "sklearn", "cupy")


def fresh_python(code: str) -> str:
    """What a new interpreter prints; it sees nothing that this test process has imported."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    return {name.partition(".")[0] for name in json.loads(fresh_python(code))}


def test_contracts_hold():
    script = os.path.join(os.path.dirname(sys.executable), "lint-imports")
    done = subprocess.run(
        [script, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def test_every_package_stands_in_a_layer():
    """A new package of graphstudio that no layer names would be free of every rule."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = config["tool"]["importlinter"]["contracts"][0]["layers"]
    named = {name.strip() for layer in layers for name in layer.split("|")}
    existing = {
        f"graphstudio.{p.stem}"
        for p in (ROOT / "graphstudio").iterdir()
        if (p.suffix == ".py" or (p / "__init__.py").exists()) and p.name != "__init__.py"
    }
    assert existing == named


def test_the_engine_imports_nothing_heavy():
    assert loaded_after("import engine").isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "statement",
    [
        "import graphstudio.document.format",
        "from graphstudio.nodes.spec import catalog; catalog()",
        "import graphstudio.ir.check",
        "import graphstudio.exporters",
    ],
)
def test_the_lower_layers_are_plain_python(statement):
    assert loaded_after(statement).isdisjoint({"engine", "numpy", "PySide6", "torch", "tensorflow"})


def test_the_window_needs_no_framework():
    loaded = loaded_after("import graphstudio.ui.main_window")
    assert loaded.isdisjoint({"torch", "tensorflow", "keras", "cupy"})


def test_the_command_line_needs_no_qt():
    assert loaded_after("import graphstudio.cli, graphstudio.__main__").isdisjoint(
        {"PySide6", "pyqtgraph", "torch", "tensorflow", "keras"}
    )
