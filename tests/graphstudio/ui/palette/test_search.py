"""What the palette's search finds, in both languages."""

from __future__ import annotations

import pytest

from graphstudio.i18n import set_language
from graphstudio.ui.palette.entries import RecentTypes, entries, matching
from graphstudio.ui.palette.fuzzy import best_score, score


def found(query: str) -> list[str]:
    return [e.type_id for e in matching(query, entries())]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("Conv2D", "Conv2D transposed"),
        ("Dense", "Condense"),
        ("Max pool", "Climax"),
        ("Concatenate", "Second category"),
    ],
)
def test_whole_beats_beginning_beats_middle(better, worse):
    query = better.split()[0].lower()
    assert score(query, better) > score(query, worse) >= 0


def test_letters_in_order_count_when_they_begin_a_word():
    assert score("bn", "BatchNorm") > 0
    assert score("gap", "GlobalAveragePool") > 0
    assert score("zq", "BatchNorm") == 0
    assert score("", "BatchNorm") == 0


def test_every_word_must_fit():
    names = [("Global average pooling", 1.0), ("Pooling", 0.4)]
    assert best_score("average global", names) > 0
    assert best_score("average nothing", names) == 0


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("conv", "layer.conv2d"),
        ("c2", "layer.conv2d"),
        ("dense", "layer.dense"),
        ("linear", "layer.dense"),
        ("relu", "act.relu"),
        ("maxpool", "layer.max_pool2d"),
        ("batchnorm", "layer.batch_norm"),
        ("crossentropy", "loss.cross_entropy"),
        ("DROPOUT", "layer.dropout"),
    ],
)
def test_the_obvious_comes_first(query, first):
    assert found(query)[0] == first


def test_nonsense_finds_nothing():
    assert found("qqqzzz") == []


@pytest.mark.parametrize(
    ("query", "wanted"),
    [("卷积", "layer.conv2d"), ("全连接", "layer.dense"), ("池化", "layer.max_pool2d")],
)
def test_chinese_names_and_keywords(query, wanted):
    set_language("zh")
    assert wanted in found(query)


def test_english_names_work_in_chinese_too():
    set_language("zh")
    assert found("conv2d")[0] == "layer.conv2d"


def test_recent_types_come_first_and_are_limited():
    recent = RecentTypes(limit=2)
    heard = []
    recent.changed.connect(lambda: heard.append(recent.type_ids))
    for type_id in ("act.relu", "layer.dense", "act.relu", "act.gelu"):
        recent.note(type_id)
    assert recent.type_ids == ("act.gelu", "act.relu")
    assert len(heard) == 4
    shown = [e.type_id for e in matching("", entries(), recent.type_ids)]
    assert shown[:2] == ["act.gelu", "act.relu"]
    assert len(shown) == len(entries())


def test_categories_keep_together():
    order = [e.category for e in entries()]
    assert len(dict.fromkeys(order)) == sum(
        1 for i, c in enumerate(order) if i == 0 or order[i - 1] != c
    )
