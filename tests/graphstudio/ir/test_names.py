import builtins
import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphstudio.ir.names import MAX_LENGTH, RESERVED, base_name, unique_names


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Conv2D", "conv2d"),
        ("Conv2D 2", "conv2d_2"),
        ("Stem", "stem"),
        ("My Block 3", "my_block_3"),
        ("encoderHead", "encoder_head"),
        ("卷积", "conv2d"),
        ("卷积 7", "conv2d_7"),
        ("3rd layer", "conv2d_3rd_layer"),
        ("__init__", "init"),
        ("a.b-c d", "a_b_c_d"),
        ("", "conv2d"),
        ("'); import os #", "import_os"),
        ("é", "conv2d"),
    ],
)
def test_names_from_labels(label, name):
    assert base_name(label, "layer.conv2d", "Conv2D") == name


def test_names_of_types_with_capitals_come_from_the_type():
    assert base_name("CrossEntropy", "loss.cross_entropy", "CrossEntropy") == "cross_entropy"
    assert base_name("ReLU 4", "act.relu", "ReLU") == "relu_4"


def test_reserved_words_are_not_used_as_they_are():
    names = unique_names([("a", "input"), ("b", "class"), ("c", "torch"), ("d", "loss")])
    assert names == {"a": "input_1", "b": "class_1", "c": "torch_1", "d": "loss_1"}


def test_a_number_never_collides_with_another_label():
    names = unique_names([("a", "dense"), ("b", "dense"), ("c", "dense_2")])
    assert names == {"a": "dense", "b": "dense_3", "c": "dense_2"}


@given(st.lists(st.text(max_size=30), max_size=12))
def test_any_labels_give_unique_safe_identifiers(labels):
    wanted = [(str(i), base_name(t, "layer.conv2d", "Conv2D")) for i, t in enumerate(labels)]
    names = list(unique_names(wanted).values())
    assert len(set(names)) == len(labels)
    for name in names:
        assert name.isidentifier()
        assert name.isascii()
        assert name == name.lower()
        assert not keyword.iskeyword(name)
        assert not keyword.issoftkeyword(name)
        assert not hasattr(builtins, name)
        assert name not in RESERVED
        assert len(name) <= MAX_LENGTH + 4
