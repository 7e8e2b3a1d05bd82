"""Turns the colour tokens into a palette and a style sheet, and puts both on the program.

The Fusion style looks the same on every platform; it draws from a palette of our own, because the
platform's dark mode is not told to Qt everywhere. The style sheet carries form, not colour.
"""

from __future__ import annotations

import functools
import html
import string
import tempfile
from pathlib import Path

from PySide6.QtCore import QLibraryInfo, QLocale, QObject, Qt, QTranslator
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from graphstudio import i18n
from graphstudio.resources import resource
from graphstudio.ui.theme import Theme, Tokens

CHINESE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Microsoft YaHei UI",
    "Microsoft YaHei", "PingFang SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
)  # fmt: skip
INTERFACE_FONTS = (
    "Inter",
    "Segoe UI",
    "SF Pro Text",
    "Noto Sans",
    "Cantarell",
    "Ubuntu",
    "DejaVu Sans",
)
CODE_FONTS = (
    "JetBrains Mono",
    "Cascadia Mono",
    "SF Mono",
    "Menlo",
    "Consolas",
    "Noto Sans Mono",
    "DejaVu Sans Mono",
)


def mix(a: str, b: str, share: float) -> str:
    """Colour between two others: ``a`` at share 0, ``b`` at share 1."""
    one, two = QColor(a), QColor(b)
    parts = zip(
        (one.red(), one.green(), one.blue()), (two.red(), two.green(), two.blue()), strict=True
    )
    return "#" + "".join(f"{round(x + (y - x) * share):02x}" for x, y in parts)


def contrast(a: str, b: str) -> float:
    """Contrast ratio of two colours, 1 to 21.

    References
    ----------
    W3C, Web Content Accessibility Guidelines 2.1, "contrast ratio" and "relative luminance".
    """
    one, two = sorted((_luminance(a), _luminance(b)))
    return (two + 0.05) / (one + 0.05)


def _luminance(color: str) -> float:
    c = QColor(color)
    channels = (
        v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4
        for v in (c.redF(), c.greenF(), c.blueF())
    )
    return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), channels, strict=True))


def palette(tokens: Tokens) -> QPalette:
    """Palette of the Fusion style for these tokens, disabled colours included."""
    made = QPalette()
    roles = QPalette.ColorRole
    for role, name in (
        (roles.Window, "window"), (roles.WindowText, "text"), (roles.Base, "base"),
        (roles.AlternateBase, "panel"), (roles.Text, "text"), (roles.Button, "raised"),
        (roles.ButtonText, "text"), (roles.BrightText, "error"), (roles.ToolTipBase, "raised"),
        (roles.ToolTipText, "text"), (roles.PlaceholderText, "text_dim"),
        (roles.Highlight, "selection"), (roles.HighlightedText, "text"), (roles.Link, "accent"),
        (roles.LinkVisited, "accent"), (roles.Mid, "border"), (roles.Dark, "border"),
        (roles.Midlight, "hover"), (roles.Light, "hover"), (roles.Accent, "accent"),
    ):  # fmt: skip
        made.setColor(role, tokens.color(name))
    made.setColor(roles.Shadow, QColor("#000000"))
    faint = QColor(mix(tokens.text, tokens.window, 0.55))
    for role in (roles.WindowText, roles.Text, roles.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, role, faint)
    return made


def style_sheet(tokens: Tokens) -> str:
    """Style sheet with every token filled in."""
    values = {name: value for name, value in vars(tokens).items() if isinstance(value, str)}
    values |= {
        "disabled": mix(tokens.text, tokens.window, 0.55),
        "field": tokens.base,
        "border_strong": mix(tokens.border, tokens.text, 0.3),
        "accent_hover": mix(tokens.accent, tokens.text, 0.15),
        "link": tokens.accent,
        "scroll": mix(tokens.border, tokens.text_dim, 0.25),
        "icon_chevron_down": _tinted("chevron-down", tokens.text_dim),
        "icon_chevron_up": _tinted("chevron-up", tokens.text_dim),
        "icon_check": _tinted("check", tokens.accent_text),
        "icon_dash": _tinted("dash", tokens.accent_text),
    }
    return string.Template(_sheet()).substitute(values)


@functools.cache
def _sheet() -> str:
    return resource("themes", "app.qss").read_text(encoding="utf-8")


@functools.cache
def _tint_folder() -> tempfile.TemporaryDirectory[str]:
    # Style sheets take images from files only, so tinted ones are written for the time of the run.
    return tempfile.TemporaryDirectory(prefix="graphstudio-icons-", ignore_cleanup_errors=True)


