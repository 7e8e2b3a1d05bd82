"""The confusion matrix: numbers, painting, pointer and keys."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QLabel, QScrollArea
from sklearn.metrics import precision_score, recall_score

from graphstudio import i18n
from graphstudio.training.messages import Evaluated
from graphstudio.ui.dashboard.confusion import ConfusionView
from graphstudio.ui.dashboard.confusion_matrix import MIN_CELL, cell_facts, precision_recall
from tests.graphstudio.ui.dashboard.conftest import CLASSES, CONFUSION, evaluated


def view(qtbot, theme, result: Evaluated | None = None) -> ConfusionView:
    made = ConfusionView(theme)
    qtbot.addWidget(made)
    made.resize(900, 420)
    made.show_evaluation(result)
    made.show()
    qtbot.waitExposed(made)
    return made


def text_of(made: ConfusionView, name: str) -> str:
    return made.findChild(object, name).text()


def test_precision_and_recall_equal_scikit_learns():
    counts = np.array([*CONFUSION])
    true = np.repeat(np.arange(3), counts.sum(axis=1))
    predicted = np.concatenate([np.repeat(np.arange(3), row) for row in counts])
    precision, recall = precision_recall(counts)
    np.testing.assert_allclose(precision, precision_score(true, predicted, average=None))
    np.testing.assert_allclose(recall, recall_score(true, predicted, average=None))


def test_a_class_without_samples_or_predictions_has_no_measure():
    precision, recall = precision_recall(np.array([[3, 0], [0, 0]]))
    assert precision[0] == recall[0] == 1.0
    assert np.isnan(precision[1])
    assert np.isnan(recall[1])


def test_without_an_evaluation_it_says_when_there_will_be_one(qtbot, theme):
    made = view(qtbot, theme)
    assert "evaluation" in made.findChild(object, "confusionEmpty").text


def test_tiles_show_accuracy_and_loss_once(qtbot, theme):
    made = view(qtbot, theme, evaluated())
    tiles = [t.accessibleName() for t in made.findChildren(object, "tile")]
    assert tiles == ["Accuracy: 92.22 %", "Loss: 0.2500"]
    assert "90 test samples" in text_of(made, "evaluationSummary")


@pytest.mark.parametrize("height", [120, 160, 420])
def test_in_a_low_panel_no_line_lies_on_another(qtbot, theme, height):
    made = view(qtbot, theme, evaluated())
    made.resize(700, height)
    qtbot.wait(10)
    facts = made.findChild(QScrollArea, "evaluationFacts").widget()
    labels = [w for w in facts.findChildren(QLabel) if w.isVisible() and w.text()]
    assert len(labels) >= 6
    assert all(w.height() >= w.minimumSizeHint().height() for w in labels)


def test_clicking_a_cell_lists_its_facts_and_escape_takes_them_back(qtbot, theme):
    made = view(qtbot, theme, evaluated())
    center = made.matrix.cell_rect(1, 0).center()
    qtbot.mouseClick(made.matrix, Qt.MouseButton.LeftButton, pos=center)
    details = text_of(made, "cellDetails")
    assert "4 samples of 'dog' were taken for 'cat'" in details
    assert "13.33 % of the 30 samples that are 'dog'" in details
    assert "12.50 % of the 32 predictions of 'cat'" in details
    qtbot.keyClick(made.matrix, Qt.Key.Key_Escape)
    assert text_of(made, "cellDetails").startswith("4 ×  dog → cat")


def test_hovering_shows_the_same_facts_as_a_tool_tip(qtbot, theme):
    made = view(qtbot, theme, evaluated())
    qtbot.mouseMove(made.matrix, made.matrix.cell_rect(0, 1).center())
    qtbot.waitUntil(lambda: "taken for 'dog'" in made.matrix.toolTip())
    qtbot.mouseMove(made.matrix, QPoint(1, 1))
    qtbot.waitUntil(lambda: made.matrix.toolTip() == "")


def test_arrow_keys_walk_over_the_cells(qtbot, theme):
    made = view(qtbot, theme, evaluated())
    made.matrix.setFocus()
    keys = Qt.Key
    for key in (keys.Key_Down, keys.Key_Down, keys.Key_Right, keys.Key_Up, keys.Key_Left):
        qtbot.keyClick(made.matrix, key)
    assert made.matrix.selected == (0, 0)
    for key in (keys.Key_Down, keys.Key_Down, keys.Key_Down, keys.Key_Right):
        qtbot.keyClick(made.matrix, key)
    assert made.matrix.selected == (2, 1)


def test_cells_are_painted_stronger_the_more_they_hold(qtbot, theme):
    made = view(qtbot, theme, evaluated())
    image = made.matrix.grab().toImage()

    def brightness(row: int, column: int) -> int:
        corner = made.matrix.cell_rect(row, column).topLeft() + QPoint(3, 3)
        return image.pixelColor(corner).lightness()

    empty = brightness(0, 2)
    assert brightness(1, 0) > brightness(2, 1) > empty
    assert brightness(0, 0) > empty


def test_shares_sum_to_a_hundred_a_row(qtbot, theme):
    made = view(qtbot, theme, evaluated())
    made.findChild(object, "rowShares").click()
    texts = [made.matrix._cell_text(0, c) for c in range(3)]
    assert texts == ["93", "6.7", "0"]


def test_wrong_number_of_names_falls_back_to_numbers(qtbot, theme):
    result = Evaluated(
        split="validation", num_samples=4, values={"loss": 1.0}, confusion=[[2, 0], [1, 1]],
        class_names=["only one"],
    )  # fmt: skip
    made = view(qtbot, theme, result)
    assert made._names == ["0", "1"]
    assert "validation samples" in text_of(made, "evaluationSummary")


def test_regression_has_tiles_but_no_matrix(qtbot, theme):
    result = Evaluated(split="test", num_samples=4, values={"loss": 1.0, "mse": 1.0})
    made = view(qtbot, theme, result)
    assert not made.matrix.isVisible()


def test_a_hundred_classes_scroll_instead_of_shrinking(qtbot, theme):
    names = [f"class number {i}" for i in range(100)]
    counts = np.eye(100, dtype=int).tolist()
    result = Evaluated(
        split="test", num_samples=100, values={}, confusion=counts, class_names=names
    )
    made = view(qtbot, theme, result)
    assert made.matrix.minimumHeight() >= 100 * MIN_CELL
    made.matrix.grab()


def test_facts_are_translated(qtbot, theme):
    i18n.set_language("zh")
    facts = cell_facts(np.array(CONFUSION), CLASSES, (1, 0))
    assert all(any("\u4e00" <= c <= "\u9fff" for c in fact) for fact in facts)
