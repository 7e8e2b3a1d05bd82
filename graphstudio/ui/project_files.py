"""New, open, save, close: what happens between the window and the disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from graphstudio.document.model import Document
from graphstudio.document.versions import Version
from graphstudio.i18n import sentence, tr
from graphstudio.nodes.types import Message
from graphstudio.resources import is_installed
from graphstudio.services import projects
from graphstudio.services.projects import SUFFIX, OpenedProject, ProjectError
from graphstudio.services.runs import adopt_runs
from graphstudio.ui.project import Project
from graphstudio.ui.project_runs import runs_of
from graphstudio.ui.settings import Settings


@dataclass(frozen=True)
class Stamp:
    """What tells one version of a file from another."""

    mtime_ns: int
    size: int

    @classmethod
    def of(cls, path: Path) -> Stamp | None:
        """Stamp of the file as it is now; None if it is not there."""
        try:
            stat = path.stat()
        except OSError:
            return None
        return cls(stat.st_mtime_ns, stat.st_size)


class ProjectFiles(QObject):
    """Owns the open project. Every way to lose work asks first."""

    opened = Signal(object)
    """A Project that takes the place of the last."""
    noted = Signal(str, str)
    """(severity, sentence): something odd that does not stop the work."""

    def __init__(
        self,
        settings: Settings,
        questions,
        parent: QObject | None = None,
        *,
        may_leave: Callable[[], bool] = lambda: True,
        opened: OpenedProject | None = None,
    ) -> None:
        super().__init__(parent)
        self._settings, self._questions = settings, questions
        self._may_leave = may_leave
        self._stamp: Stamp | None = None
        if opened is None:
            self.project = Project(Document())
            return
        self.project = Project(opened.document, opened.path)
        self._stamp = Stamp.of(opened.path)
        self._remember(opened.path)

    @property
    def name(self) -> str:
        """Name of the open project, as titles show it."""
        return self.project.name

    def new(self) -> bool:
        if not self.may_close():
            return False
        self._take(projects.new_project(), None, None)
        return True

    def new_from_example(self, name: str) -> bool:
        """Open a copy of an example: it has the name, and is not saved anywhere yet."""
        if not self.may_close():
            return False
        try:
            document = projects.from_example(name)
        except ProjectError as error:
            self._tell(tr("The example cannot be opened"), error.problems)
            return False
        self._take(document, None, None, example=name)
        return True

    def open(self, path: Path | None = None) -> bool:
        """Open a file (asking for one if none is given); what is open stays if that fails."""
        if path is None:
            path = self._questions.open_path(self._folder())
            if path is None:
                return False
        try:
            opened = projects.open_project(path)
        except ProjectError as error:
            self._settings.forget_project(str(path))
            self._tell(tr("'{name}' cannot be opened", name=path.name), error.problems)
            return False
        if not self.may_close():
            return False
        self._take(opened.document, opened.path, Stamp.of(opened.path))
        for warning in opened.warnings:
            self.noted.emit("warning", sentence(warning))
        return True

    def save(self) -> bool:
        project = self.project
        if project.path is None:
            return self.save_as()
        if not projects.may_be_replaced(project.path):
            return self.save_as(
                tr("'{name}' may only be read: save it elsewhere", name=project.path.name)
            )
        if self.changed_on_disk():
            match self._questions.overwrite_changed(project.path.name):
                case "cancel":
                    return False
                case "save as":
                    return self.save_as()
        return self._write(project.path)

    def suggested(self, suffix: str) -> Path:
        """A name for another file of this project."""
        stem = self.project.path.stem if self.project.path else _slug(self.name)
        return Path(self._folder(to_write=True)) / f"{stem}{suffix}"

    def save_as(self, title: str = "") -> bool:
        """Ask for a file and write it; ``title`` says why, if nobody asked for another file."""
        suggested = self.project.path
        if suggested is None or not projects.may_be_replaced(suggested):
            suggested = self.suggested(SUFFIX)
        path = self._questions.save_path(suggested, title)
        return path is not None and self._write(path)

    def may_close(self) -> bool:
        """True once nothing is lost by letting go of the open project.

        What can be taken back is asked first: a run that is ended is gone, whatever is answered
        to the next question.
        """
        return self._may_forget() and self._may_leave()

    def _may_forget(self) -> bool:
        gone = self.gone()
        if self.project.history.clean and not gone:
            return True
        match self._questions.unsaved(self.name, gone=gone):
            case "save":
                return self.save()
            case "discard":
                return True
        return False

    @property
    def stamp(self) -> Stamp | None:
        """Of the file as it was read or written here last; None if it never was."""
        return self._stamp

    def gone(self) -> bool:
        """True if the file that was read or written here is not there any more."""
        path = self.project.path
        return path is not None and self._stamp is not None and Stamp.of(path) is None

    def changed_on_disk(self) -> bool:
        """True if the file is there and is not the one that was read or written here."""
        path = self.project.path
        now = Stamp.of(path) if path else None
        return now is not None and now != self._stamp

    def accept_disk(self) -> None:
        """Stop calling the file changed: its user has seen it."""
        if self.project.path is not None:
            self._stamp = Stamp.of(self.project.path)

    def reload(self) -> bool:
        """Read the file again, leaving what was changed here."""
        path = self.project.path
        if path is None:
            return False
        try:
            opened = projects.open_project(path)
        except ProjectError as error:
            self._tell(tr("'{name}' cannot be opened", name=path.name), error.problems)
            return False
        self._take(opened.document, opened.path, Stamp.of(opened.path))
        return True

    def open_version(self, version: Version) -> bool:
        """Go back to an earlier version, as a change of the project that is yet to be saved."""
        try:  # before the question: saving now may be what drops this version
            opened = projects.open_project(version.path)
        except ProjectError as error:
            self._tell(tr("The version cannot be opened"), error.problems)
            return False
        if not self.may_close():
            return False
        # A change of the file that its user has not been asked about stays one.
        self._take(opened.document, self.project.path, self._stamp, unsaved=True)
        when = version.saved.strftime("%Y-%m-%d %H:%M:%S")
        self.noted.emit(
            "ok",
            tr("This is the project as it was saved on {when}. Save it to keep it.", when=when),
        )
        for warning in opened.warnings:
            self.noted.emit("warning", sentence(warning))
        return True

    def take_recovered(
        self, document: Document, path: Path | None, stamp: Stamp | None, *, example: str = ""
    ) -> None:
        """Open recovered work: changed since its file, so that it asks to be saved.

        ``stamp`` is the file's as the work began: one that others have changed since is a change
        on disk like any other.
        """
        self._take(document, path, stamp, example=example, unsaved=True)

    def _take(
        self,
        document: Document,
        path: Path | None,
        stamp: Stamp | None,
        *,
        example: str = "",
        unsaved: bool = False,
    ) -> None:
        old = self.project
        self.project = Project(document, path, example=example)
        if unsaved:
            self.project.history.mark_unclean()
        self._stamp = stamp
        if path is not None:
            self._remember(path)
        self.opened.emit(self.project)
        old.deleteLater()

    def _write(self, path: Path) -> bool:
        runs = runs_of(self.project) if self.project.path is None else []
        try:
            written = projects.save_project(self.project.document, path)
        except ProjectError as error:
            self._tell(tr("'{name}' cannot be saved", name=path.name), error.problems)
            return False
        self._stamp = Stamp.of(written)
        adopt_runs(runs, written)  # what was trained before it had a name is not to be lost
        self._remember(written)
        self.project.saved(written)
        return True

    def _remember(self, path: Path) -> None:
        self._settings.remember_project(path)
        self._settings.save()

    def _folder(self, *, to_write: bool = False) -> str:
        path = self.project.path
        if path is not None and projects.may_be_replaced(path):
            return str(path.parent)
        last = self._settings.last_folder
        usable = last and Path(last).is_dir() and not is_installed(Path(last))
        if usable and to_write:
            usable = projects.may_be_replaced(Path(last))
        return last if usable else str(Path.home())

    def _tell(self, title: str, problems: list[Message]) -> None:
        self._questions.show_problems(title, problems)


def _slug(name: str) -> str:
    kept = "".join(c if c.isalnum() else "_" for c in name.lower())
    return kept.strip("_") or "project"
