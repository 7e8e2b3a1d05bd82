"""Nothing that a user has typed becomes code."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graphstudio.exporters import TARGETS, export

ATTACKS = (
    '"""',
    "'''",
    '\\"); __import__("os").system("x") #',
    "a\nimport os\nb",
    "{0.__class__}",
    "%s%n",
    "\\",
    "\u2028\u202e\x00",
    "\ud800",
    "None",
    "__init__",
    "f(x):\n  return",
)
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(ATTACKS),
    st.text(alphabet="\"'\\\n\r#{}();x ", max_size=20),
)


def graph_with(graphs: Any, labels: list[str], fields: tuple[str, str], name: str) -> Any:
    """A network whose every text is given."""
    rows = [
        ("0", "io.input", {"field": fields[0]}, []),
        ("1", "layer.conv2d", {"filters": 2}, ["0"]),
        ("2", "layer.batch_norm", {}, ["1"]),
        ("3", "shape.flatten", {}, ["2"]),
        ("4", "layer.dense", {"units": 10}, ["3"]),
        ("5", "io.target", {"field": fields[1]}, []),
        ("6", "loss.cross_entropy", {}, ["4", "5"]),
        ("7", "metric.accuracy", {}, ["4", "5"]),
    ]
    return graphs.graph(rows, name=name, labels=dict(zip("01234567", labels, strict=True)))


class Neutral(ast.NodeTransformer):
    """Takes out strings and what things are called, but not which of them are the same.

    Within a function a name is written as the number of its first appearance: a node's name that
    met one of the script's own would show.
    """

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.attributes: dict[str, str] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        outer, self.names = self.names, {}
        self.generic_visit(node)
        self.names = outer
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self.names.setdefault(node.id, f"name_{len(self.names)}"), node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        attribute = node.attr
        if isinstance(node.value, ast.Name) and node.value.id in ("self", "model"):
            attribute = self.attributes.setdefault(attribute, f"part_{len(self.attributes)}")
        self.generic_visit(node)
        return ast.Attribute(node.value, attribute, node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        self.generic_visit(node)
        node.arg = self.names.setdefault(node.arg, f"name_{len(self.names)}")
        return node

    def visit_alias(self, node: ast.alias) -> ast.AST:
        return ast.alias("", node.asname)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        node.name = ""
        return node


def trees(graph: Any, target: str, loader: str) -> dict[str, str]:
    exported = export(graph, target, data_loader=loader)
    found = {}
    for file, text in exported.files.items():
        assert text.isascii(), file
        if file.endswith(".py"):
            found[file] = ast.dump(Neutral().visit(ast.parse(text)))
    return found


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=60)
@given(
    labels=st.lists(TEXTS, min_size=8, max_size=8),
    fields=st.tuples(TEXTS, TEXTS).filter(lambda pair: pair[0] != pair[1]),
    name=TEXTS,
)
@example(labels=list(ATTACKS[:8]), fields=(ATTACKS[8], ATTACKS[2]), name=ATTACKS[2])
def test_only_strings_and_names_differ_from_a_plain_project(
    graphs: Any, target: str, labels: list[str], fields: tuple[str, str], name: str
) -> None:
    plain = [f"node_{i}" for i in range(8)]
    wanted = trees(graph_with(graphs, plain, ("a", "b"), "plain"), target, graphs.loader)
    found = trees(graph_with(graphs, labels, fields, name), target, graphs.loader)
    assert found == wanted
