"""Theme, language and the like. Every choice acts at once, so there is nothing to confirm."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from graphstudio.i18n import LANGUAGES, tr
from graphstudio.ui.inspector.editors import ComboBox
from graphstudio.ui.settings import Settings
from graphstudio.ui.style import set_role


class SettingsDialog(QDialog):
    """Edits ``Settings`` in place and says what has changed."""

    theme_chosen = Signal(str)
    language_chosen = Signal(str)

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("settingsDialog")
        self.setMinimumWidth(420)
        self._settings = settings
        self.theme_box, self.language_box = ComboBox(), ComboBox()
        self.theme_box.setObjectName("settingsTheme")
        self.language_box.setObjectName("settingsLanguage")
        self.start_box = QCheckBox()
        self.start_box.setObjectName("settingsStartPage")
        self.start_box.setChecked(settings.show_start_page)
        self._theme_label, self._language_label = QLabel(), QLabel()
        self._note = QLabel()
        self._note.setWordWrap(True)
        set_role(self._note, "dim")
        form = QFormLayout()
        form.setHorizontalSpacing(18)
        form.setVerticalSpacing(12)
        form.addRow(self._theme_label, self.theme_box)
        form.addRow(self._language_label, self.language_box)
        form.addRow("", self.start_box)
        form.addRow("", self._note)
        self._buttons = QDialogButtonBox()
        self._close = self._buttons.addButton("", QDialogButtonBox.ButtonRole.RejectRole)
        self._buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(16)
        column.addLayout(form)
        column.addStretch(1)
        column.addWidget(self._buttons)
        self.retranslate()
        self.theme_box.currentIndexChanged.connect(self._on_theme)
        self.language_box.currentIndexChanged.connect(self._on_language)
        self.start_box.toggled.connect(self._on_start)

    def retranslate(self) -> None:
        """Read the texts again: the language changes while the dialog is open."""
        self.setWindowTitle(tr("Settings"))
        self._theme_label.setText(tr("Theme"))
        self._language_label.setText(tr("Language"))
        themes = (("system", tr("Like the system")), ("dark", tr("Dark")), ("light", tr("Light")))
        languages = (("", tr("Like the system")), *LANGUAGES.items())
        for box, entries, current in (
            (self.theme_box, themes, self._settings.theme),
            (self.language_box, languages, self._settings.language),
        ):
            box.blockSignals(True)
            box.clear()
            for value, name in entries:
                box.addItem(name, value)
            box.setCurrentIndex(box.findData(current))
            box.blockSignals(False)
        self.start_box.setText(tr("Show the start page when no project is named"))
        self._note.setText(tr("Changes act at once."))
        self._close.setText(tr("Close"))

    def _on_theme(self) -> None:
        self._settings.theme = self.theme_box.currentData()
        self.theme_chosen.emit(self._settings.theme)

    def _on_language(self) -> None:
        self._settings.language = self.language_box.currentData()
        self.language_chosen.emit(self._settings.language)
        self.retranslate()

    def _on_start(self, show: bool) -> None:
        self._settings.show_start_page = show
