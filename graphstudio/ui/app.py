"""Starts the window: checks the ground, puts look and language on, offers recovery, runs."""

from __future__ import annotations

import datetime
import logging
import logging.handlers
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from graphstudio import i18n
from graphstudio.i18n import tr
from graphstudio.ui import startup

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from graphstudio.services.projects import OpenedProject
    from graphstudio.ui.main_window import MainWindow

log = logging.getLogger("graphstudio")

EXIT_REFUSED = 3
"""Exit code when no window can be shown here."""


def main(project: Path | None = None) -> int:
    """Open the window, with a project or with the start page, and return the exit code."""
    problem = startup.versions_problem()
    if problem:
        print(problem, file=sys.stderr)  # noqa: T201  # there is no window to say it in
        return EXIT_REFUSED
    if not startup.has_display():
        print(no_display_text(), file=sys.stderr)  # noqa: T201  # as above
        return EXIT_REFUSED
    app = make_app()
    window = make_window(project)
    install_excepthook(window)
    window.show()
    _after_show(window, project)
    return app.exec()


def no_display_text() -> str:
    """What to do where no window can be shown."""
    return tr(
        "There is no display, so no window can be opened. Without one, use: "
        "graphstudio check|train|export|verify|run PROJECT"
    )


def make_app() -> QApplication:
    """The Qt application with its style and font."""
    from PySide6.QtCore import QCoreApplication, Qt
    from PySide6.QtGui import QGuiApplication, QIcon
    from PySide6.QtWidgets import QApplication

    from graphstudio import __version__
    from graphstudio.resources import resource
    from graphstudio.ui import style

    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(
        Qt.HighDpiScaleFactorRoundingPolicy.PassThrough
    )
    QCoreApplication.setApplicationName("graphstudio")
    QCoreApplication.setApplicationVersion(__version__)
    QGuiApplication.setDesktopFileName("graphstudio")
    app = QApplication.instance() or QApplication(sys.argv[:1])
    app.setStyle("Fusion")
    app.setFont(style.interface_font())
    app.setWindowIcon(QIcon(str(resource("icons", "app.svg"))))
    return app


def make_window(project: Path | None = None) -> MainWindow:
    """The main window as the settings ask for it, with a project if one is named."""
    from graphstudio.ui import style, test_hook
    from graphstudio.ui.main_window import MainWindow
    from graphstudio.ui.settings import Settings
    from graphstudio.ui.theme import Theme
    from graphstudio.ui.tidying import Tidying

    _start_log()
    settings = Settings.load()
    i18n.set_language(settings.language or style.system_language())
    theme = Theme()
    theme.use(style.system_theme() if settings.theme == "system" else settings.theme)
    style.apply(theme)
    window = MainWindow(settings, theme, opened=_read(project))
    Tidying(window)
    test_hook.install(window)
    return window


def _read(project: Path | None) -> OpenedProject | None:
    """The project that is named, or None if none is or it cannot be read."""
    from graphstudio.services.projects import ProjectError, open_project

    try:
        return open_project(project) if project is not None else None
    except ProjectError:
        return None


def _after_show(window: MainWindow, project: Path | None) -> None:
    """Open what is asked for, offer what a crash has left, and load what could wait."""
    from PySide6.QtCore import QTimer

    if project is not None:
        if not window.has_project():
            window.open_path(project)  # it could not be read: now there is a window to say why
    elif not window.settings.show_start_page:
        window.files.new()
    QTimer.singleShot(0, window, lambda: offer_recovery(window))
    QTimer.singleShot(400, window, window.build_dashboard)


def offer_recovery(window: MainWindow) -> None:
    """Ask about every piece of work that was left behind; at most one can be opened."""
    from graphstudio.ui.recovery import left_behind

    def set_aside(file: Path) -> None:
        window.notices.show_notice(
            "warning",
            tr(
                "Unsaved work of an earlier session cannot be read. It is kept in '{path}'.",
                path=str(file),
            ),
        )

    for found in left_behind(set_aside):
        when = datetime.datetime.fromtimestamp(found.time).strftime("%Y-%m-%d %H:%M")
        match window.questions.recover(found.name, when):
            case "recover":
                window.recover(found)
                return
            case "discard":
                found.forget()


def install_excepthook(window: MainWindow) -> None:
    """An exception that nobody caught is logged and told; the window and the work stay."""
    sys.excepthook = exception_reporter(window)


def exception_reporter(window: MainWindow) -> Callable[..., None]:
    """The hook: keeps the work safe first, then logs, then tells."""
    from PySide6.QtGui import QGuiApplication

    def report(kind: type[BaseException], error: BaseException, trace: object) -> None:
        if issubclass(kind, KeyboardInterrupt):
            window.close()
            return
        text = "".join(traceback.format_exception(kind, error, trace))
        log.error("unexpected error\n%s", text)
        try:
            window.autosave.write()
            window.notices.show_notice(
                "error",
                tr(
                    "Something went wrong inside graphstudio ({error}). Your work is safe; saving "
                    "it now is a good idea.",
                    error=f"{kind.__name__}: {error}"[:200],
                ),
                [(tr("Copy report"), lambda: QGuiApplication.clipboard().setText(text))],
                key="crash",
            )
        except Exception:  # a hook that raises would hide the error it is to tell
            log.exception("the error could not be shown")

    return report


def _start_log() -> None:
    """Write warnings and errors to a small file in the state folder."""
    from graphstudio.ui.settings import state_dir

    if any(isinstance(h, logging.handlers.RotatingFileHandler) for h in log.handlers):
        return
    try:
        folder = state_dir()
        folder.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            folder / "graphstudio.log",
            maxBytes=500_000,
            backupCount=1,
            encoding="utf-8",
            delay=True,
        )
    except OSError:
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.setLevel(logging.WARNING)
    log.addHandler(handler)
