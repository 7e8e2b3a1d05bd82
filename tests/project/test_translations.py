"""Every text that a user can meet has its Chinese translation, and no translation is left over."""

from __future__ import annotations

import ast
import json
import string
from collections.abc import Iterator

import pytest

from graphstudio import i18n
from graphstudio.data import sources
from graphstudio.nodes.optimizers import optimizers
from graphstudio.nodes.spec import build, catalog, params_of
from graphstudio.resources import resource
from tests.project.source import ROOT, dotted, place, python_files, tree

OTHER_LANGUAGES = [name for name in i18n.LANGUAGES if name != "en"]


def literals(node: ast.expr, scope: ast.AST) -> list[str]:
    """The texts an expression can be; a local name stands for all that is assigned to it."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=a, orelse=b):
            return literals(a, scope) + literals(b, scope)
        case ast.Name(id=name):
            values = [
                n.value
                for n in ast.walk(scope)
                if isinstance(n, ast.Assign)
                and any(isinstance(t, ast.Name) and t.id == name for t in n.targets)
            ]
            return [text for value in values for text in literals(value, ast.Module([], []))]
        case _:
            return []


def calls() -> Iterator[tuple[str, ast.Call, str, ast.AST]]:
    """(place, call, name, enclosing function) of each ``tr``, ``Message`` and ``ShapeError``."""
    for path in python_files("graphstudio"):
        module = tree(path)
        functions = [n for n in ast.walk(module) if isinstance(n, ast.FunctionDef)]
        for node in ast.walk(module):
            if isinstance(node, ast.Call):
                name = dotted(node.func).rpartition(".")[2]
                if name in ("tr", "Message", "ShapeError"):
                    inside = [f for f in functions if f.lineno <= node.lineno <= f.end_lineno]
                    scope = max(inside, key=lambda f: f.lineno, default=module)
                    yield place(path, node), node, name, scope


def texts_in_code() -> dict[str, str]:
    """Text to the place where it stands."""
    found: dict[str, str] = {}
    for where, call, name, scope in calls():
        arguments = [k.value for k in call.keywords if k.arg in ("hint", "text", "template")]
        if name != "ShapeError":
            arguments += call.args[:1]
        for argument in arguments:
            for text in literals(argument, scope):
                found.setdefault(text, where)
    return found


def texts_of_catalogue() -> dict[str, str]:
    """Names and help of node types, their ports and parameters, of optimisers and data sources."""
    found: dict[str, str] = {}
    for cls in catalog().values():
        where = cls.__module__
        texts = [cls.label, cls.category, (cls.__doc__ or "").strip().splitlines()[0]]
        node, problems = build(cls, {})
        assert node is not None, problems
        texts += [port.label for port in (*node.input_ports(), *node.output_ports())]
        for spec in params_of(cls):
            texts += [spec.label, spec.doc]
        found |= dict.fromkeys(texts, where)
    for cls in optimizers().values():
        for spec in params_of(cls):
            found |= dict.fromkeys((spec.label, spec.doc), cls.__module__)
        found |= {cls.label: cls.__module__}
    for cls in sources().values():
        texts = [cls.label, (cls.__doc__ or "").strip().splitlines()[0]]
        texts += [text for spec in params_of(cls) for text in (spec.label, spec.doc)]
        found |= dict.fromkeys(texts, cls.__module__)
    return found


def places_of(text: str) -> set[str]:
    """Names of the ``{places}`` in a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    found = texts_of_catalogue() | texts_in_code()
    return {text: where for text, where in found.items() if text.strip()}


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_every_text_is_translated(language, texts):
    known = i18n.catalogue(language)
    missing = [f"{where}: {text!r}" for text, where in texts.items() if text not in known]
    assert not missing, f"{len(missing)} texts without translation:\n" + "\n".join(sorted(missing))


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_translations_keep_the_places(language):
    wrong = [
        f"{text!r} -> {translation!r}"
        for text, translation in i18n.catalogue(language).items()
        if places_of(text) != places_of(translation) or not translation.strip()
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_no_translation_is_left_over(language, texts):
    constants = {
        node.value
        for path in python_files("graphstudio")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    unused = sorted(i18n.catalogue(language).keys() - texts.keys() - constants)
    assert not unused, f"{len(unused)} translations of texts that nothing shows:\n" + "\n".join(
        map(repr, unused)
    )


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_files_do_not_contradict_each_other(language):
    first: dict[str, tuple[str, str]] = {}
    conflicts = []
    for path in sorted(resource("i18n", language).glob("*.json")):
        pairs = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)
        for text, translation in pairs:
            before, where = first.setdefault(text, (translation, path.name))
            if before != translation:
                conflicts.append(f"{text!r}: {before!r} in {where}, {translation!r} in {path.name}")
    assert not conflicts, "\n".join(conflicts)


def test_texts_are_literals():
    """A text put together by the program can have no translation."""
    composed = [
        f"{where}: {ast.unparse(call)[:100]}"
        for where, call, name, _ in calls()
        if name in ("tr", "Message") and call.args
        for argument in call.args[:1]
        if isinstance(argument, ast.JoinedStr | ast.BinOp | ast.Call)
    ]
    assert not composed, "\n".join(composed)


def test_places_have_their_arguments():
    """``Message("... {shape}", {"shape": x})``: each place named in the text has its value."""
    wrong = []
    filled_by_exporter = {  # each reason of an Unsupported is told the node and the framework
        id(argument)
        for path in python_files("graphstudio")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and dotted(node.func) == "Unsupported"
        for argument in node.args
    }
    for where, call, name, _ in calls():
        if (
            id(call) in filled_by_exporter
            or name != "Message"
            or not call.args
            or not isinstance(call.args[0], ast.Constant)
        ):
            continue
        needed = places_of(str(call.args[0].value))
        given = call.args[1] if len(call.args) > 1 else None
        given = next((k.value for k in call.keywords if k.arg == "args"), given)
        if given is None and needed:
            wrong.append(f"{where}: no values for {sorted(needed)}")
        elif isinstance(given, ast.Dict) and all(isinstance(k, ast.Constant) for k in given.keys):
            names = {k.value for k in given.keys if isinstance(k, ast.Constant)}
            if not needed <= names:
                wrong.append(f"{where}: no values for {sorted(needed - names)}")
    assert not wrong, "\n".join(wrong)


def test_catalogues_belong_to_known_languages():
    folders = {p.name for p in (ROOT / "resources" / "i18n").iterdir() if p.is_dir()}
    assert folders == set(OTHER_LANGUAGES)
