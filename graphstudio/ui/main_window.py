"""The main window: canvas in the middle, panels around it, one open project."""

from __future__ import annotations

import logging
from pathlib import Path

from PySide6.QtCore import QEvent, QPoint, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QMainWindow,
    QStackedWidget,
    QToolBar,
    QVBoxLayout,
    QWidget,
)

from graphstudio import i18n
from graphstudio.i18n import render, sentence, tr
from graphstudio.nodes.types import Message
from graphstudio.services.projects import SUFFIX, OpenedProject
from graphstudio.training.messages import Failed
from graphstudio.ui import style
from graphstudio.ui.actions import ActionRegistry
from graphstudio.ui.canvas.actions import CanvasAction, canvas_actions
from graphstudio.ui.canvas.view import GraphView
from graphstudio.ui.code.panel import CodePanel
from graphstudio.ui.dialogs.questions import Questions
from graphstudio.ui.find import FindBar
from graphstudio.ui.inspector.panel import InspectorPanel
from graphstudio.ui.menus import Menus
from graphstudio.ui.notices import NoticeBar
from graphstudio.ui.palette.entries import RecentTypes
from graphstudio.ui.palette.panel import PalettePanel
from graphstudio.ui.problems import ProblemsPanel
from graphstudio.ui.project import Project
from graphstudio.ui.project_files import ProjectFiles
from graphstudio.ui.recovery import Autosave, Recovered
from graphstudio.ui.settings import Settings
from graphstudio.ui.start_page import StartPage
from graphstudio.ui.status_bar import StatusBar
from graphstudio.ui.theme import Theme
from graphstudio.ui.training_bridge import IDLE, TrainingBridge
from graphstudio.ui.window_commands import canvas_commands, window_commands
from graphstudio.ui.window_dialogs import WindowDialogs
from graphstudio.ui.workspace import Workspace

log = logging.getLogger(__name__)


