"""What the documents show is what the program does."""

from __future__ import annotations

import re

from graphstudio.document import format as project_format
from graphstudio.services.check import check
from tests.project.source import ROOT


def blocks(name: str, language: str) -> list[str]:
    """The fenced blocks of a document that are in this language."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_example_of_the_file_format_is_a_project_without_problems():
    (example,) = blocks("docs/file-format.md", "json")
    loaded = project_format.loads(example)
    assert not loaded.warnings
    assert not check(loaded.document).diagnostics


def test_the_example_of_the_file_format_is_as_it_would_be_saved():
    (example,) = blocks("docs/file-format.md", "json")
    assert project_format.dumps(project_format.loads(example).document) == example


def test_the_readme_shows_the_real_dense_node():
    (shown,) = blocks("README.md", "python")
    source = (ROOT / "graphstudio/nodes/catalog/dense.py").read_text(encoding="utf-8")
    lines = iter(source.splitlines())
    for line in shown.splitlines():
        if line.strip() and line.strip() != "...":
            assert line in lines, f"not in dense.py, or not in this order: {line!r}"


def test_the_readme_shows_a_picture_that_is_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    content = (ROOT / picture).read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = (int.from_bytes(content[i : i + 4], "big") for i in (16, 20))
    assert width >= 1000
    assert height >= 600
