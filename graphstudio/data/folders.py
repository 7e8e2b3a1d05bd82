"""Where data sets lie on this machine: the user's choice, kept outside every project.

A project names folders only relative to itself, so that opening a foreign project never makes
graphstudio read elsewhere. Folders anywhere else are named by the user, once a machine.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path, PurePosixPath, PureWindowsPath

import platformdirs

from graphstudio.data.source import DataError
from graphstudio.nodes.types import Message


def default_folder(kind: str) -> Path:
    """Where a fetched data set goes unless the user says otherwise."""
    return Path(platformdirs.user_data_dir("graphstudio", appauthor=False)) / "data" / kind


def named_folder(kind: str) -> Path | None:
    """The folder that the user named for this data set, or None."""
    try:
        known = json.loads(_settings_file().read_text(encoding="utf-8"))
        folder = known["folders"][kind]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return Path(folder) if isinstance(folder, str) and folder else None


def name_folder(kind: str, folder: Path) -> None:
    """Remember that this data set lies in ``folder``; raises OSError if that cannot be written."""
    path = _settings_file()
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        known = {}
    if not isinstance(known, dict) or not isinstance(known.get("folders", {}), dict):
        known = {}
    known["folders"] = known.get("folders", {}) | {kind: str(folder.resolve())}
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".data-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(known, file, indent=2, sort_keys=True)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def candidates(kind: str, option: str, project_dir: Path | None) -> list[Path]:
    """Folders in which to look, in order: the project's, the user's, the default one.

    Raises
    ------
    DataError
        If ``option``, which comes from the project, leads out of the project's folder.
    """
    found = []
    if option:
        problem = outside_problem(option)
        if problem is not None:
            raise DataError(
                problem,
                Message(
                    "Name a folder outside of the project with: graphstudio data use {kind} DIR",
                    {"kind": kind},
                ),
            )
        if project_dir is not None:
            found.append(project_dir.resolve() / PurePosixPath(option))
    named = named_folder(kind)
    if named is not None:
        found.append(named)
    return [*found, default_folder(kind)]


def outside_problem(option: str) -> Message | None:
    """Why a folder that a project names is not inside it, or None."""
    parts = PurePosixPath(option.replace("\\", "/")).parts
    if (
        "\0" in option
        or option.startswith(("/", "\\", "~"))
        or PureWindowsPath(option).drive
        or ".." in parts
    ):
        return Message(
            "a project names folders relative to itself, and '{folder}' leads out of it",
            {"folder": option[:200]},
        )
    return None


def _settings_file() -> Path:
    return Path(platformdirs.user_config_dir("graphstudio", appauthor=False)) / "data.json"
