"""Recurrent layers in native code: GRU, simple RNN, and samples of different lengths."""

import numpy as np
import pytest

GATES = {"gru": 3, "lstm": 4, "rnn": 1}
SIZES = [(1, 1, 1, 1), (5, 4, 3, 6), (9, 3, 8, 20), (33, 5, 4, 17)]


def parameter(b, name, *shape):
    return b.parameter(name, shape, init="uniform", low=-0.5, high=0.5)


def layer(op, inputs, hidden, *, reads="all", **options):
    """``make`` for one direction of a layer whose results all reach the loss, or some of them."""

    def make(b, x, lengths=None):
        gates = GATES[op]
        weights = [
            parameter(b, "ih", gates * hidden, inputs),
            parameter(b, "hh", gates * hidden, hidden),
            parameter(b, "bias", gates * hidden),
        ]
        if op == "gru":
            weights.append(parameter(b, "bias_hh", gates * hidden))
        y, *states = b.call(op, x, *weights, lengths=lengths, **options)
        if reads == "sequence":
            return y
        if reads == "state":
            return states[0]
        return b.call("concatenate", b.call("flatten", y), *states, axis=1)

    return make


@pytest.mark.parametrize(("size", "length", "inputs", "hidden"), SIZES)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("op", ["gru", "rnn"])
def test_both_directions(verify, op, size, length, inputs, hidden, reverse):
    verify(layer(op, inputs, hidden, reverse=reverse), (size, length, inputs))


def test_rectified_rnn(verify):
    verify(layer("rnn", 8, 20, activation="relu"), (9, 3, 8))


@pytest.mark.parametrize(("size", "length", "inputs", "hidden"), SIZES[1:])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("op", GATES)
def test_samples_end_at_steps_of_their_own(verify, op, size, length, inputs, hidden, reverse):
    lengths = np.random.default_rng(1).integers(0, length + 1, size)
    lengths[:2] = 0, length
    verify(layer(op, inputs, hidden, reverse=reverse), (size, length, inputs), {"lengths": lengths})


@pytest.mark.parametrize("reads", ["sequence", "state"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("op", GATES)
def test_gradients_that_nothing_gives(verify, op, masked, reads):
    dtype = np.uint8 if reads == "state" else np.int32
    lengths = {"lengths": np.array([3, 1, 2, 0, 3], dtype)} if masked else {}
    verify(layer(op, 4, 18, reads=reads), (5, 3, 4), lengths)


@pytest.mark.parametrize("op", GATES)
def test_first_states_that_are_parts_of_another_array(verify, op):
    def make(b, x):
        count = 2 if op == "lstm" else 1
        states = b.call("slice", x, (slice(None), 0, slice(1, None)))
        gates = GATES[op]
        weights = [
            parameter(b, "ih", gates * 7, 8),
            parameter(b, "hh", gates * 7, 7),
            parameter(b, "bias", gates * 7),
        ]
        if op == "gru":
            weights.append(None)
        return b.call(op, x, *weights, *[states] * count)[0]

    verify(make, (5, 3, 8))


@pytest.mark.parametrize("op", GATES)
def test_an_ended_sample_reads_no_further(op):
    """What lies behind a sample's end, even no number at all, changes nothing."""
    from engine.plan import PlanBuilder

    def build():
        b = PlanBuilder()
        x, lengths = b.input("x", ("N", 4, 3)), b.input("lengths", ("N",), "int64")
        y = layer(op, 3, 5)(b, x, lengths)
        b.loss("loss", b.call("mean", b.call("square", y)))
        return b.build(seed=1)

    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 4, 3)).astype(np.float32)
    lengths = np.array([2, 4, 0])
    plan = build()
    plan.prepare(3, ("evaluate",))
    expected = plan.evaluate({"x": x, "lengths": lengths})["loss"]
    x[0, 2:], x[2] = np.nan, np.nan
    assert plan.evaluate({"x": x, "lengths": lengths})["loss"] == expected


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("worst", [np.nan, np.inf])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("op", GATES)
def test_what_does_not_count_is_not_even_multiplied_by_0(op, reverse, worst, native):
    """Gradients of padded outputs, and the first state of a sample that has no steps."""
    from engine.plan import PlanBuilder

    hidden = 18
    b = PlanBuilder()
    x, lengths = b.input("x", ("N", 4, 3)), b.input("lengths", ("N",), "int64")
    factor, state = b.input("factor", ("N", 4, hidden)), b.input("state", ("N", hidden))
    weights = [parameter(b, k, GATES[op] * hidden, n) for k, n in (("ih", 3), ("hh", hidden))]
    weights += [parameter(b, k, GATES[op] * hidden) for k in ("bias", "bias_hh")][
        : 1 + (op == "gru")
    ]
    states = [state] * (2 if op == "lstm" else 1)
    y, *_ = b.call(op, x, *weights, *states, lengths=lengths, reverse=reverse)
    b.loss("loss", b.call("mean", b.call("multiply", y, factor)))
    plan = b.build(seed=1)

    rng = np.random.default_rng(0)
    batch = {
        "x": rng.normal(size=(3, 4, 3)).astype(np.float32),
        "lengths": np.array([2, 0, 4]),
        "factor": rng.normal(size=(3, 4, hidden)).astype(np.float32),
        "state": rng.normal(size=(3, hidden)).astype(np.float32),
    }
    if native:
        plan.prepare(3, ("gradients",))
    _, expected = plan.gradients(batch)
    batch["factor"][0, 2:], batch["factor"][1], batch["state"][1] = worst, worst, worst
    _, found = plan.gradients(batch)
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, err_msg=key)
