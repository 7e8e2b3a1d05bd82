"""The dialogs that the main window opens. Each is imported when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphstudio.i18n import render, sentence, tr
from graphstudio.ui.actions import GROUPS, keys_text

if TYPE_CHECKING:
    from graphstudio.ui.main_window import MainWindow

HIDDEN_COMMANDS = ("help.commands", "help.keys_canvas")
"""Not offered by the command palette: itself, and a second way to the same sheet."""


class WindowDialogs:
    """Opens dialogs over a window and carries their answers back."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    def export(self, target: str | None = None) -> None:
        """Ask for a folder and export the model."""
        from graphstudio.ui.dialogs.export_dialog import ExportDialog

        w = self._window
        dialog = ExportDialog(w.project, w.theme, w)
        if target:
            dialog.set_target(target)
        dialog.exec()
        dialog.deleteLater()

    def export_picture(self) -> None:
        """Ask for a file and draw the whole graph into it."""
        from graphstudio.ui.canvas.picture import Picture, PictureError

        w = self._window
        path = w.questions.picture_path(w.files.suggested(".svg"))
        if path is None:
            return
        project = w.project
        picture = Picture(project.document.main, w.canvas.style_, project.check_now())
        try:
            picture.save(path, project.name)
        except PictureError as error:
            w.notices.show_notice("error", sentence(error.reason), key="picture")
            return
        finally:
            picture.close()
        w.notices.dismiss("picture")
        w.status.say(tr("The picture is in '{path}'.", path=str(path)))

    def download(self, kind: str) -> None:
        """Offer to fetch the files of a data source."""
        from graphstudio.ui.dialogs.download_dialog import DownloadDialog

        w = self._window
        dialog = DownloadDialog(kind, parent=w)
        if dialog.exec():
            w.notices.show_notice("ok", tr("The data is there."), key="data", transient=True)
        dialog.deleteLater()
        w.inspector.refresh_data()

    def settings(self) -> None:
        """Theme, language and the like."""
        from graphstudio.ui.dialogs.settings_dialog import SettingsDialog

        w = self._window
        dialog = SettingsDialog(w.settings, w)
        dialog.theme_chosen.connect(w.use_theme)
        dialog.language_chosen.connect(w.use_language)
        dialog.exec()
        dialog.deleteLater()
        w.settings.save()

    def commands(self) -> None:
        """Every command by a few letters."""
        from graphstudio.ui.dialogs.command_palette import CommandPalette, Entry

        w = self._window
        w.refresh_actions()
        entries = [
            Entry(
                render(c.text),
                render(GROUPS[c.group]),
                keys_text(c),
                w.actions_by_id[c.id],
                str(c.text),
            )
            for c in w.actions_by_id
            if c.id not in HIDDEN_COMMANDS
        ]
        box = CommandPalette(entries, w.theme, w)
        box.finished.connect(box.deleteLater)
        box.open_at_top()

    def keys(self) -> None:
        """All keys and gestures."""
        from graphstudio.ui.dialogs.key_sheet import KeySheet

        sheet = KeySheet(self._window.actions_by_id, self._window)
        sheet.exec()
        sheet.deleteLater()

    def about(self) -> None:
        """Version and licence."""
        from graphstudio.ui.dialogs.about_dialog import AboutDialog

        dialog = AboutDialog(self._window.theme, self._window)
        dialog.exec()
        dialog.deleteLater()
