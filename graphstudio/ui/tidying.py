"""Keeps Python's search for garbage from halting the window while a large graph is edited."""

from __future__ import annotations

import gc
from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QGuiApplication

from graphstudio.ui.main_window import MainWindow

REST_MS = 1500
"""After a project was opened: its first picture and the dashboard are there by then."""


class Tidying(QObject):
    """Collects garbage once a project is open, and takes what is left out of later searches.

    A full search goes through every object of the program: 70 ms with a project of 1,000 nodes, in
    the middle of whatever the user does. What a project begins with stays as long as it does, so
    there is nothing to be found in it; the search after the next project has been opened goes
    through all of it again.

    Parameters
    ----------
    busy : callable, optional
        Whether the user is in the middle of something, and the search must wait.
    """

    def __init__(
        self,
        window: MainWindow,
        *,
        rest_ms: int = REST_MS,
        busy: Callable[[], bool] | None = None,
    ) -> None:
        super().__init__(window)
        self._busy = busy or _button_held
        self._timer = QTimer(self, singleShot=True, interval=rest_ms)
        self._timer.timeout.connect(self._tidy)
        window.project_opened.connect(lambda _project: self._timer.start())
        self._timer.start()

    def _tidy(self) -> None:
        if self._busy():
            self._timer.start()
            return
        gc.unfreeze()
        gc.collect()
        gc.freeze()


def _button_held() -> bool:
    return QGuiApplication.mouseButtons() != Qt.MouseButton.NoButton
