"""The protocol: whatever goes in comes out, and nothing else does."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphstudio.training import messages
from graphstudio.training.messages import Control, Evaluated, Failed, StepMetrics, decode, encode


@given(st.lists(st.floats()), st.text())
def test_every_message_survives_the_pipe(numbers: list[float], text: str) -> None:
    steps = StepMetrics(
        steps=list(range(len(numbers))),
        epochs=numbers,
        values={text: numbers},
        learning_rate=numbers,
        samples_per_s=1.5,
        time_left_s=math.inf,
    )
    line = encode(steps)
    assert "\n" not in line
    assert repr(decode(line)) == repr(steps)
    failed = Failed(reason="x", message=text)
    assert decode(encode(failed)) == failed


def test_evaluations_and_controls_survive_the_pipe() -> None:
    for message in (
        Evaluated(split="test", num_samples=2, values={"loss": 0.5}, confusion=[[1, 0], [0, 1]]),
        Control(action="pause"),
    ):
        assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "line",
    [
        "",
        "hello",
        "[]",
        "null",
        "{}",
        '{"v":1}',
        '{"v":2,"type":"Control","action":"pause"}',
        '{"v":1,"type":"Nonsense"}',
        '{"v":1,"type":"Control"}',
        '{"v":1,"type":"Control","action":"pause","more":1}',
        '{"v":1,"type":["Control"],"action":"pause"}',
        "[" * 100_000,
    ],
)
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a message"):
        messages.decode(line)
