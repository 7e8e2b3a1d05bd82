"""Weights of a run whose model has changed since are told from those that still belong to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine import checkpoint
from graphstudio.document import format as file_format
from graphstudio.document.model import Document, Node
from graphstudio.services.export import export_project, freeze, new_weights
from graphstudio.services.projects import open_project
from graphstudio.training import files
from graphstudio.training.files import RunInfo


@pytest.fixture
def document(root: Path) -> Document:
    return open_project(root / "projects" / "digits_mlp" / "digits_mlp.gsproj").document


@pytest.fixture
def weights(document: Document, tmp_path: Path) -> Path:
    """Of a run that trained the project as it is."""
    run = tmp_path / "2025-01-02_03-04-05"
    run.mkdir()
    files.write_run(run, RunInfo(status="completed"))
    file_format.save(document, run / files.PROJECT)
    arrays = {k: np.asarray(v) for k, v in new_weights(freeze(document)).items()}
    checkpoint.save(run / files.WEIGHTS, arrays)
    return run / files.WEIGHTS


def first(document: Document, type_id: str) -> Node:
    return next(n for n in document.main.nodes.values() if n.type == type_id)


def warnings(document: Document, weights: Path, tmp_path: Path) -> list[str]:
    report = export_project(document, "pytorch", tmp_path / "out", weights)
    return [str(w) for w in report.warnings]


def another_activation(document: Document) -> None:
    node = first(document, "act.relu")
    document.main.nodes[node.id] = dataclasses.replace(node, type="act.tanh", params={})


def a_bypassed_activation(document: Document) -> None:
    node = first(document, "act.relu")
    document.main.nodes[node.id] = dataclasses.replace(node, bypass=True)


@pytest.mark.parametrize("change", [another_activation, a_bypassed_activation])
def test_a_model_of_the_same_weights_but_other_numbers_is_told(
    change: Callable[[Document], None], document: Document, weights: Path, tmp_path: Path
) -> None:
    change(document)
    (warning,) = warnings(document, weights, tmp_path)
    assert "changed after the run '2025-01-02_03-04-05'" in warning


def test_an_unchanged_model_is_not_told(document: Document, weights: Path, tmp_path: Path) -> None:
    assert warnings(document, weights, tmp_path) == []


def test_what_changes_no_number_is_not_told(
    document: Document, weights: Path, tmp_path: Path
) -> None:
    node = first(document, "act.relu")
    moved = dataclasses.replace(node, label="bend", position=(7.0, -3.0), comment="here")
    document.main.nodes[node.id] = moved
    document.training = dataclasses.replace(document.training, batch_size=3)
    assert warnings(document, weights, tmp_path) == []


def test_weights_outside_a_run_are_not_doubted(
    document: Document, weights: Path, tmp_path: Path
) -> None:
    another_activation(document)
    (weights.parent / files.RUN).unlink()
    assert warnings(document, weights, tmp_path) == []


@pytest.mark.parametrize("text", ["", "{}", '{"format": 3}'])
def test_a_damaged_copy_of_the_project_says_nothing(
    text: str, document: Document, weights: Path, tmp_path: Path
) -> None:
    another_activation(document)
    (weights.parent / files.PROJECT).write_text(text)
    assert warnings(document, weights, tmp_path) == []
