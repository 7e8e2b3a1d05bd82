"""The files of an exported folder: modules put together from imports, text and marked lines."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from graphstudio.exporters.base import Emission
from graphstudio.exporters.judging import loss_weights
from graphstudio.exporters.values import Feed
from graphstudio.exporters.writer import WIDTH, Bracket, Tree, Writer, literal
from graphstudio.ir.graph import Graph
from graphstudio.nodes.emit import Snippet
from graphstudio.nodes.types import Message

LOCAL_MODULES = ("data", "layers", "losses", "model", "optimizers", "train", "weights")
"""Modules of an exported folder, sorted after all others."""

# Distribution of an import, where it is not called the same.
_DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "Pillow"}


@dataclass(frozen=True)
class ExportedProject:
    """The text files of an export, by name, and which lines belong to which node."""

    target: str
    files: Mapping[str, str]
    warnings: tuple[Message, ...] = ()
    line_map: Mapping[str, list[tuple[str, int, int]]] = field(default_factory=dict)
    """Node id to (file, first line, last line); lines start at 1."""
    outputs: Mapping[str, bool] = field(default_factory=dict)
    """Names of the model's outputs, in order, and whether their channels lie last."""
    inputs: tuple[str, ...] = ()
    """Names of what the model reads, in order."""


def finished(emission: Emission, files: Files) -> ExportedProject:
    """The export of an emission, all files being there."""
    graph = emission.graph
    return ExportedProject(
        emission.target,
        files.texts,
        (),
        files.line_map,
        {graph.by_id[i].name: v.layout.order is not None for i, v in emission.outputs.items()},
        tuple(n.name for n in emission.model_inputs),
    )


class Files:
    """Collects the files of an export."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.line_map: dict[str, list[tuple[str, int, int]]] = {}

    def module(self, name: str, docstring: str, imports: Iterable[str], body: Writer) -> None:
        """Add a module: docstring, sorted imports, then the body."""
        head = (
            [f'"""{docstring}"""', ""] if "\n" not in docstring else [f'"""{docstring}', '"""', ""]
        )
        head += sorted_imports(imports)
        starts_block = re.match(r"(class|def|@|async def)", body.lines[0]) if body.lines else None
        head += ["", ""] if starts_block else [""]
        text = "\n".join([*head, str(body)])
        offset = len(head)
        for node, spans in body.spans.items():
            places = self.line_map.setdefault(node, [])
            places += [(name, first + offset, last + offset) for first, last in spans]
        self.texts[name] = text

    def text(self, name: str, text: str) -> None:
        self.texts[name] = text.strip("\n") + "\n"


def sorted_imports(statements: Iterable[str]) -> list[str]:
    """Import lines in the order that isort gives them, joined where they name one module."""
    plain: dict[str, str] = {}
    members: dict[str, set[str]] = {}
    for statement in statements:
        if statement.startswith("from "):
            module, names = statement[5:].split(" import ")
            members.setdefault(module, set()).update(n.strip() for n in names.split(","))
        else:
            plain[statement] = statement[7:]
    sections: list[list[str]] = [[], [], []]
    for statement, module in sorted(plain.items(), key=lambda item: item[1].lower()):
        sections[_section(module)].append(statement)
    for module, wanted in sorted(members.items(), key=lambda item: item[0].lower()):
        listing = sorted(wanted, key=_member_key)
        line = f"from {module} import {', '.join(listing)}"
        if len(line) > WIDTH:
            listed = [f"    {n}," for n in listing]
            sections[_section(module)] += [f"from {module} import (", *listed, ")"]
        else:
            sections[_section(module)].append(line)
    lines: list[str] = []
    for section in sections:
        if section:
            lines += ([""] if lines else []) + section
    return lines


def _section(module: str) -> int:
    top = module.split(" ")[0].split(".")[0]
    return 0 if top in sys.stdlib_module_names else 2 if top in LOCAL_MODULES else 1


def _member_key(name: str) -> tuple[int, str]:
    """Constants, classes, then functions, as isort orders them."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, name.lower()