@functools.cache
def _tinted(name: str, color: str) -> str:
    text = resource("icons", "actions", f"{name}.svg").read_text(encoding="utf-8")
    path = Path(_tint_folder().name) / f"{name}-{color[1:]}.svg"
    path.write_text(text.replace("#000", color), encoding="utf-8")
    return path.as_posix()


def interface_font() -> QFont:
    """The font of all texts: the best of the system, then a list that can write Chinese."""
    font = QGuiApplication.font()
    known = set(QFontDatabase.families())
    own = (
        []
        if font.family() not in ("Sans Serif", "Sans", "")
        else [f for f in INTERFACE_FONTS if f in known][:1]
    )
    font.setFamilies([*own, font.family(), *(f for f in CHINESE_FONTS if f in known)])
    if font.pointSizeF() < 9.5:
        font.setPointSizeF(9.5)
    font.setHintingPreference(QFont.HintingPreference.PreferVerticalHinting)
    return font


def code_font(point_size: float = 9.5) -> QFont:
    """A fixed-pitch font that can also write Chinese."""
    known = set(QFontDatabase.families())
    fixed = [f for f in CODE_FONTS if f in known] or [
        QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family()
    ]
    font = QFont()
    font.setFamilies([*fixed[:2], *(f for f in CHINESE_FONTS if f in known)])
    font.setStyleHint(QFont.StyleHint.Monospace)
    font.setFixedPitch(True)
    font.setPointSizeF(point_size)
    return font


def apply(theme: Theme) -> None:
    """Put palette and style sheet of the active theme on the whole program."""
    app = QApplication.instance()
    app.setPalette(palette(theme.tokens))
    sheet = style_sheet(theme.tokens)
    if app.styleSheet() != sheet:  # every widget is polished again, which takes its time
        app.setStyleSheet(sheet)


def system_theme() -> str:
    """``dark`` or ``light`` as the system asks for; dark where it says nothing."""
    scheme = QGuiApplication.styleHints().colorScheme()
    return "light" if scheme == Qt.ColorScheme.Light else "dark"


def system_language() -> str:
    """The first of the system's languages that there is a catalogue for; else English."""
    for name in QLocale.system().uiLanguages():
        if (code := name.split("-")[0]) in i18n.LANGUAGES:
            return code
    return "en"


QT_TEXTS = {"zh": ("qtbase_zh_CN",)}


class _WithoutMnemonics(QTranslator):
    """Texts to which Qt has added a mnemonic that its own translation does not know of yet.

    It asks for ``&Look in:`` where the translation has ``Look in:``.
    """

    def __init__(self, known: QTranslator, parent: QObject) -> None:
        super().__init__(parent)
        self._known = known

    def isEmpty(self) -> bool:
        return False

    def translate(
        self, context: str, source: str, disambiguation: str | None = None, n: int = -1
    ) -> str | None:
        plain = source.replace("&", "")
        found = self._known.translate(context, plain, disambiguation, n) if plain != source else ""
        return found or None  # an empty text would count as a translation


class QtTexts:
    """Qt's own texts (OK, Cancel, the file dialog) in the language of the program."""

    def __init__(self) -> None:
        self._installed: list[QTranslator] = []

    def use(self, language: str) -> None:
        self.remove()
        app = QApplication.instance()
        folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
        for name in QT_TEXTS.get(language, ()):
            translator = QTranslator(app)
            if translator.load(name, folder):
                # The one that is installed last is asked first.
                for installed in (_WithoutMnemonics(translator, app), translator):
                    app.installTranslator(installed)
                    self._installed.append(installed)
        QLocale.setDefault(QLocale("zh_CN" if language == "zh" else "en"))

    def remove(self) -> None:
        """Take the texts away again, as the window that asked for them closes."""
        for translator in self._installed:
            QApplication.instance().removeTranslator(translator)
            translator.deleteLater()
        self._installed.clear()


def set_role(widget: QWidget, role: str) -> None:
    """Give a label or button its meaning (``dim``, ``error``, ``primary``) for the style."""
    set_property(widget, "role", role)


def set_property(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the style sheet asks for, and have it read again."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        if widget.testAttribute(Qt.WidgetAttribute.WA_WState_Polished):
            widget.style().unpolish(widget)
            widget.style().polish(widget)


def plain_tip(text: str) -> str:
    """Text for a tool tip that shows as it is: Qt takes what looks like a tag for markup."""
    return f"<qt>{html.escape(text)}</qt>" if "<" in text else text
