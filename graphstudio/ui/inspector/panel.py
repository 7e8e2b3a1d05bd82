"""The inspector: the project while nothing is selected, else the selected nodes."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from graphstudio.document.model import ChangeSet
from graphstudio.i18n import tr
from graphstudio.ui.inspector.node_page import NodePage
from graphstudio.ui.inspector.project_page import ProjectPage
from graphstudio.ui.project import Project
from graphstudio.ui.theme import Theme


class InspectorPanel(QWidget):
    """Follows the selection; edits go through commands of the document alone."""

    download_requested = Signal(str)
    fixed = Signal()

    def __init__(self, project: Project, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("inspectorPanel")
        self._project = project
        self._shown = False
        self.node_page = NodePage(project, theme)
        self.node_page.fixed.connect(self.fixed)
        self.project_page = ProjectPage(project, theme)
        self.project_page.download_requested.connect(self.download_requested)
        # Not a QStackedWidget: that is as tall as its tallest page.
        body = QWidget()
        body.setObjectName("scrollBody")
        pages = QVBoxLayout(body)
        pages.setContentsMargins(0, 0, 0, 0)
        pages.addWidget(self.project_page)
        pages.addWidget(self.node_page)
        self._area = QScrollArea()
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setWidget(body)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._area)
        project.selection_changed.connect(self._on_selection)
        project.changed.connect(self._on_change)
        project.checked.connect(self._on_checked)
        self.retranslate()
        self._on_selection()

    @property
    def shows_nodes(self) -> bool:
        return not self.node_page.isHidden()

    def retranslate(self) -> None:
        self.setAccessibleName(tr("Inspector"))
        self.project_page.retranslate()
        self.node_page.retranslate()

    def edit_first_parameter(self) -> None:
        """Put the keyboard into the first field of the selected nodes."""
        if self.shows_nodes and self.node_page.form.specs:
            self.node_page.form.editor(self.node_page.form.specs[0].name).setFocus()

    def edit_data(self) -> None:
        """Put the keyboard into the choice of the data source, if the project is shown."""
        if not self.shows_nodes:
            editor = self.project_page.source.editor("source")
            editor.setFocus()
            self._area.ensureWidgetVisible(editor)

    def refresh_data(self) -> None:
        self.project_page.refresh_data()

    def _nodes(self) -> list:
        graph = self._project.document.graph(self._project.graph_id)
        return [n for i, n in graph.nodes.items() if i in self._project.selection]

    def _on_selection(self) -> None:
        nodes = self._nodes()
        if nodes:
            self.node_page.show_nodes(nodes)
        if bool(nodes) != self.shows_nodes or not self._shown:
            self._shown = True
            self._area.verticalScrollBar().setValue(0)
            self.node_page.setVisible(bool(nodes))
            self.project_page.setVisible(not nodes)

    def _on_change(self, changes: ChangeSet) -> None:
        if changes.data or changes.training:
            self.project_page.show_project()
        touched = {n for _, n in changes.nodes | changes.moved}
        wired = {key[0] for _, key in changes.wires}
        if (touched | wired) & self._project.selection:
            self._on_selection()

    def _on_checked(self, _result: object) -> None:
        if self.shows_nodes:
            self.node_page.show_result()
        self.project_page.show_result()
