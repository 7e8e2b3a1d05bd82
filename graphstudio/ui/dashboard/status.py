"""State, progress, speed and time of the run in front."""

from __future__ import annotations

import math

from PySide6.QtCore import QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from graphstudio.i18n import render, tr
from graphstudio.nodes.types import Message
from graphstudio.ui.dashboard import formats
from graphstudio.ui.dashboard.texts import plain_tip
from graphstudio.ui.icons import pixmap
from graphstudio.ui.quantities import exact
from graphstudio.ui.style import set_role
from graphstudio.ui.theme import Theme

STATES = {
    "idle": (Message("No run yet"), "chart", "text_dim"),
    "preparing": (Message("Preparing"), "clock", "accent"),
    "running": (Message("Running"), "play", "accent"),
    "paused": (Message("Paused"), "pause", "warning"),
    "stopping": (Message("Stopping"), "stop", "warning"),
    "completed": (Message("Completed"), "ok", "ok"),
    "stopped": (Message("Stopped"), "stop", "text_dim"),
    "failed": (Message("Failed"), "error", "error"),
    "died": (Message("Broken off"), "error", "error"),
}
"""Text, icon and colour token of each state of a run; icon and word, never colour alone."""
ENDED = ("completed", "stopped", "failed", "died")


class Figure(QWidget):
    """A small caption over a number that keeps its width while it changes."""

    def __init__(self, name: str, widest: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.caption, self.value = QLabel(), QLabel(formats.UNKNOWN)
        for label in (self.caption, self.value):
            label.setTextFormat(Qt.TextFormat.PlainText)
        set_role(self.caption, "dim")
        set_role(self.value, "heading")
        self._widest = widest
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.caption)
        layout.addWidget(self.value)

    def set_caption(self, text: str) -> None:
        self.caption.setText(text)
        wide = self.value.fontMetrics().horizontalAdvance(self._widest) + 6
        self.value.setMinimumWidth(wide)

    @property
    def known(self) -> bool:
        """False while there is no value to show."""
        return self.value.text() != formats.UNKNOWN

    def set_value(self, text: str) -> None:
        if self.value.text() != text:
            self.value.setText(text)
            self.setAccessibleName(f"{self.caption.text()}: {text}")


