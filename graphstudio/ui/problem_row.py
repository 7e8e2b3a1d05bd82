"""One problem as a row: what, where, why, and buttons that mend it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from graphstudio.document.model import DocumentError
from graphstudio.i18n import render, sentence, tr
from graphstudio.ir.diagnostics import Diagnostic
from graphstudio.ir.fixes import fix_changes
from graphstudio.nodes.spec import build, find_type
from graphstudio.nodes.types import Fix, Message
from graphstudio.ui.fix_button import FixButton
from graphstudio.ui.icons import icon, pixmap
from graphstudio.ui.project import Project
from graphstudio.ui.style import set_role
from graphstudio.ui.theme import Theme

ICON = 16
BESIDE = 0.45
"""The largest share of a row that the buttons beside the words take; else they go below."""
LEAST_WIDTH = 160
TOKENS = {"error": "error", "warning": "warning", "blocked": "text_dim"}


def severity_text(severity: str) -> str:
    """The severity in words, for those who do not see the icon."""
    match severity:
        case "error":
            return tr("Error")
        case "warning":
            return tr("Warning")
    return tr("Blocked")


def place_of(project: Project, diagnostic: Diagnostic) -> str:
    """Where a problem is: the node's name and, if one is at fault, the port or parameter."""
    graph = project.document.graphs.get(diagnostic.graph)
    node = graph.nodes.get(diagnostic.node) if graph and diagnostic.node else None
    if node is None:
        return tr("Project")
    if diagnostic.port and (label := _port_label(node, diagnostic.port)):
        return tr("{node}, port {port}", node=node.label, port=label)
    return node.label


def sentence_of(project: Project, diagnostic: Diagnostic) -> str:
    """The whole problem as a sentence that names its place."""
    text = sentence(diagnostic.message)
    graph = project.document.graphs.get(diagnostic.graph)
    node = graph.nodes.get(diagnostic.node) if graph and diagnostic.node else None
    if node is None or node.label in text:
        return text
    return tr("{place}: {problem}", place=place_of(project, diagnostic), problem=text)


def _port_label(node, name: str) -> str:
    cls = find_type(node.type)
    spec = build(cls, node.params)[0] if cls else None
    if spec is None:
        return ""
    ports = [*spec.input_ports(), *spec.output_ports()]
    if len(spec.input_ports()) < 2 and len(spec.output_ports()) < 2:
        return ""  # there is nothing to tell apart
    return next((render(Message(p.label)) for p in ports if p.name == name), "")


def apply_fix(project: Project, diagnostic: Diagnostic, fix: Fix) -> bool:
    """Carry out what a fix offers, as one step that can be undone."""
    project.history.close_merge()
    try:
        command = fix_changes(
            project.document, diagnostic.graph, diagnostic, fix, project.checker.params_for
        )
    except (DocumentError, KeyError, ValueError):
        # The document moved on since the check that offered the fix.
        project.refused.emit(sentence(Message("there is nothing left to mend here")))
        return False
    done = project.push(command)
    project.check_now()
    return done


class ProblemRow(QFrame):
    """Icon, place and message, hint, fixes. Click or Enter leads to the node."""

    activated = Signal(object)
    fixed = Signal()
    """A fix was applied; this row is about to go, and with it the keyboard's place."""

    def __init__(
        self,
        project: Project,
        diagnostic: Diagnostic,
        theme: Theme,
        *,
        show_place: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("problemRow")
        self._project, self.diagnostic, self._theme = project, diagnostic, theme
        self._show_place = show_place
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus if show_place else Qt.FocusPolicy.NoFocus)
        self._icon = QLabel()
        self._icon.setFixedSize(ICON, ICON + 2)
        self._message = QLabel()
        self._hint = QLabel()
        set_role(self._hint, "dim")
        for label in (self._message, self._hint):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._message)
        words.addWidget(self._hint)
        self.fix_buttons: list[FixButton] = []
        self._buttons = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._buttons.setSpacing(6)
        for i, fix in enumerate(diagnostic.fixes):
            button = FixButton()
            button.setObjectName(f"fix_{diagnostic.node or 'project'}_{i}")
            button.clicked.connect(lambda _=False, f=fix: self._apply(f))
            self.fix_buttons.append(button)
            self._buttons.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)
        self._buttons.addStretch(1)
        self._body = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._body.setSpacing(5)
        self._body.addLayout(words, 1)
        self._body.addLayout(self._buttons)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 7, 12, 7)
        row.setSpacing(10)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(self._body, 1)
        theme.changed.connect(self._recolor)
        self._recolor()
        self.retranslate()

    def _apply(self, fix: Fix) -> None:
        if apply_fix(self._project, self.diagnostic, fix):
            self.fixed.emit()

    def retranslate(self) -> None:
        d = self.diagnostic
        message = sentence_of(self._project, d)
        hint = sentence(d.hint) if d.hint else ""
        self._message.setText(message)
        self._hint.setText(hint)
        self._hint.setVisible(bool(hint))
        kind = severity_text(d.severity)
        self._icon.setToolTip(kind)
        self.setAccessibleName(f"{kind}: {message} {hint}".strip())
        for button, fix in zip(self.fix_buttons, d.fixes, strict=True):
            button.set_title(render(fix.title))
        self._arrange()

    def _arrange(self) -> None:
        """Put the buttons beside the words if they leave them room, else below."""
        margins = self.layout().contentsMargins()
        room = self.width() - margins.left() - margins.right() - ICON - self.layout().spacing()
        widths = [button.sizeHint().width() for button in self.fix_buttons]
        wanted = sum(widths) + self._buttons.spacing() * max(0, len(widths) - 1)
        across, down = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        beside = self._show_place and wanted <= BESIDE * room
        self._body.setDirection(across if beside else down)
        self._buttons.setDirection(across if wanted <= room else down)

    def minimumSizeHint(self) -> QSize:
        # Buttons that are beside the words now go below when there is less room.
        return QSize(LEAST_WIDTH, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _recolor(self) -> None:
        tokens = self._theme.tokens
        severity = self.diagnostic.severity
        color = getattr(tokens, TOKENS[severity])
        self._icon.setPixmap(pixmap(severity, color, ICON, self.devicePixelRatioF()))
        for button in self.fix_buttons:
            button.setIcon(icon("fix", tokens.accent))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        inside = self.rect().contains(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and inside:
            self.activated.emit(self.diagnostic)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Return | Qt.Key.Key_Enter | Qt.Key.Key_Space:
                self.activated.emit(self.diagnostic)
            case Qt.Key.Key_Down:
                self.focusNextChild()
            case Qt.Key.Key_Up:
                self.focusPreviousChild()
            case _:
                super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

    def enterEvent(self, event) -> None:
        self.update()

    def leaveEvent(self, event) -> None:
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._show_place:
            return
        tokens = self._theme.tokens
        with QPainter(self) as painter:
            if self.hasFocus():
                painter.fillRect(self.rect(), tokens.color("selection"))
            elif self.underMouse():
                painter.fillRect(self.rect(), tokens.color("hover"))
            painter.setPen(tokens.color("border"))
            painter.drawLine(0, self.height() - 1, self.width(), self.height() - 1)
