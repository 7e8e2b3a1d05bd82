"""Colours that can be read, a style sheet without holes, and Qt's own texts in Chinese."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QActionGroup, QColor, QFontMetrics, QPalette, QTextDocument
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel, QMenu, QPushButton

from graphstudio import i18n
from graphstudio.ui import icons, style
from graphstudio.ui.theme import DARK, LIGHT

THEMES = pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=lambda t: t.name)
READ_ON = {
    ("window", "panel", "base", "raised", "hover"): (
        "text", "text_dim", "error", "warning", "ok", "accent",
    ),
    ("selection",): ("text", "text_dim"),
    ("base", "code_mark"): (
        "text", "code_keyword", "code_string", "code_number", "code_comment", "code_name",
        "code_builtin",
    ),
    ("accent",): ("accent_text",),
}  # fmt: skip
PAIRS = [(fg, bg) for bgs, fgs in READ_ON.items() for bg in bgs for fg in fgs]


@THEMES
@pytest.mark.parametrize(("foreground", "background"), PAIRS)
def test_text_can_be_read(tokens, foreground, background):
    ratio = style.contrast(getattr(tokens, foreground), getattr(tokens, background))
    assert ratio >= 4.5, f"{foreground} on {background}: {ratio:.2f}"


@THEMES
def test_node_titles_can_be_read_on_every_category(tokens):
    for name, color in vars(tokens).items():
        if name.startswith("cat_"):
            assert style.contrast(tokens.node_title, color) >= 4.5, name


@THEMES
@pytest.mark.parametrize("curve", ["curve_train", "curve_validation", "curve_rate"])
def test_curves_stand_out(tokens, curve):
    assert style.contrast(getattr(tokens, curve), tokens.base) >= 3


def test_contrast_is_that_of_the_guidelines():
    assert style.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert style.contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)
    assert style.contrast("#ffffff", "#777777") == style.contrast("#777777", "#ffffff")


@THEMES
def test_the_style_sheet_has_no_hole(tokens):
    sheet = style.style_sheet(tokens)
    assert "$" not in sheet
    assert tokens.accent in sheet


def test_a_theme_reaches_the_whole_program(theme):
    theme.use("light")
    style.apply(theme)
    window = QApplication.palette().color(QPalette.ColorRole.Window).name()
    assert window == LIGHT.window
    theme.use("dark")
    style.apply(theme)
    assert QApplication.palette().color(QPalette.ColorRole.Window).name() == DARK.window


def test_icons_take_the_colour_they_are_given(qapp):
    image = icons.pixmap("stop", "#ff8800", 24).toImage()
    colors = {
        image.pixelColor(x, y).name()
        for x in range(24)
        for y in range(24)
        if image.pixelColor(x, y).alpha() == 255
    }
    assert "#ff8800" in colors


def test_qt_speaks_chinese_too(qapp):
    texts = style.QtTexts()
    texts.use("zh")
    chinese = QCoreApplication.translate("QPlatformTheme", "Cancel")
    texts.use("en")
    assert chinese == "取消"
    assert QCoreApplication.translate("QPlatformTheme", "Cancel") == "Cancel"


def test_the_file_dialog_has_no_english_label(qtbot):
    texts = style.QtTexts()
    texts.use("zh")
    try:
        dialog = QFileDialog()
        qtbot.addWidget(dialog)
        dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
        shown = [w.text() for kind in (QLabel, QPushButton) for w in dialog.findChildren(kind)]
    finally:
        texts.use("en")
    assert len(shown) > 4
    assert not [t for t in shown if t and t.isascii()]
    assert QCoreApplication.translate("QFileDialog", "&Look in:") == "&Look in:"


def test_every_chinese_character_of_the_windows_has_a_glyph(qapp):
    metrics = QFontMetrics(style.interface_font())
    missing = {
        c
        for text in i18n.catalogue("zh").values()
        for c in text
        if not c.isspace() and not metrics.inFontUcs4(ord(c))
    }
    if len(missing) > 500:
        pytest.skip("no Chinese font is installed here")
    assert not missing


@THEMES
@pytest.mark.parametrize("alone", [True, False], ids=["box", "one of several"])
def test_marks_in_menus_are_as_wide_as_high(tokens, alone, theme, qtbot):
    theme.use(tokens.name)
    style.apply(theme)
    menu = QMenu()
    qtbot.addWidget(menu)
    action = menu.addAction("Dark theme")
    action.setCheckable(True)
    action.setChecked(True)
    if not alone:
        QActionGroup(menu).addAction(action)
    menu.resize(menu.sizeHint())
    picture = menu.grab().toImage()
    accent = QColor(tokens.accent).rgb()
    places = [
        (x, y)
        for x in range(picture.width() // 2)
        for y in range(picture.height())
        if picture.pixel(x, y) == accent
    ]
    xs, ys = zip(*places, strict=True)
    assert max(xs) - min(xs) == max(ys) - min(ys)


def test_a_tool_tip_with_something_like_a_tag_shows_it():
    assert style.plain_tip("/a/b & c") == "/a/b & c"
    tip = QTextDocument()
    tip.setHtml(style.plain_tip("/a/<b>x</b>"))
    assert tip.toPlainText() == "/a/<b>x</b>"
