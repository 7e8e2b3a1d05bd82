"""Settings act at once, the dialog's own language included."""

from __future__ import annotations

from graphstudio.ui.dialogs.about_dialog import AboutDialog, system_text
from graphstudio.ui.dialogs.settings_dialog import SettingsDialog


def test_theme_and_language_act_at_once(window, qtbot):
    dialog = SettingsDialog(window.settings, window)
    qtbot.addWidget(dialog)
    dialog.theme_chosen.connect(window.use_theme)
    dialog.language_chosen.connect(window.use_language)
    dialog.theme_box.setCurrentIndex(dialog.theme_box.findData("light"))
    assert window.theme.tokens.name == "light"
    dialog.language_box.setCurrentIndex(dialog.language_box.findData("zh"))
    assert dialog.windowTitle() == "设置"
    assert window.actions_by_id["edit.undo"].text() == "撤销"
    assert (window.settings.theme, window.settings.language) == ("light", "zh")
    dialog.start_box.setChecked(False)
    assert not window.settings.show_start_page


def test_about_names_what_a_report_needs(theme, qtbot):
    qtbot.addWidget(AboutDialog(theme))
    for part in ("graphstudio", "Python", "PySide6"):
        assert part in system_text()
