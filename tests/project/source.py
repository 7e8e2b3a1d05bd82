"""The project's own source text, as the tests about the project read it."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@functools.cache
def tracked_files() -> tuple[Path, ...]:
    """Every file under version control, and those about to be: what a clone will hold.

    A source archive has no ``.git``; there every file counts.
    """
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode:
        found = (p for p in ROOT.rglob("*") if ".venv" not in p.parts and p.is_file())
    else:
        found = (ROOT / name for name in listing.stdout.split("\0") if name)
    return tuple(sorted(p for p in found if p.is_file()))


def python_files(*folders: str) -> list[Path]:
    """Python files below these folders of the checkout."""
    wanted = [ROOT / folder for folder in folders]
    return [
        p
        for p in tracked_files()
        if p.suffix == ".py" and any(folder in p.parents for folder in wanted)
    ]


@functools.cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def place(path: Path, node: ast.AST) -> str:
    """``graphstudio/ui/app.py:12``."""
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def dotted(node: ast.AST) -> str:
    """``np.load`` of the expression ``np.load``; empty if it is no plain dotted name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([node.id, *reversed(parts)])


def imports(module: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    """Every imported module's dotted name, imports inside functions included."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node, node.module or ""
            for alias in node.names:
                yield node, f"{node.module}.{alias.name}"