class MainWindow(QMainWindow):
    """Puts the panels together. Panels know the project; only the window knows the panels.

    Parameters
    ----------
    settings : Settings
        Read at the start and written when the window closes.
    questions : Questions, optional
        Asks the user; a test gives its own answers.
    opened : OpenedProject, optional
        What to begin with in place of the start page: its views are then the first to be built.
    """

    project_opened = Signal(object)

    def __init__(
        self,
        settings: Settings | None = None,
        theme: Theme | None = None,
        *,
        questions: Questions | None = None,
        bridge: TrainingBridge | None = None,
        opened: OpenedProject | None = None,
    ) -> None:
        super().__init__()
        self.setObjectName("mainWindow")
        self.setAcceptDrops(True)
        self.setDockOptions(
            QMainWindow.DockOption.AllowTabbedDocks | QMainWindow.DockOption.AllowNestedDocks
        )
        self.setTabPosition(
            Qt.DockWidgetArea.AllDockWidgetAreas,
            self.tabPosition(Qt.DockWidgetArea.TopDockWidgetArea).North,
        )
        self.settings = settings or Settings()
        self.theme = theme or Theme()
        self.questions = questions or Questions(self, self.theme)
        self.bridge = bridge or TrainingBridge(self)
        self.autosave = Autosave(lambda: self.files.stamp, self)
        self._qt_texts = style.QtTexts()
        self.dialogs = WindowDialogs(self)

        self.files = ProjectFiles(
            self.settings,
            self.questions,
            self,
            may_leave=self._may_leave_training,
            opened=opened,
        )
        self.files.opened.connect(self._show_project)
        self.files.noted.connect(self._note)
        self.notices = NoticeBar(self.theme)
        self.start_page = StartPage(self.settings, self.theme)
        self._center = QStackedWidget()
        self._center.addWidget(self.start_page)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.notices)
        column.addWidget(self._center, 1)
        self.find = FindBar(self.files.project, self.theme, self._center)
        self.find.node_found.connect(self._reveal_found)
        self.find.closed.connect(lambda: self.canvas.setFocus())
        self.setCentralWidget(middle)

        self.workspace = Workspace(self, self.theme, self.settings)
        self.docks = self.workspace.docks
        self._recent_types = RecentTypes(self.settings.recent_types)
        self._recent_types.changed.connect(self._keep_recent_types)
        self.palette_panel = PalettePanel(self.theme, self._recent_types)
        self.docks["palette"].set_panel(self.palette_panel)
        self.status = StatusBar(self.theme)
        self.setStatusBar(self.status)
        self.canvas: GraphView
        self.inspector: InspectorPanel
        self.problems: ProblemsPanel
        self.code: CodePanel
        self.run_controls: QWidget | None = None
        self.dashboard: QWidget | None = None
        self._table: dict[str, CanvasAction] = {}

        self.toolbar = QToolBar()
        self.toolbar.setObjectName("toolBar")
        self.toolbar.setMovable(False)
        self.toolbar.setIconSize(QSize(20, 20))
        self.toolbar.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.addToolBar(self.toolbar)
        self.actions_by_id = ActionRegistry(self, self.theme)

        self._build_views(self.files.project)
        for command in (*window_commands(self), *canvas_commands(self)):
            self.actions_by_id.add(command)
        self.actions_by_id.set_canvas(self.canvas)
        self.run_holder = QWidget()
        column = QVBoxLayout(self.run_holder)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.run_controls)
        self.menus = Menus(self)
        self.menus.fill_toolbar(self.toolbar)
        self._connect()
        self.workspace.open()
        self.retranslate()
        if opened is None:
            self.show_start_page()
            return
        self.workspace.rest(True)  # as before any project: sizes of docks wait for the window
        self._enter(self.project)
        for warning in opened.warnings:
            self._note("warning", sentence(warning))

    # -- the open project ----------------------------------------------------------------------

    @property
    def project(self) -> Project:
        """The open project."""
        return self.files.project

    def has_project(self) -> bool:
        """False while the start page is shown."""
        return self._center.currentWidget() is not self.start_page

    def has_selection(self) -> bool:
        return self.has_project() and bool(self.project.selection)

    def has_nodes(self) -> bool:
        return self.has_project() and bool(self.project.document.main.nodes)

    def has_problems(self) -> bool:
        return self.has_project() and bool(self.project.result.diagnostics)

    def open_path(self, path: Path) -> bool:
        """Open a project file."""
        return self.files.open(path)

    def close_project(self) -> None:
        """Close the project and show the start page."""
        if self.files.new():
            self.show_start_page()

    def show_start_page(self) -> None:
        self.start_page.refresh()
        self.find.hide()
        self._center.setCurrentWidget(self.start_page)
        self.workspace.rest(True)
        self.status.set_project_shown(False)
        self.run_holder.setVisible(False)
        self._show_title()
        self.refresh_actions()

    def recover(self, recovered: Recovered) -> None:
        """Open work that a crash left behind."""
        self.files.take_recovered(
            recovered.document, recovered.path, recovered.stamp, example=recovered.example
        )
        if self.autosave.file is not None:  # else the old copy is the only one
            recovered.forget()
        self.notices.show_notice(
            "ok", tr("Your unsaved work is back. Save it to keep it."), key="recovered"
        )
        self._look_at_disk()  # others may have written the file since the crash

    def _show_project(self, project: Project) -> None:
        self._build_views(project)
        self.actions_by_id.set_canvas(self.canvas)
        self._enter(project)

    def _enter(self, project: Project) -> None:
        """Leave the start page for the views of a project."""
        self.notices.clear()
        self.autosave.watch(project)
        self._center.setCurrentWidget(self.canvas)
        self.workspace.rest(False)
        self.status.set_project_shown(True)
        self.run_holder.setVisible(True)
        self.canvas.setFocus()
        self._show_title()
        self.refresh_actions()
        QTimer.singleShot(0, self.canvas, self.canvas.arrive)
        self.project_opened.emit(project)

    def _build_views(self, project: Project) -> None:
        """Make the views of a project; those of the last one go."""
        old = self._center.widget(1)
        self.canvas = GraphView(project, self.theme, recent=self._recent_types)
        self.canvas.setAccessibleName(tr("Canvas"))
        self._table = {a.id: a for a in canvas_actions(self.canvas)}
        self._center.addWidget(self.canvas)
        if old is not None:
            if self._center.currentWidget() is old:
                self._center.setCurrentWidget(self.canvas)
            self._center.removeWidget(old)
            old.deleteLater()
        self.inspector = InspectorPanel(project, self.theme)
        self.problems = ProblemsPanel(project, self.theme)
        self.code = CodePanel(project, self.theme)
        self.code.set_target(self.settings.code_target)
        self.docks["inspector"].set_panel(self.inspector)
        self.docks["problems"].set_panel(self.problems)
        self.docks["code"].set_panel(self.code)
        self.canvas.status_message.connect(self.status.say)
        self.problems.node_activated.connect(self.reveal)
        self.problems.data_activated.connect(self.edit_data)
        self.code.node_activated.connect(self.reveal)
        # The button that mended something is gone, and the keyboard with it.
        self.problems.fixed.connect(self.canvas.setFocus)
        self.inspector.fixed.connect(self.canvas.setFocus)
        self.code.export_requested.connect(self.dialogs.export)
        self.code.copied.connect(
            lambda name: self.status.say(tr("'{file}' is on the clipboard.", file=name))
        )
        self.code.target_changed.connect(self._keep_target)
        self.inspector.download_requested.connect(self.dialogs.download)
        project.refused.connect(self._refused)
        project.changed.connect(self._on_change)
        project.checked.connect(self._on_checked)
        project.selection_changed.connect(self.refresh_actions)
        project.clean_changed.connect(self._show_title)
        project.path_changed.connect(self._show_title)
        self.canvas.zoom_changed.connect(self.status.show_zoom)
        self.status.show_zoom(self.canvas.zoom)
        self.canvas.node_activated.connect(lambda _node: self.edit_first_parameter())
        self._show_result()
        self._build_run_controls(project)
        self.find.set_project(project)
        if self.dashboard is not None:
            self.dashboard.set_project(project)

    def _build_run_controls(self, project: Project) -> None:
        from graphstudio.ui.dashboard.controls import RunControls

        old = self.run_controls
        self.run_controls = RunControls(project, self.bridge, self.theme)
        self.run_controls.state_changed.connect(self.refresh_actions)
        self.run_controls.failed_to_start.connect(
            lambda why: self.notices.show_notice("error", why, key="run")
        )
        if old is not None:
            self.run_holder.layout().replaceWidget(old, self.run_controls)
            old.hide()
            old.deleteLater()

    def build_dashboard(self) -> None:
        """Make the dashboard, which is left out of the start because its plots load slowly."""
        if self.dashboard is not None:
            return
        from graphstudio.ui.dashboard.panel import DashboardPanel

        self.dashboard = DashboardPanel(self.bridge, self.theme, self.project)
        self.dashboard.node_activated.connect(self.reveal)
        self.dashboard.status_message.connect(self.status.say)
        self.dashboard.data_asked.connect(self.dialogs.download)
        self.docks["training"].set_panel(self.dashboard)

    # -- what commands do ----------------------------------------------------------------------

    def canvas_table(self) -> dict[str, CanvasAction]:
        """The commands of the canvas that is shown, by id."""
        return self._table

    def text(self, message: Message) -> str:
        return render(message)

    def undo(self) -> None:
        name = self.project.history.undo_name
        self.canvas.undo()
        if name is not None:
            self.status.say(tr("Undone: {what}", what=render(name)))

    def redo(self) -> None:
        name = self.project.history.redo_name
        self.canvas.redo()
        if name is not None:
            self.status.say(tr("Done again: {what}", what=render(name)))

    def edit_first_parameter(self) -> None:
        self.docks["inspector"].bring_up()
        self.inspector.edit_first_parameter()

    def edit_data(self) -> None:
        """Show the project's data in the inspector, ready for another choice."""
        self.project.select([])
        self.docks["inspector"].bring_up()
        self.inspector.edit_data()

    def reveal(self, node_id: str) -> None:
        """Select a node and bring it into view."""
        self.project.select([node_id])
        self.canvas.reveal(node_id)

    def _reveal_found(self, node_id: str) -> None:
        self.reveal(node_id)
        body = self.canvas.graph_scene.nodes[node_id].body_rect()
        on_screen = self.canvas.mapFromScene(body).boundingRect()
        corner = self.canvas.viewport().mapTo(self.find.parentWidget(), QPoint())
        if on_screen.translated(corner).intersects(self.find.geometry()):
            self.canvas.center_on(body.center())

    def step_problem(self, direction: int) -> None:
        self.docks["problems"].bring_up()
        self.problems.step(direction)

    def search_node(self) -> None:
        self.canvas.setFocus()
        self.canvas.open_search()

    def can_train(self) -> bool:
        return self.has_project() and self.run_controls.can_train()[0]

    def is_training(self) -> bool:
        return self.bridge.state != IDLE

    def train(self) -> None:
        """Train the project; without a name it is saved first, as runs lie beside it."""
        self.build_dashboard()
        self.docks["training"].bring_up()
        self.run_controls.train()

    def _watch_run(self, _run_dir: str) -> None:
        """A run is seen, whichever button or key began it."""
        self.notices.dismiss("run")
        self.build_dashboard()
        self.docks["training"].bring_up()

    def _tell_failure(self, failure: Failed) -> None:
        """Say that a run failed, unless the dashboard is in sight: it says so itself."""
        dock = self.docks["training"]
        if self.dashboard is None or self.dashboard.visibleRegion().isEmpty():
            choices = [(tr("Show"), dock.bring_up)]
            self.notices.show_notice("error", failure.message, choices, key="run")

    def toggle_pause(self) -> None:
        self.run_controls.toggle_pause()

    def stop_training(self) -> None:
        self.run_controls.stop()

    def copy_code(self) -> None:
        self.code.copy_code()

    # -- look and layout -----------------------------------------------------------------------

    def use_theme(self, name: str) -> None:
        """Switch to ``dark``, ``light`` or ``system``, at once and for the next start."""
        self.settings.theme = name
        self.theme.use(style.system_theme() if name == "system" else name)
        style.apply(self.theme)
        self.refresh_actions()

    def toggle_theme(self) -> None:
        self.use_theme("light" if self.theme.tokens.name == "dark" else "dark")

    def use_language(self, name: str) -> None:
        """Switch the language of everything, at once; empty means that of the system."""
        self.settings.language = name
        i18n.set_language(name or style.system_language())
        self.retranslate()

    def retranslate(self) -> None:
        """Read all texts again."""
        self._qt_texts.use(i18n.language())
        self.actions_by_id.retranslate()
        self.workspace.retranslate()
        self.menus.fill()
        self.toolbar.setWindowTitle(tr("Tool bar"))
        views = [self.palette_panel, self.inspector, self.problems, self.code, self.canvas]
        views += [self.find, self.start_page, self.status, self.run_controls, self.dashboard]
        for view in views:
            if view is not None and hasattr(view, "retranslate"):
                view.retranslate()
        self._show_result()
        self._show_title()
        self.refresh_actions()

    def step_pane(self, step: int) -> None:
        """Move the keyboard to the next panel that is in sight."""
        self.workspace.step_pane(step, self._center.currentWidget())

    # -- menus, titles, messages ---------------------------------------------------------------

    def refresh_actions(self) -> None:
        """Read again what can be done now."""
        self.actions_by_id.refresh()

    def _connect(self) -> None:
        self.palette_panel.node_activated.connect(self._add_from_palette)
        self.start_page.new_requested.connect(self.files.new)
        self.start_page.open_requested.connect(self.files.open)
        self.start_page.path_chosen.connect(lambda p: self.files.open(Path(p)))
        self.start_page.example_chosen.connect(self.files.new_from_example)
        self.status.problems_requested.connect(self.docks["problems"].bring_up)
        self.status.zoom_requested.connect(lambda: self.canvas.zoom_reset())
        self.status.language_requested.connect(self.use_language)
        self.bridge.state_changed.connect(lambda _state: self.refresh_actions())
        self.bridge.begun.connect(self._watch_run)
        self.bridge.failed.connect(self._tell_failure)
        self.autosave.failed.connect(
            lambda reason: self.notices.show_notice(
                "warning",
                tr("Unsaved work cannot be kept safe against a crash: {reason}", reason=reason),
                key="autosave",
            )
        )
        self.autosave.watch(self.project)

    def _add_from_palette(self, type_id: str) -> None:
        if not self.has_project():
            self.files.new()
        self.canvas.add_at_center(type_id)

    def _show_title(self) -> None:
        if self.has_project():
            self.setWindowTitle(f"{self.files.name}[*] — graphstudio")
            self.setWindowModified(not self.project.history.clean)
        else:
            self.setWindowTitle("graphstudio")
            self.setWindowModified(False)

    def _on_change(self, _changes: object) -> None:
        self.refresh_actions()

    def _on_checked(self, _result: object) -> None:
        self._show_result()
        self.refresh_actions()

    def _show_result(self) -> None:
        result, empty = self.project.result, not self.project.document.main.nodes
        self.status.show_result(result, empty=empty)
        count = sum(d.severity != "blocked" for d in result.diagnostics)
        self.workspace.show_count("problems", 0 if empty else count)

    def _keep_recent_types(self) -> None:
        self.settings.recent_types = list(self._recent_types.type_ids)

    def _keep_target(self, target: str) -> None:
        self.settings.code_target = target

    def _refused(self, sentence: str) -> None:
        self.notices.show_notice("warning", sentence, key="refused", transient=True)

    def _note(self, severity: str, sentence: str) -> None:
        self.notices.show_notice(severity, sentence)

    def _may_leave_training(self) -> bool:
        if self.bridge.state == IDLE:
            return True
        if not self.questions.stop_training():
            return False
        self.bridge.shutdown()
        return True

    # -- events --------------------------------------------------------------------------------

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow():
            self._look_at_disk()

    def _look_at_disk(self) -> None:
        if not self.has_project():
            return
        if self.files.gone() and self.project.history.clean:
            self.project.mark_unsaved()
            self.autosave.write()
            self.notices.show_notice(
                "warning",
                tr(
                    "'{name}' was moved or deleted. What is open here is in no file.",
                    name=self.project.path.name,
                ),
                [(tr("Save it again"), self.files.save)],
                key="disk",
            )
        elif self.files.changed_on_disk():
            self.notices.show_notice(
                "warning",
                tr("'{name}' was changed by another program.", name=self.project.path.name),
                [
                    (tr("Load it again"), self._reload),
                    (tr("Keep mine"), self.files.accept_disk),
                ],
                key="disk",
            )

    def _reload(self) -> None:
        if self.files.may_close():
            self.files.reload()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _dropped(event) is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = _dropped(event)
        if path is not None:
            event.acceptProposedAction()
            # The source of the drag waits until this returns, and opening may ask questions.
            QTimer.singleShot(0, self, lambda: self.files.open(path))

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self.files.may_close():
            event.ignore()
            return
        self.workspace.save()
        self.settings.save()
        self.autosave.discard()
        self.bridge.shutdown()
        self._qt_texts.remove()
        event.accept()


def _dropped(event: QDropEvent) -> Path | None:
    """The project file that is dragged, if it is one."""
    urls = event.mimeData().urls()
    if len(urls) == 1 and urls[0].isLocalFile():
        path = Path(urls[0].toLocalFile())
        if path.suffix == SUFFIX:
            return path
    return None
