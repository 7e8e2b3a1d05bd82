"""Pause, resume and stop: asked from one thread, obeyed by the training loop between batches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

Action = Literal["pause", "resume", "stop"]


class Controls:
    """What the user asked for last. ``stop`` is final."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._paused = False
        self._stopped = False
        self.abandoned = False
        """True once nobody is left to listen: what is not yet lost is saved, nothing more."""

    def submit(self, action: Action) -> None:
        """Ask for something; returns at once."""
        with self._changed:
            if action == "stop":
                self._stopped = True
            else:
                self._paused = action == "pause"
            self._changed.notify_all()

    def abandon(self) -> None:
        """Stop because whoever asked for the run is gone."""
        self.abandoned = True
        self.submit("stop")

    @property
    def stopped(self) -> bool:
        return self._stopped

    @property
    def wants_pause(self) -> bool:
        return self._paused and not self._stopped

    def wait_while_paused(self) -> None:
        """Return when training may go on or has to stop."""
        with self._changed:
            self._changed.wait_for(lambda: not self._paused or self._stopped)


class Stopwatch:
    """Seconds of training, without the pauses."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started = clock()
        self._paused_s = 0.0

    @property
    def seconds(self) -> float:
        return self._clock() - self._started - self._paused_s

    def exclude(self, action: Callable[[], None]) -> None:
        """Run ``action`` off the clock."""
        began = self._clock()
        try:
            action()
        finally:
            self._paused_s += self._clock() - began
