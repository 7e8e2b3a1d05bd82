"""Opening a project never runs code: what could make it do so does not occur in the source."""

from __future__ import annotations

import ast

import pytest

from tests.project.source import ROOT, dotted, imports, place, python_files, tree

OURS = python_files("engine", "graphstudio", "benchmarks", ".ci")
SHIPPED = python_files("engine", "graphstudio")

FORBIDDEN_MODULES = {
    "pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml",
    "code", "codeop", "runpy",
}  # fmt: skip
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load", "np.load",
    "numpy.load", "pandas.read_pickle", "tempfile.mktemp",
}  # fmt: skip

# Who may do what is named here, so that a new place is a decision and not an accident.
STARTS_PROGRAMS = {
    "graphstudio/training/client.py",  # the training worker, for the command line
    "graphstudio/services/verify.py",  # the exported scripts, in a process of their own
}
IMPORTS_BY_NAME = {
    "graphstudio/nodes/catalog/__init__.py",  # walks its own package, never a name from a file
    "graphstudio/nodes/optimizers/__init__.py",
    "graphstudio/data/catalog/__init__.py",
    "graphstudio/services/verify.py",  # asks which frameworks are there
    "graphstudio/exporters/drivers/run.py",  # runs exported code, as a program of its own
    "engine/backend.py",  # asks whether CuPy is there
    "engine/native/__init__.py",  # asks whether llvmlite is there
}
BY_NAME = ("importlib.util", "importlib.import_module", "importlib.machinery", "pkgutil", "imp")
USES_THE_NETWORK = {
    "graphstudio/data/fetch.py",  # data sets, only when the user asks for them
}


def relative(path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_there_is_something_to_read():
    assert len(SHIPPED) > 50


def test_no_module_that_runs_what_it_reads():
    found = [
        f"{place(path, node)}: {name}"
        for path in OURS
        for node, name in imports(tree(path))
        if name.partition(".")[0] in FORBIDDEN_MODULES
    ]
    assert not found, "\n".join(found)


def test_no_call_that_runs_what_it_reads():
    found = [
        f"{place(path, node)}: {dotted(node.func)}"
        for path in OURS
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and dotted(node.func) in FORBIDDEN_CALLS
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("keyword", ["shell", "allow_pickle"])
def test_no_dangerous_switch_is_on(keyword):
    found = [
        place(path, node)
        for path in OURS
        for node in ast.walk(tree(path))
        if isinstance(node, ast.keyword)
        and node.arg == keyword
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    ]
    assert not found, "\n".join(found)


def only_in(allowed: set[str], *modules: str) -> list[str]:
    return [
        f"{place(path, node)}: {name}"
        for path in SHIPPED
        if relative(path) not in allowed
        for node, name in imports(tree(path))
        if any(name == m or name.startswith(f"{m}.") for m in modules)
    ]


def test_programs_are_started_only_where_named():
    found = only_in(STARTS_PROGRAMS, "subprocess", "multiprocessing", "pty")
    assert not found, "\n".join(found)


def test_modules_are_imported_by_name_only_where_named():
    found = only_in(IMPORTS_BY_NAME, *BY_NAME)
    assert not found, "\n".join(found)


def test_the_network_is_used_only_where_named():
    found = only_in(
        USES_THE_NETWORK,
        "socket",
        "urllib.request",
        "http",
        "ssl",
        "requests",
        "ftplib",
        "socketserver",
    )
    found += only_in(set(), "PySide6.QtNetwork", "PySide6.QtWebEngineCore")
    assert not found, "\n".join(found)


def test_named_places_exist_and_need_to_be_named():
    """A list of exceptions that nobody needs any more would let a later one slip in."""
    for allowed, modules in (
        (STARTS_PROGRAMS, ("subprocess", "multiprocessing", "pty")),
        (IMPORTS_BY_NAME, BY_NAME),
        (USES_THE_NETWORK, ("socket", "urllib.request", "http", "ssl")),
    ):
        used = {found.partition(":")[0] for found in only_in(set(), *modules)}
        assert allowed <= used, f"{sorted(allowed - used)} need no exception"


def test_text_from_files_is_never_html():
    """Qt guesses rich text; a label that starts with a tag would be drawn as one."""
    found = [
        place(path, node)
        for path in python_files("graphstudio/ui")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in ("RichText", "MarkdownText", "setHtml")
    ]
    assert not found, "\n".join(found)