class ElidedLabel(QLabel):
    """One line of text that ends in dots where the room ends; the tool tip has the whole."""

    def setText(self, text: str) -> None:
        super().setText(text)
        self.setToolTip(plain_tip(text))

    def minimumSizeHint(self) -> QSize:
        return QSize(20, super().minimumSizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        mode = Qt.TextElideMode.ElideRight
        with QPainter(self) as painter:
            shown = self.fontMetrics().elidedText(self.text(), mode, self.width())
            flags = Qt.AlignmentFlag.AlignVCenter.value
            palette, role = self.palette(), self.foregroundRole()
            self.style().drawItemText(
                painter, self.rect(), flags, palette, self.isEnabled(), shown, role
            )


class ProgressLine(QWidget):
    """How much of the run is done, as a thin line; it wanders while that is not known."""

    HEIGHT, WANDER_MS = 4, 40

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("runProgress")
        self.setFixedHeight(self.HEIGHT)
        self._theme = theme
        self._share: float | None = 0.0
        self._phase = 0.0
        self._timer = QTimer(self, interval=self.WANDER_MS)
        self._timer.timeout.connect(self._wander)
        theme.changed.connect(self.update)

    @property
    def share(self) -> float | None:
        """Between 0 and 1, None while it is not known."""
        return self._share

    def set_share(self, share: float | None) -> None:
        self._share = share
        if share is None and self.isVisible():
            self._timer.start()
        else:
            self._timer.stop()
        self.setAccessibleDescription("" if share is None else f"{share:.0%}")
        self.update()

    def showEvent(self, event) -> None:
        super().showEvent(event)
        self.set_share(self._share)

    def hideEvent(self, event) -> None:
        super().hideEvent(event)
        self._timer.stop()

    def paintEvent(self, _event: QPaintEvent) -> None:
        tokens = self._theme.tokens
        wide = self.width()
        with QPainter(self) as painter:
            painter.fillRect(self.rect(), tokens.color("border"))
            if self._share is None:
                left, part = self._phase * 1.25 * wide - 0.25 * wide, 0.25 * wide
            else:
                left, part = 0.0, self._share * wide
            painter.fillRect(QRectF(left, 0.0, part, self.HEIGHT), tokens.color("accent"))

    def _wander(self) -> None:
        self._phase = (self._phase + self.WANDER_MS / 1500.0) % 1.0
        self.update()


class StatusStrip(QWidget):
    """State and place of the run, and four figures, in one row; ``bar`` goes below it.

    The state and the epoch are always whole where they can be. What room is left goes to the
    figures, those that matter most first, and then to the step.
    """

    LEAST_WIDTH, FAIR_WIDTH, GOOD_WIDTH = 150, 250, 640
    SPACING = 10

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("statusStrip")
        self._theme = theme
        self._state, self._what = "idle", ""
        self._epoch = self._epochs = self._step = self._steps = 0
        self._has_room_for_step = False
        self._icon = QLabel()
        self._icon.setFixedSize(20, 20)
        self._text = QLabel()
        self._text.setObjectName("runState")
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        set_role(self._text, "heading")
        self._place = ElidedLabel()
        self._place.setObjectName("runProgressText")
        self._place.setTextFormat(Qt.TextFormat.PlainText)
        set_role(self._place, "dim")
        self.bar = ProgressLine(theme)
        self.left = Figure("timeLeft", "00:00:00")
        self.elapsed = Figure("elapsed", "00:00:00")
        self.speed = Figure("throughput", "00,000")
        self.learning_rate = Figure("learningRate", "0.0000")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(self.SPACING)
        layout.addWidget(self._icon)
        layout.addWidget(self._text)
        layout.addWidget(self._place, 1)
        for figure in (self.elapsed, self.left, self.speed, self.learning_rate):
            layout.addWidget(figure)
        theme.changed.connect(self._dress)
        self.retranslate()

    def set_state(self, state: str, what: str = "") -> None:
        """Show a state of ``STATES``; ``what`` says what is being prepared."""
        self._state, self._what = state, what
        if state in ENDED:
            self.left.set_value(formats.UNKNOWN)
        self._dress()
        self._arrange()

    def set_length(self, epochs: int, steps: int) -> None:
        self._epochs, self._steps = epochs, steps
        self._epoch = self._step = 0
        self._arrange()

    def set_progress(self, epoch: float, step: int) -> None:
        """``epoch`` is the position in epochs."""
        self._epoch, self._step = math.ceil(epoch), step
        self._show_place()

    def set_figures(
        self, elapsed_s: float, left_s: float, samples_per_s: float, learning_rate: float
    ) -> None:
        self.elapsed.set_value(formats.duration(elapsed_s))
        self.left.set_value(formats.duration(left_s))
        self.speed.set_value(formats.rate(samples_per_s))
        self.learning_rate.set_value(formats.rate(learning_rate))
        self._arrange()

    def clear(self) -> None:
        for figure in (self.elapsed, self.left, self.speed, self.learning_rate):
            figure.set_value(formats.UNKNOWN)
        self.set_length(0, 0)

    def retranslate(self) -> None:
        self.setAccessibleName(tr("Training status"))
        self.bar.setAccessibleName(tr("Training progress"))
        self.elapsed.set_caption(tr("Elapsed"))
        self.left.set_caption(tr("Time left"))
        self.speed.set_caption(tr("Samples/s"))
        self.learning_rate.set_caption(tr("Learning rate"))
        self._dress()
        self._arrange()

    def minimumSizeHint(self) -> QSize:
        return QSize(self.LEAST_WIDTH, super().minimumSizeHint().height())

    def resizeEvent(self, event) -> None:
        super().resizeEvent(event)
        self._arrange()

    def showEvent(self, event) -> None:
        super().showEvent(event)
        self._arrange()  # only now have all labels their fonts

    def _arrange(self) -> None:
        """Share the room out: what matters least goes first when there is little of it."""
        advance = self._place.fontMetrics().horizontalAdvance
        # Of the last step, so that nothing comes and goes while the numbers grow.
        brief = advance(self._what if not self._steps else self._epoch_text(self._epochs))
        whole = advance(self._place_text(self._epochs, self._steps)) if self._steps else brief
        room = self.width() - self._icon.width() - self._text.sizeHint().width()
        room -= 2 * self.SPACING + brief
        ended = self._state in ENDED  # and no time is left
        coming = not ended and self._state != "idle"  # room is kept for a value to come
        for figure in (self.left, self.elapsed, self.speed, self.learning_rate):
            wanted = (figure.known or coming) and not (ended and figure is self.left)
            room -= (figure.sizeHint().width() + self.SPACING) * wanted
            figure.setVisible(wanted and room >= 0)
        self._has_room_for_step = room >= whole - brief
        self._show_place()

    def _dress(self) -> None:
        text, name, token = STATES[self._state]
        self._text.setText(render(text))
        ratio = self.devicePixelRatioF()
        self._icon.setPixmap(pixmap(name, getattr(self._theme.tokens, token), 18, ratio))

    def _show_place(self) -> None:
        if not self._steps:
            self._place.setText(self._what)
            self.bar.set_share(None if self._state == "preparing" else 0.0)
            return
        epoch = min(max(self._epoch, 1), self._epochs)
        whole = self._place_text(epoch, self._step)
        self._place.setText(whole if self._has_room_for_step else self._epoch_text(epoch))
        self._place.setToolTip(whole)
        self.bar.set_share(min(1.0, self._step / self._steps))

    def _epoch_text(self, epoch: int) -> str:
        return tr(
            "epoch {epoch} of {epochs}",
            epoch=exact(epoch),
            epochs=exact(self._epochs),
        )

    def _place_text(self, epoch: int, step: int) -> str:
        return tr(
            "epoch {epoch} of {epochs} · step {step} of {steps}",
            epoch=exact(epoch),
            epochs=exact(self._epochs),
            step=exact(step),
            steps=exact(self._steps),
        )
