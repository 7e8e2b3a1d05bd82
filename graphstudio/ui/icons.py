"""Icons: line drawings from ``resources/icons/``, tinted to the theme when they are loaded."""

from __future__ import annotations

import functools

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from graphstudio.resources import resource

SIZES = (16, 20, 24)
"""Logical pixels at which icons are drawn: those that buttons and menus ask for."""
DISABLED, DISABLED_OPACITY = "#8a93a0", 0.55
"""A grey that shows on dark and on light; an icon of a coloured button may be white."""


@functools.cache
def icon(name: str, color: str, *, folder: str = "actions") -> QIcon:
    """Icon ``name`` drawn in ``color`` (``#rrggbb``), pale where the button is disabled."""
    made = QIcon()
    renderer, grey = _renderer(name, color, folder), _renderer(name, DISABLED, folder)
    ratios = {1.0, *(s.devicePixelRatio() for s in QGuiApplication.screens())}
    for size in sorted({round(size * ratio) for size in SIZES for ratio in ratios}):
        made.addPixmap(_draw(renderer, size), QIcon.Mode.Normal)
        made.addPixmap(_draw(grey, size, DISABLED_OPACITY), QIcon.Mode.Disabled)
    return made


@functools.cache
def pixmap(
    name: str, color: str, size: int, ratio: float = 1.0, *, folder: str = "actions"
) -> QPixmap:
    """The same as a pixmap of ``size`` logical pixels on a screen with this pixel ratio."""
    made = _draw(_renderer(name, color, folder), round(size * ratio))
    made.setDevicePixelRatio(ratio)
    return made


def _renderer(name: str, color: str, folder: str) -> QSvgRenderer:
    path = resource("icons", *([folder] if folder else []), f"{name}.svg")
    text = path.read_text(encoding="utf-8")
    return QSvgRenderer(QByteArray(text.replace("#000", color).encode()))


def _draw(renderer: QSvgRenderer, size: int, opacity: float = 1.0) -> QPixmap:
    made = QPixmap(QSize(size, size))
    made.fill(Qt.GlobalColor.transparent)
    with QPainter(made) as painter:
        painter.setOpacity(opacity)
        renderer.render(painter, QRectF(0, 0, size, size))
    return made
