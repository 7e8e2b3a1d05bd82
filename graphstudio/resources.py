"""Finds icons, themes, translations and example projects, in a checkout and in a wheel alike."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_dir(kind: str) -> Path:
    """Folder ``resources`` or ``projects``.

    In a wheel they lie inside the package (``graphstudio/_data/``), in a checkout beside it.

    Raises
    ------
    FileNotFoundError
        If neither exists: the installation is broken.
    """
    for candidate in (_PACKAGE / "_data" / kind, _PACKAGE.parent / kind):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(
        f"graphstudio's {kind!r} folder is missing beside {_PACKAGE}; the installation is "
        "incomplete, install it again"
    )


def resource(*parts: str) -> Path:
    """Path below ``resources/``, such as ``resource("icons", "nodes", "layer.dense.svg")``."""
    return data_dir("resources").joinpath(*parts)


def is_installed(path: Path) -> bool:
    """True for what lies inside the package: the next installation replaces it."""
    return path.resolve().is_relative_to(_PACKAGE)
