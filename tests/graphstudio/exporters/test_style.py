"""Exported code is formatted and clean by the tool that the reader is likely to use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graphstudio.exporters import TARGETS, export
from graphstudio.services.export import preview
from graphstudio.services.projects import open_project

PROJECTS = ("digits_mlp", "digits_cnn", "mnist_mlp", "mnist_cnn")

WIDE = (
    ("c", "layer.conv2d", {"filters": 6, "stride": [2, 1], "padding": "explicit",
                           "pads": [1, 2, 3, 0], "groups": 1, "use_bias": False}),
    ("n", "layer.batch_norm", {"momentum": 0.123, "epsilon": 0.001}),
    ("a", "act.leaky_relu", {"negative_slope": 0.3}),
    ("p", "layer.average_pool2d", {"padding": "explicit", "pads": [1, 0, 0, 1],
                                   "kernel_size": [3, 3], "count_include_pad": False}),
    ("g", "layer.conv2d", {"filters": 4, "groups": 2, "dilation": [2, 2]}),
    ("d", "layer.dropout", {"rate": 0.25}),
    ("f", "shape.flatten", {}),
    ("o", "layer.dense", {"units": 10}),
)  # fmt: skip


def ruff(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    # In the folder itself, so that its modules are known to be first-party.
    command = [sys.executable, "-m", "ruff", *args, "."]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def assert_clean(folder: Path) -> None:
    formatted = ruff(folder, "format", "--isolated", "--line-length=88", "--diff")
    assert formatted.returncode == 0, formatted.stdout + formatted.stderr
    checked = ruff(
        folder,
        "check",
        "--isolated",
        "--no-cache",
        "--line-length=88",
        "--select=E,F,W,I,B,UP,C4,SIM,PIE,N,RET",
        # zip of lists that are equally long by construction; RET504: `return x` ends the chain.
        "--ignore=B905,RET504,N812",
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("target", TARGETS)
def test_the_examples_are_exported_as_ruff_would_write_them(
    target: str, root: Path, tmp_path: Path
) -> None:
    for name in PROJECTS:
        document = open_project(root / "projects" / name / f"{name}.gsproj").document
        folder = tmp_path / name
        folder.mkdir()
        for file, text in preview(document, target).files.items():
            (folder / file).write_text(text, encoding="utf-8")
        assert_clean(folder)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("label", ["n", "a_node_with_a_long_name"])
def test_long_names_are_broken_as_ruff_would(
    target: str, label: str, graphs: Any, tmp_path: Path
) -> None:
    rows = [(f"{label}_{i}", type_id, params) for i, (_, type_id, params) in enumerate(WIDE)]
    graph = graphs.chain(*rows)
    for file, text in export(graph, target, data_loader=graphs.loader).files.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    assert_clean(tmp_path)
