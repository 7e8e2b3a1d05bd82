"""Padding with an array's own elements against PyTorch."""

import pytest

import engine
from engine import ops
from engine.errors import EngineError


@pytest.mark.torch
@pytest.mark.parametrize(
    ("mode", "theirs"), [("reflect", "reflect"), ("edge", "replicate"), ("wrap", "circular")]
)
@pytest.mark.parametrize("pads", [((2, 3), (0, 1)), ((0, 2), (4, 0)), ((3, 1), (1, 1))])
def test_padding_with_own_elements_equals_torch(rng, agree_with_torch, mode, theirs, pads):
    from torch.nn import functional

    (top, bottom), (left, right) = pads
    agree_with_torch(
        "pad",
        lambda x: functional.pad(x, (left, right, top, bottom), mode=theirs),
        rng.normal(size=(2, 3, 4, 5)),
        padding=((0, 0), (0, 0), *pads),
        mode=mode,
    )


@pytest.mark.parametrize(
    ("padding", "mode", "words"),
    [
        (((0, 0), (3, 0)), "reflect", "axis 1 of size 3; expected at most 2"),
        (((0, 0), (0, 4)), "wrap", "axis 1 of size 3; expected at most 3"),
        (((0, 0), (1, 1)), "mirror", "expected one of constant, reflect, edge, wrap"),
        ((1, 1), "constant", r"expected \(before, after\)"),
        ((1, 1, 1, 1), "constant", r"expected \(before, after\)"),
        (((0, 0), (-1, 1)), "constant", "none negative"),
    ],
)
def test_padding_that_cannot_be_is_refused(padding, mode, words):
    with pytest.raises(EngineError, match=words):
        ops.pad(engine.zeros(2, 3), padding, mode=mode)