def data_module(files: Files, loader: str, imports: Iterable[str], body: Writer) -> None:
    """Add ``data.py``: the data source's own loader, then the target's part.

    Parameters
    ----------
    loader : str
        A complete module that defines ``load_data``.
    """
    tree = ast.parse(loader)
    lines = loader.split("\n")
    docstring = ast.get_docstring(tree, clean=False) or "The samples of the project."
    statements, last = set(imports), 0
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            statements.add(ast.unparse(node))
            last = node.end_lineno or 0
        elif isinstance(node, ast.Expr) and node.lineno == 1:
            last = node.end_lineno or 0
        else:
            break
    whole = Writer()
    whole.text("\n".join(lines[last:]))
    while whole.lines and not whole.lines[-1]:
        whole.lines.pop()
    whole.blank(2)
    whole.text(str(body))
    files.module("data.py", docstring, statements, whole)


def requirements(loader: str, own: Mapping[str, str]) -> str:
    """The text of ``requirements.txt``: the target's own, then what the data loader imports."""
    wanted = dict(own)
    for node in ast.walk(ast.parse(loader)):
        names = (
            [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        for name in names:
            top = name.split(".")[0]
            if top and top not in sys.stdlib_module_names:
                wanted.setdefault(_DISTRIBUTIONS.get(top, top), "")
    return "".join(f"{name}{version}\n" for name, version in sorted(wanted.items()))


def class_name(text: str, taken: Iterable[str] = ()) -> str:
    """A class name in ASCII that the text suggests: ``digits cnn`` gives ``DigitsCnn``."""
    words = re.findall(r"[A-Za-z0-9]+", text)
    name = "".join(w[0].upper() + w[1:] for w in words)[:60]
    if not name or not name[0].isalpha() or keyword.iskeyword(name):
        name = "Model" if not name or keyword.iskeyword(name) else f"Model{name}"
    clashes = {*taken, *dir(builtins), "Path", "DataLoader", "TensorDataset", "Means"}
    return f"{name}Model" if name in clashes else name


def snake_name(text: str) -> str:
    """The name of a class as a function or a model has it: ``DigitsCnn`` gives ``digits_cnn``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower()


def weights_module(
    files: Files,
    emission: Emission,
    variable: str,
    imports: Iterable[str],
    *,
    model: str,
    variable_type: str,
) -> None:
    """Add ``weights.py``: reads and writes the weights file, in PyTorch's names and layouts.

    Parameters
    ----------
    variable : str
        Expression for the variable of ``model`` that ``entry`` names.
    model, variable_type : str
        Types of the model and of a variable, for the annotations.
    """
    bindings = [b for layer in emission.layers for b in layer.bindings]
    body = Writer()
    body.text(_ENTRY)
    body.blank(2)
    body.put("WEIGHTS = {")
    with body.indented():
        for b in bindings:
            named = {}
            if b.axes and b.axes != tuple(range(len(b.axes))):
                named["axes"] = literal(b.axes)
            if b.split and b.split != b.shape:
                named["split"] = literal(b.split)
            items: list[Tree] = [literal(v) for v in (b.layer, b.variable, b.shape)]
            items += [f"{k}={v}" for k, v in named.items()]
            body.put((f"{literal(b.stored)}: Entry", Bracket("(", tuple(items), ")"), ","))
    body.put("}")
    body.lines[-1] = "}"
    body.blank(2)
    functions = _WEIGHT_FUNCTIONS.replace("VARIABLE_TYPE", variable_type)
    body.text(functions.replace("VARIABLE", variable).replace("MODEL", model))
    wanted = {
        "from pathlib import Path",
        "from typing import NamedTuple",
        "import numpy as np",
        "from safetensors.numpy import load_file, save_file",
        *imports,
    }
    files.module(
        "weights.py",
        "Reads and writes the weights file, which has PyTorch's names and layouts.",
        wanted,
        body,
    )


_ENTRY = '''
class Entry(NamedTuple):
    """Where an array of the file lives in the model.

    The array is read as ``split`` (as it is, if empty), its axes are put in the order
    ``axes``, and the result takes the shape of the variable.
    """

    layer: str
    variable: str
    shape: tuple[int, ...]
    axes: tuple[int, ...] = ()
    split: tuple[int, ...] = ()
'''

_WEIGHT_FUNCTIONS = '''
def load_weights(model: MODEL, path: str | Path) -> None:
    """Fill the model from a weights file; names and shapes must agree exactly."""
    arrays = load_file(path)
    if arrays.keys() != WEIGHTS.keys():
        missing = sorted(WEIGHTS.keys() - arrays.keys())
        extra = sorted(arrays.keys() - WEIGHTS.keys())
        raise ValueError(f"{path}: missing {missing}, not expected {extra}")
    for name, entry in WEIGHTS.items():
        array = arrays[name]
        if array.shape != entry.shape:
            raise ValueError(f"{path}: {name} is {array.shape}, not {entry.shape}")
        variable = find_variable(model, entry)
        variable.assign(to_model(array, entry).reshape(variable.shape))


def save_weights(model: MODEL, path: str | Path) -> None:
    """Write the model's weights so that every framework's script can read them."""
    arrays = {}
    for name, entry in WEIGHTS.items():
        arrays[name] = to_file(find_variable(model, entry).numpy(), entry)
    save_file(arrays, path)


def to_model(array: np.ndarray, entry: Entry) -> np.ndarray:
    """An array of the file with its axes as the model has them."""
    array = array.reshape(entry.split or array.shape)
    return array.transpose(entry.axes) if entry.axes else array


def to_file(array: np.ndarray, entry: Entry) -> np.ndarray:
    """The inverse of ``to_model``, for a variable's array or its gradient."""
    if entry.axes:
        split = entry.split or entry.shape
        array = array.reshape([split[axis] for axis in entry.axes])
        array = array.transpose(np.argsort(entry.axes))
    return np.ascontiguousarray(array.reshape(entry.shape))


def find_variable(model: MODEL, entry: Entry) -> VARIABLE_TYPE:
    """The variable that an entry names."""
    return VARIABLE
'''


def feed_array(feed: Feed) -> str:
    """The code of one array of a split, with its axes as the target has them."""
    array = f"arrays[{literal(feed.field)}]"
    return array if feed.layout.order is None else f"np.moveaxis({array}, 1, -1)"


def feed_arrays(emission: Emission) -> Tree:
    """The code of all arrays of a split, as a tuple."""
    items = tuple(feed_array(f) for f in emission.feeds)
    return Bracket("(", items, ")", single=len(items) == 1)


def snippets_module(files: Files, name: str, docstring: str, snippets: Iterable[Snippet]) -> None:
    """Add a module of classes and functions that an export brings along."""
    body = Writer()
    imports: set[str] = set()
    written: set[str] = set()

    def write(snippet: Snippet) -> None:
        if snippet.name in written:
            return
        written.add(snippet.name)
        for used in snippet.uses:
            write(used)
        if body.lines:
            body.blank(2)
        body.text(snippet.source)
        imports.update(snippet.imports)

    for snippet in sorted(snippets, key=lambda s: s.name[0].isupper()):
        write(snippet)
    files.module(name, docstring, imports, body)


def frozen_nodes(graph: Graph) -> tuple[str, ...]:
    """Names of the nodes with weights that do not move: frozen ones, and those no loss depends on.

    The latter have no gradient. Left to an optimizer, weight decay would move them all the same,
    and Keras would warn of them.
    """
    moved: set[str] = set()
    waiting = list(loss_weights(graph))
    while waiting:
        node = waiting.pop()
        if node not in moved:
            moved.add(node)
            waiting += [s.node for s in graph.by_id[node].inputs if s is not None]
    moved -= set(graph.training.phases[0].frozen)
    return tuple(n.name for n in graph.nodes if n.id not in moved)
