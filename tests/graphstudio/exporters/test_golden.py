"""The exports of two examples, line by line, so that a change of style is seen in review.

``GRAPHSTUDIO_UPDATE_GOLDEN=1`` writes them anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from graphstudio.exporters import TARGETS
from graphstudio.services.export import freeze, preview
from graphstudio.services.projects import open_project

UPDATE = bool(os.environ.get("GRAPHSTUDIO_UPDATE_GOLDEN"))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("project", ["digits_mlp", "digits_cnn"])
def test_the_example_is_exported_as_before(project: str, target: str, root: Path) -> None:
    document = open_project(root / "projects" / project / f"{project}.gsproj").document
    files = preview(freeze(document, project), target).files
    golden = root / "tests" / "golden" / project / target
    if UPDATE:
        golden.mkdir(parents=True, exist_ok=True)
        for path in golden.iterdir():
            path.unlink()
        for name, text in files.items():
            (golden / f"{name}.txt").write_text(text, encoding="utf-8", newline="\n")
    found = {p.name.removesuffix(".txt"): p.read_text("utf-8") for p in golden.iterdir()}
    assert found == dict(files)
