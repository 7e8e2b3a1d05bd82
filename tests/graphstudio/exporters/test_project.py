"""Imports, the data module, requirements and names of an exported folder."""

from __future__ import annotations

import ast

import pytest

from graphstudio.exporters.project import (
    Files,
    class_name,
    data_module,
    requirements,
    snake_name,
    sorted_imports,
)
from graphstudio.exporters.writer import Writer

LOADER = '''"""Where the samples come from."""

import gzip
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris

LIMIT = 3


def load_data() -> dict[str, dict[str, np.ndarray]]:
    """All of them."""
    return {"train": {"x": load_iris().data}}
'''


def test_imports_are_in_sections_and_joined() -> None:
    lines = sorted_imports(
        [
            "import torch",
            "from model import Net",
            "import argparse",
            "from torch import nn",
            "import torch.nn.functional as F",
            "from layers import Dense",
            "from layers import he_normal, Conv2D",
            "from pathlib import Path",
        ]
    )
    assert lines == [
        "import argparse",
        "from pathlib import Path",
        "",
        "import torch",
        "import torch.nn.functional as F",
        "from torch import nn",
        "",
        "from layers import Conv2D, Dense, he_normal",
        "from model import Net",
    ]


def test_the_data_module_is_the_loader_with_the_targets_part_below() -> None:
    files, body = Files(), Writer()
    body.put("def make_loaders() -> None:")
    with body.indented():
        body.put("torch.tensor(load_data())")
    data_module(files, LOADER, {"import torch"}, body)
    text = files.texts["data.py"]
    tree = ast.parse(text)
    assert ast.get_docstring(tree) == "Where the samples come from."
    assert [n.name for n in tree.body if isinstance(n, ast.FunctionDef)] == [
        "load_data",
        "make_loaders",
    ]
    heads = [ast.unparse(n) for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    assert "import torch" in heads
    assert "from sklearn.datasets import load_iris" in heads
    assert text.count("LIMIT = 3") == 1


def test_requirements_name_distributions_and_no_standard_modules() -> None:
    text = requirements(LOADER, {"torch": ">=2.6", "numpy": ">=1.26"})
    assert text == "numpy>=1.26\nscikit-learn\ntorch>=2.6\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("digits cnn", "DigitsCnn"),
        ("digits_cnn", "DigitsCnn"),
        ("ResNet-18", "ResNet18"),
        ("3d", "Model3d"),
        ("数字", "Model"),
        ("", "Model"),
        ("none", "Model"),
        ("Exception", "ExceptionModel"),
        ("data loader", "DataLoaderModel"),
        ('"; import os', "ImportOs"),
    ],
)
def test_a_class_name_is_an_identifier_that_hides_nothing(text: str, expected: str) -> None:
    assert class_name(text) == expected


def test_a_class_name_avoids_what_the_script_brings_along() -> None:
    assert class_name("dense", ["Dense"]) == "DenseModel"


def test_a_class_name_in_small_letters() -> None:
    assert snake_name("DigitsCnn") == "digits_cnn"
