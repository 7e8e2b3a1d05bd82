"""Axes and the grid between them."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QFont, QImage

from graphstudio.ui.dashboard.axis import PlotArea
from graphstudio.ui.dashboard.plot_view import View
from graphstudio.ui.theme import DARK, LIGHT


def test_grid_lies_at_the_marks_whatever_has_changed(qtbot):
    """Lines kept from the last painting must be those of an area that was never painted before."""

    def made() -> PlotArea:
        area = PlotArea(View(), "count")
        qtbot.addWidget(area)
        area.dress(DARK, "panel", QFont())
        area.resize(420, 260)
        area.show()
        qtbot.waitExposed(area)
        return area

    def picture(area: PlotArea) -> QImage:
        return area.grab().toImage()

    changes = (
        lambda a: a.view.setRange(QRectF(0.0, 0.0, 100.0, 4.0), padding=0),
        lambda a: a.view.setRange(QRectF(0.0, 0.0, 130.0, 4.0), padding=0),
        lambda a: a.bottom.set_kind("time"),
        lambda a: a.left.setLogMode(x=False, y=True),
        lambda a: a.resize(500, 300),
        lambda a: a.dress(LIGHT, "panel", QFont()),
    )
    kept = made()
    seen = [picture(kept)]
    for number, change in enumerate(changes, 1):
        change(kept)
        seen.append(picture(kept))
        anew = made()
        for earlier in changes[:number]:
            earlier(anew)
        assert seen[-1] == picture(anew), number
        assert seen[-1] != seen[-2], number
