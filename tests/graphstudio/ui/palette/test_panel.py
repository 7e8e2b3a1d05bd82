"""The palette panel, driven by keys and clicks."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from graphstudio.i18n import set_language
from graphstudio.ui.palette.delegate import ENTRY_ROLE
from graphstudio.ui.palette.entries import NODE_MIME, RecentTypes, entries
from graphstudio.ui.palette.panel import PalettePanel


@pytest.fixture
def panel(qtbot, theme):
    made = PalettePanel(theme, RecentTypes())
    qtbot.addWidget(made)
    made.resize(240, 700)
    made.show()
    qtbot.waitExposed(made)
    return made


def test_every_type_is_listed_under_its_category(panel):
    assert panel.shown() == [e.type_id for e in entries()]
    titles = [panel.tree.topLevelItem(i).text(0) for i in range(panel.tree.topLevelItemCount())]
    assert titles[0] == "Inputs"
    assert "Convolution" in titles


def test_typing_filters_and_enter_chooses_the_first(panel, qtbot):
    qtbot.keyClicks(panel.search, "relu")
    assert panel.shown()[0] == "act.relu"
    with qtbot.waitSignal(panel.node_activated) as heard:
        qtbot.keyClick(panel.search, Qt.Key.Key_Return)
    assert heard.args == ["act.relu"]


def test_arrows_in_the_search_line_move_the_choice(panel, qtbot):
    qtbot.keyClicks(panel.search, "pool")
    second = panel.shown()[1]
    qtbot.keyClick(panel.search, Qt.Key.Key_Down)
    with qtbot.waitSignal(panel.node_activated) as heard:
        qtbot.keyClick(panel.search, Qt.Key.Key_Return)
    assert heard.args == [second]


def test_escape_clears_the_search(panel, qtbot):
    qtbot.keyClicks(panel.search, "pool")
    qtbot.keyClick(panel.search, Qt.Key.Key_Escape)
    assert panel.search.text() == ""
    assert len(panel.shown()) == len(entries())


def test_nothing_found_is_said(panel, qtbot):
    qtbot.keyClicks(panel.search, "qqzz")
    assert panel.shown() == []
    assert panel.empty.isVisible()
    assert "qqzz" in panel.empty.text()


def test_a_heading_closes_its_category_and_stays_closed(panel, qtbot):
    heading = panel.tree.topLevelItem(0)
    place = panel.tree.visualItemRect(heading).center()
    qtbot.mouseClick(panel.tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert "io.input" not in panel.shown()
    qtbot.keyClicks(panel.search, "input")
    assert "io.input" in panel.shown()
    panel.search.clear()
    assert "io.input" not in panel.shown()


def test_double_click_chooses(panel, qtbot):
    item = panel.tree.topLevelItem(0).child(0)
    place = panel.tree.visualItemRect(item).center()
    with qtbot.waitSignal(panel.node_activated) as heard:
        qtbot.mouseClick(panel.tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
        qtbot.mouseDClick(panel.tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert heard.args == [item.data(0, ENTRY_ROLE).type_id]


def test_a_drag_carries_the_type(panel):
    item = panel.tree.topLevelItem(0).child(0)
    data = panel.tree.mimeData([item])
    assert bytes(data.data(NODE_MIME).data()).decode() == item.data(0, ENTRY_ROLE).type_id


def test_recent_types_head_the_list(qtbot, theme):
    recent = RecentTypes()
    panel = PalettePanel(theme, recent)
    qtbot.addWidget(panel)
    recent.note("act.gelu")
    assert panel.shown()[0] == "act.gelu"
    assert panel.tree.topLevelItem(0).text(0) == "Recent"


def test_language_switch(panel):
    set_language("zh")
    panel.retranslate()
    assert panel.search.placeholderText() == "搜索节点"
    assert panel.tree.topLevelItem(0).text(0) != "Inputs"
