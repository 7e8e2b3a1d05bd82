"""The exported script, live: what leaves the program is seen while the graph is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from PySide6.QtCore import QObject, QSignalBlocker, QSize, Qt, QThreadPool, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QTabBar, QToolButton, QVBoxLayout, QWidget
from shiboken6 import isValid

from graphstudio.exporters.base import ExportError
from graphstudio.i18n import sentence, tr
from graphstudio.ir import graph as ir
from graphstudio.ir.check import CheckFailed
from graphstudio.ir.result import CheckResult
from graphstudio.ui.code.lexing import Span, spans_of
from graphstudio.ui.code.view import CodeView
from graphstudio.ui.icons import icon, pixmap
from graphstudio.ui.inspector.editors import ComboBox
from graphstudio.ui.problem_row import sentence_of
from graphstudio.ui.project import Project
from graphstudio.ui.theme import Theme

TARGETS = {"pytorch": "PyTorch", "tensorflow": "TensorFlow", "keras": "Keras"}
FIRST_FILES = ("model.py", "train.py", "data.py")
DELAY_MS = 150

Preview = Callable[[ir.Graph, str], object]


@dataclass(frozen=True)
class Script:
    """A generated project, ready to be shown."""

    target: str
    files: dict[str, str] = field(default_factory=dict)
    spans: dict[str, list[list[Span]]] = field(default_factory=dict)
    line_map: dict[str, list[tuple[str, int, int]]] = field(default_factory=dict)
    error: str = ""


class CodePanel(QWidget):
    """Generates in a thread after each check; keeps the last valid script, dimmed, while the graph
    has errors."""

    node_activated = Signal(str)
    """A line that belongs to a node was clicked."""
    export_requested = Signal(str)
    target_changed = Signal(str)
    updated = Signal()
    copied = Signal(str)
    """A file of this name is on the clipboard."""

    def __init__(
        self,
        project: Project,
        theme: Theme,
        parent: QWidget | None = None,
        *,
        preview: Preview | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("codePanel")
        self._project, self._theme = project, theme
        self._preview = preview
        self._script = Script("pytorch")
        self._wanted = 0
        self._busy = False
        """A thread is at work: one at a time, since they take turns with the window anyway."""
        self._checked = project.result
        self._clicked = False
        self._fresh = False
        """True while the script is that of the last check."""
        self._copy_next = False

        self.target_box = ComboBox()
        self.target_box.setObjectName("codeTarget")
        for target, name in TARGETS.items():
            self.target_box.addItem(name, target)
        self.target_box.currentIndexChanged.connect(self._on_target)
        self.tabs = QTabBar()
        self.tabs.setObjectName("codeFiles")
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setUsesScrollButtons(True)
        self.tabs.currentChanged.connect(lambda _index: self._show_file())
        self.copy_button = _tool("copyCode")
        self.copy_button.clicked.connect(self.copy_code)
        self.export_button = _tool("exportCode")
        self.export_button.clicked.connect(lambda: self.export_requested.emit(self.target))
        self.view = CodeView(theme)
        self.view.line_clicked.connect(self._on_line)

        self._banner = QWidget()
        self._banner.setObjectName("notice")
        self._banner.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._banner_icon, self._banner_text = QLabel(), QLabel()
        self._banner_text.setTextFormat(Qt.TextFormat.PlainText)
        self._banner_text.setWordWrap(True)
        self._banner_text.setObjectName("codeProblem")
        row = QHBoxLayout(self._banner)
        row.setContentsMargins(12, 6, 12, 6)
        row.addWidget(self._banner_icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._banner_text, 1)

        bar = QHBoxLayout()
        bar.setContentsMargins(8, 4, 6, 4)
        bar.setSpacing(6)
        bar.addWidget(self.target_box)
        bar.addWidget(self.tabs, 1)
        bar.addWidget(self.copy_button)
        bar.addWidget(self.export_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(bar)
        column.addWidget(self._banner)
        column.addWidget(self.view, 1)

        self._timer = QTimer(self, singleShot=True, interval=DELAY_MS)
        self._timer.timeout.connect(self._refresh_if_seen)
        project.checked.connect(self._on_checked)
        project.changed.connect(self._on_change)
        project.selection_changed.connect(self._on_selection)
        theme.changed.connect(self._recolor)
        self._recolor()
        self.retranslate()

    @property
    def target(self) -> str:
        return self.target_box.currentData()

    @property
    def script(self) -> Script:
        """The script that is shown."""
        return self._script

    @property
    def problem(self) -> str:
        """Why the script is not of the graph as it is drawn; empty while it is."""
        return self._banner_text.text() if not self._banner.isHidden() else ""

    @property
    def current_file(self) -> str:
        return self.tabs.tabText(self.tabs.currentIndex()) if self.tabs.count() else ""

    def set_target(self, target: str) -> None:
        self.target_box.setCurrentIndex(max(0, self.target_box.findData(target)))

    def show_file(self, name: str) -> None:
        """Bring a file of the script to the front."""
        for i in range(self.tabs.count()):
            if self.tabs.tabText(i) == name:
                self.tabs.setCurrentIndex(i)

    def copy_code(self) -> None:
        """Put the shown file on the clipboard, once it is that of the graph as it is now."""
        self._copy_next = True
        if self._fresh and self.isVisible() and not self._timer.isActive():
            self._copy()
        else:
            self.refresh()

    def _copy(self) -> None:
        self._copy_next = False
        QGuiApplication.clipboard().setText(self.view.toPlainText())
        self.copied.emit(self.current_file)

    def retranslate(self) -> None:
        self.setAccessibleName(tr("Code"))
        self.target_box.setAccessibleName(tr("Framework"))
        self.target_box.setToolTip(tr("Framework of the script"))
        self.copy_button.setToolTip(tr("Copy this file"))
        self.copy_button.setAccessibleName(tr("Copy this file"))
        self.export_button.setToolTip(tr("Export the project with its weights…"))
        self.export_button.setAccessibleName(tr("Export"))
        self.view.setAccessibleName(tr("Script"))
        self._show_problem(self._project.result)

    def refresh(self) -> None:
        """Generate the script of the graph as it is now, unless it has errors."""
        result = self._project.check_now()
        self._timer.stop()  # whatever it waited for is in what begins now
        self._show_problem(result)
        if not result.ok:
            self._copy_next = False
            self.view.set_stale(bool(self._script.files))
            return
        try:
            graph = self._project.checker.freeze()
        except CheckFailed:
            return  # the graph is as the checker has just refused it; its reason is shown
        self._wanted += 1
        self._fresh = False
        if self._busy:
            return  # what it makes is old already; the next one begins when it is done
        self._busy = True
        done = _Done()
        done.script.connect(self._take)
        job = _Job(self._wanted, graph, self.target, self._preview, done)
        QThreadPool.globalInstance().start(job)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._timer.start(0)

    def _refresh_if_seen(self) -> None:
        if self.isVisible() and not self._fresh:  # else the work waits until somebody looks
            self.refresh()

    def _take(self, number: int, script: Script) -> None:
        self._busy = False
        if number != self._wanted:
            if self.isVisible() or self._copy_next:
                self.refresh()
            return
        if script.error:
            self._banner_text.setText(script.error)
            self._banner.show()
            self.view.set_stale(True)
            return
        self._script = script
        self._fresh = self._project.result.ok  # else it is the last valid one
        self.view.set_stale(not self._fresh)
        self._show_tabs()
        self._show_file()
        if self._copy_next:
            self._copy()
        self.updated.emit()

    def _show_tabs(self) -> None:
        names = [n for n in FIRST_FILES if n in self._script.files]
        names += [n for n in self._script.files if n.endswith(".py") and n not in names]
        if [self.tabs.tabText(i) for i in range(self.tabs.count())] == names:
            return
        current = self.current_file
        with QSignalBlocker(self.tabs):
            while self.tabs.count():
                self.tabs.removeTab(0)
            for name in names:
                self.tabs.addTab(name)
            self.tabs.setCurrentIndex(max(0, names.index(current) if current in names else 0))

    def _show_file(self) -> None:
        name = self.current_file
        self.view.show_code(self._script.files.get(name, ""), self._script.spans.get(name, ()))
        self._mark_selection(reveal=False)

    def _mark_selection(self, *, reveal: bool) -> None:
        ranges = [
            (first, last)
            for node in self._project.selection
            for file, first, last in self._script.line_map.get(node, ())
            if file == self.current_file
        ]
        self.view.mark(ranges, reveal=reveal)

    def _on_selection(self) -> None:
        files = {
            file
            for node in self._project.selection
            for file, _, _ in self._script.line_map.get(node, ())
        }
        if files and self.current_file not in files and not self._clicked:
            self.show_file(next(n for n in (*FIRST_FILES, *files) if n in files))
        self._mark_selection(reveal=not self._clicked)

    def _on_line(self, line: int) -> None:
        found = [
            (last - first, node)
            for node, places in self._script.line_map.items()
            for file, first, last in places
            if file == self.current_file and first <= line <= last
        ]
        if not found:
            return
        node = min(found)[1]
        if node in self._project.document.graph(self._project.graph_id).nodes:
            self._clicked = True  # the line that was clicked must not scroll away
            try:
                self._project.select([node])
                self.node_activated.emit(node)
            finally:
                self._clicked = False

    def _on_target(self) -> None:
        self.target_changed.emit(self.target)
        self._fresh = False
        self._timer.start(0)

    def _on_checked(self, result: CheckResult) -> None:
        if result is self._checked:
            return  # what has moved is the drawing alone
        self._checked = result
        self._fresh = False
        self._timer.start()

    def _on_change(self, changes) -> None:
        if changes.training or changes.data:
            self._fresh = False
            self._timer.start()

    def _show_problem(self, result: CheckResult) -> None:
        first = result.first_error
        empty = not self._project.document.main.nodes and not self._script.files
        self.view.setPlaceholderText(
            tr("The code of the model appears here as you draw it.") if empty else ""
        )
        self._banner.setVisible(first is not None and not empty)
        if first is not None:
            problem = sentence_of(self._project, first)
            self._banner_text.setText(
                tr("{problem} The code below is that of the last valid graph.", problem=problem)
                if self._script.files
                else tr("{problem} The code appears once this is mended.", problem=problem)
            )

    def _recolor(self) -> None:
        tokens = self._theme.tokens
        self.copy_button.setIcon(icon("copy", tokens.text_dim))
        self.export_button.setIcon(icon("export", tokens.text_dim))
        self._banner_icon.setPixmap(pixmap("error", tokens.error, 16, self.devicePixelRatioF()))


class _Done(QObject):
    """Carries a result from the thread; lives as long as the job that holds it."""

    script = Signal(int, object)


class _Job:
    """Generates and lexes in a thread of the pool; the graph is frozen, so it can be shared."""

    def __init__(
        self, number: int, graph: ir.Graph, target: str, preview: Preview | None, done: _Done
    ) -> None:
        self._number, self._graph, self._target = number, graph, target
        self._preview, self._done = preview, done

    def __call__(self) -> None:
        try:
            preview = self._preview
            if preview is None:
                from graphstudio.services.export import preview  # late: not needed to start
            made = preview(self._graph, self._target)
            script = Script(
                self._target,
                dict(made.files),
                {n: spans_of(t) for n, t in made.files.items() if n.endswith(".py")},
                {k: list(v) for k, v in made.line_map.items()},
            )
        except ExportError as error:
            sentences = [sentence(m) for p in error.problems for m in (p.message, p.hint) if m]
            script = Script(self._target, error=" ".join(sentences))
        except Exception as error:  # shown in the panel: a fault here must not end the window
            script = Script(self._target, error=f"{type(error).__name__}: {error}")
        if isValid(self._done):  # else the program has ended meanwhile
            self._done.script.emit(self._number, script)


def _tool(name: str) -> QToolButton:
    button = QToolButton()
    button.setObjectName(name)
    button.setIconSize(QSize(18, 18))
    return button
