"""The runs of a project: a folder each, beside the project, or in the user's own if it must be."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import logging
import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import platformdirs

from graphstudio.nodes.types import Message
from graphstudio.services.projects import ProjectError
from graphstudio.training import files
from graphstudio.training.files import RunInfo

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """One run: its folder and what its ``run.json`` says."""

    path: Path
    info: RunInfo

    @property
    def weights(self) -> Path | None:
        """The trained weights, or None if the run left none."""
        path = self.path / files.WEIGHTS
        return path if path.is_file() else None


def runs_dir(project: Path | None) -> Path:
    """Folder of the runs that belong beside a project; of a project never saved, the user's own."""
    if project is None:
        state = platformdirs.user_state_dir("graphstudio", appauthor=False)
        return Path(state) / "runs" / "unsaved"
    return project.with_name(f"{project.stem}.runs")


def fallback_dir(project: Path) -> Path:
    """Where runs go when the project's folder is read-only, as that of an installed example."""
    where = hashlib.sha256(str(project.resolve()).encode()).hexdigest()[:8]
    data = Path(platformdirs.user_data_dir("graphstudio", appauthor=False))
    return data / "runs" / f"{project.stem}-{where}.runs"


def new_run(project: Path | None, *, out: Path | None = None, keep: Path | None = None) -> Path:
    """A new, empty run folder.

    Parameters
    ----------
    project : Path, optional
        The project's file; None for one that was never saved.
    out : Path, optional
        The folder to use instead. Results of an earlier run in it are replaced, nothing else.
    keep : Path, optional
        A file that the run needs, such as the weights that it begins with.

    Raises
    ------
    ProjectError
        If no folder can be made, or ``out`` holds ``keep`` or a run that is still going on.
    """
    try:
        if out is not None:
            return _reuse(out, keep)
        places = (
            [runs_dir(project)] if project is None else [runs_dir(project), fallback_dir(project)]
        )
        for place in places[:-1]:
            try:
                return _numbered(place)
            except OSError:
                continue
        return _numbered(places[-1])
    except OSError as error:
        raise ProjectError(
            [
                Message(
                    "a folder for the run cannot be made in {folder}: {reason}",
                    {"folder": str(error.filename), "reason": error.strerror or str(error)},
                )
            ]
        ) from error


def list_runs(project: Path | None) -> list[Run]:
    """The runs of a project, the latest first. A run whose process is gone counts as died."""
    places = [runs_dir(project)] if project is None else [runs_dir(project), fallback_dir(project)]
    found = []
    for place in places:
        for path in place.iterdir() if place.is_dir() else ():
            info = files.read_run(path)
            if info is not None:
                if info.status == "running" and not _alive(info.pid):
                    info = dataclasses.replace(info, status="died")
                found.append(Run(path, info))
    return sorted(found, key=lambda run: run.path.name, reverse=True)


def adopt_runs(runs: Iterable[Run], project: Path) -> None:
    """Copy runs of a project that had no file yet beside the file that it has now.

    One that is still going on stays where its process writes. What the disk does not take is left
    out and noted in the log: the project itself is saved by then.
    """
    for run in runs:
        place = runs_dir(project) / run.path.name
        if run.info.status == "running" or place.exists():
            continue
        try:
            shutil.copytree(run.path, place)
        except OSError as error:  # shutil.Error is one
            log.warning("the run %s cannot be copied to %s: %s", run.path, place, error)
            shutil.rmtree(place, ignore_errors=True)  # half a run is none


def latest_weights(project: Path | None) -> Path | None:
    """Weights of the latest run that left some, or None."""
    return next((run.weights for run in list_runs(project) if run.weights is not None), None)


def _numbered(place: Path) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for suffix in itertools.chain([""], (f"_{n}" for n in itertools.count(2))):
        path = place / f"{stamp}{suffix}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise AssertionError("the count never ends")


def _reuse(out: Path, keep: Path | None) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    ours = [out / name for name in files.ALL if (out / name).exists()]
    info = files.read_run(out)
    if info is not None and info.status == "running" and _alive(info.pid):
        raise ProjectError(
            [
                Message(
                    "a run is still going on in {folder}; name another folder",
                    {"folder": str(out)},
                )
            ]
        )
    if keep is not None and keep.resolve() in [path.resolve() for path in ours]:
        raise ProjectError(
            [
                Message(
                    "the results in {folder} would be replaced, and with them '{file}', which this "
                    "run begins with; name another folder",
                    {"folder": str(out), "file": keep.name},
                )
            ]
        )
    if ours and info is None:
        raise ProjectError(
            [
                Message(
                    "{folder} holds '{file}' but no run of graphstudio; name another folder",
                    {"folder": str(out), "file": ours[0].name},
                )
            ]
        )
    for path in ours:
        path.unlink()
    return out


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    if sys.platform == "win32":
        return True  # os.kill would end the process there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
