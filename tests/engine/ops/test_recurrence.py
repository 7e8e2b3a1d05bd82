"""Recurrent layers against PyTorch (packed sequences included) and finite differences."""

import numpy as np
import pytest

import engine
from engine import ops
from engine.errors import EngineError, ShapeError
from engine.plan import PlanBuilder
from engine.testing import check_gradients

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
N, T, D, H = 3, 5, 4, 2


def _torch_layer(name, bidirectional=False):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    cls = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[name]
    return cls(D, H, batch_first=True, bidirectional=bidirectional, dtype=torch.float64)


def _weights(name, layer, suffix=""):
    """Our parameters from a PyTorch layer: one bias a gate, two for the GRU."""
    p = {k: v.detach().numpy() for k, v in layer.named_parameters()}
    w = [p[f"weight_ih_l0{suffix}"], p[f"weight_hh_l0{suffix}"]]
    b = [p[f"bias_ih_l0{suffix}"], p[f"bias_hh_l0{suffix}"]]
    return [*w, *b] if name == "gru" else [*w, b[0] + b[1]]


@pytest.mark.torch
@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize(
    ("lengths", "padding"),
    [(None, 0.0), ([5, 2, 3], 1.0), ([5, 2, 3], np.nan), ([5, 2, 3], -np.inf)],
)
def test_both_directions_equal_torch(rng, name, lengths, padding):
    torch = pytest.importorskip("torch")
    layer = _torch_layer(name, bidirectional=True)
    data = rng.normal(size=(N, T, D))
    for row, length in zip(data, lengths or (T,) * N, strict=True):
        row[length:] = padding  # which torch's packed sequences leave out
    theirs = torch.tensor(data, requires_grad=True)
    if lengths is None:
        expected, states = layer(theirs)
    else:
        pack = torch.nn.utils.rnn.pack_padded_sequence(theirs, lengths, True, False)
        packed, states = layer(pack)
        expected, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, True, total_length=T)
    states = states if isinstance(states, tuple) else (states,)
    loss = expected.square().sum() + sum((s * s * s).sum() for s in states)
    loss.backward()

    ours = engine.tensor(data, requires_grad=True)
    steps = None if lengths is None else engine.tensor(np.array(lengths))
    total, parts, weights = 0.0, [], []
    for direction, suffix in enumerate(("", "_reverse")):
        w = [engine.tensor(a, requires_grad=True) for a in _weights(name, layer, suffix)]
        y, *last = getattr(ops, name)(ours, *w, lengths=steps, reverse=bool(direction))
        parts.append(y)
        weights.append(w)
        for mine, real in zip(last, states, strict=True):
            np.testing.assert_allclose(mine.data, real[direction].detach().numpy(), atol=1e-12)
            total = total + (mine * mine * mine).sum()
    sequence = ops.concatenate(*parts, axis=2)
    np.testing.assert_allclose(sequence.data, expected.detach().numpy(), atol=1e-12)
    total = total + (sequence * sequence).sum()
    total.backward()
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), atol=1e-11)
    grads = {k: v.grad.numpy() for k, v in layer.named_parameters()}
    for w, suffix in zip(weights, ("", "_reverse"), strict=True):
        np.testing.assert_allclose(w[0].grad.data, grads[f"weight_ih_l0{suffix}"], atol=1e-11)
        np.testing.assert_allclose(w[1].grad.data, grads[f"weight_hh_l0{suffix}"], atol=1e-11)
        np.testing.assert_allclose(w[-1].grad.data, grads[f"bias_hh_l0{suffix}"], atol=1e-11)


@pytest.mark.torch
def test_rnn_with_relu_equals_torch(rng):
    torch = pytest.importorskip("torch")
    layer = torch.nn.RNN(D, H, nonlinearity="relu", batch_first=True, dtype=torch.float64)
    data = rng.normal(size=(N, T, D))
    x = engine.tensor(data, requires_grad=True)
    y, _ = ops.rnn(x, *map(engine.tensor, _weights("rnn", layer)), activation="relu")
    tx = torch.tensor(data, requires_grad=True)
    expected, _ = layer(tx)
    expected.square().sum().backward()
    (y * y).sum().backward()
    np.testing.assert_allclose(y.data, expected.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(x.grad.data, tx.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_match_finite_differences_states_included(rng, name, reverse):
    wide = GATES[name] * H
    arrays = [
        rng.normal(size=(2, 3, D)),
        rng.normal(size=(wide, D)),
        rng.normal(size=(wide, H)),
        rng.normal(size=wide),
        *([rng.normal(size=wide)] if name == "gru" else []),
        rng.normal(size=(2, H)),
        *([rng.normal(size=(2, H))] if name == "lstm" else []),
    ]
    lengths = engine.tensor(np.array([3, 2]))

    def f(*values):
        y, *last = getattr(ops, name)(*values, lengths=lengths, reverse=reverse)
        total = (y * y).sum()
        for s in last:
            total = total + (s * s * s).sum()
        return total

    check_gradients(f, *arrays, tolerance=1e-5)


@pytest.mark.parametrize("name", GATES)
def test_a_plan_agrees_with_tensors(rng, name):
    wide = GATES[name] * H
    b = PlanBuilder()
    x = b.input("x", ("N", T, D))
    shapes = {"ih": (wide, D), "hh": (wide, H), "b": (wide,)}
    if name == "gru":
        shapes["b2"] = (wide,)
    y, *last = b.call(
        name, x, *(b.parameter(k, s, init="normal", std=0.5) for k, s in shapes.items())
    )
    b.output("y", y)
    b.output("last", last[0])
    b.loss("l", b.call("mean", b.call("multiply", y, y)))
    plan = b.build()
    data = rng.normal(size=(N, T, D)).astype(np.float32)
    t = {k: engine.tensor(v, requires_grad=True) for k, v in plan.parameters.items()}
    ey, *elast = getattr(ops, name)(engine.tensor(data), *t.values())
    (ey * ey).mean().backward()
    out = plan.forward({"x": data})
    np.testing.assert_allclose(out["y"], ey.data, atol=1e-6)
    np.testing.assert_allclose(out["last"], elast[0].data, atol=1e-6)
    for key, gradient in plan.gradients({"x": data})[1].items():
        np.testing.assert_allclose(gradient, t[key].grad.data, atol=1e-6)


def test_one_step_is_the_cell(rng):
    x, w, u = (engine.tensor(rng.normal(size=s)) for s in ((2, 1, D), (H, D), (H, H)))
    h = engine.tensor(rng.normal(size=(2, H)))
    _, last = ops.rnn(x, w, u, h0=h)
    expected = np.tanh(x.data[:, 0] @ w.data.T + h.data @ u.data.T)
    np.testing.assert_allclose(last.data, expected)


def test_wrong_operands_are_refused(rng):
    x = engine.tensor(np.ones((N, T, D)))
    w, u = engine.tensor(np.ones((4 * H, D))), engine.tensor(np.ones((4 * H, H)))
    with pytest.raises(ShapeError, match="expected"):
        ops.lstm(x, u, w)
    with pytest.raises(ShapeError, match="expected"):
        ops.gru(x, w, u)
    with pytest.raises(EngineError, match="one a sample"):
        ops.lstm(x, w, u, lengths=engine.tensor(np.ones(N)))
    with pytest.raises(EngineError, match="tanh"):
        ops.rnn(x, w, u, activation="sigmoid")


@pytest.mark.parametrize("wrong", [-1, 6])
def test_a_length_out_of_range_is_named(rng, wrong):
    w = [engine.tensor(rng.normal(size=s)) for s in ((H, D), (H, H))]
    lengths = engine.tensor(np.array([5, wrong, 0]))
    with pytest.raises(EngineError, match=f"found {wrong} for sequences of 5 steps"):
        ops.rnn(engine.tensor(rng.normal(size=(N, T, D))), *w, lengths=lengths)


def test_a_sequence_of_no_steps_keeps_its_first_state(rng):
    w = [engine.tensor(rng.normal(size=s)) for s in ((3 * H, D), (3 * H, H))]
    h0 = engine.tensor(rng.normal(size=(N, H)))
    lengths = engine.tensor(np.array([5, 0, 1]))
    y, last = ops.gru(engine.tensor(rng.normal(size=(N, T, D))), *w, h0=h0, lengths=lengths)
    np.testing.assert_array_equal(last.data[1], h0.data[1])
    assert not y.data[1].any()


def _operands(rng, name):
    wide = GATES[name] * H
    shapes = {"ih": (wide, D), "hh": (wide, H), "b": (wide,)}
    if name == "gru":
        shapes["b2"] = (wide,)
    shapes["h0"] = (N, H)
    if name == "lstm":
        shapes["c0"] = (N, H)
    return {k: rng.normal(size=s) for k, s in shapes.items()}


@pytest.mark.parametrize("worst", [np.nan, np.inf])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", GATES)
def test_what_does_not_count_is_not_even_multiplied_by_0(rng, name, reverse, worst):
    """Gradients of padded outputs, and the first state of a sample that has no steps."""
    arrays = _operands(rng, name)
    x, lengths = rng.normal(size=(N, T, D)), np.array([2, 0, T])
    padded = np.arange(T)[:, None] >= lengths[:, None, None]
    g = rng.normal(size=(N, T, H))

    def gradients(states, g):
        values = {k: engine.tensor(v, requires_grad=True) for k, v in {**arrays, **states}.items()}
        y, *_ = getattr(ops, name)(
            engine.tensor(x), *values.values(), lengths=engine.tensor(lengths), reverse=reverse
        )
        y.backward(g)
        return y.data, {k: v.grad.data for k, v in values.items()}

    states = {
        k: np.where(np.arange(N)[:, None] == 1, worst, arrays[k])
        for k in ("h0", "c0")
        if k in arrays
    }
    y, found = gradients(states, np.where(padded, worst, g))
    expected_y, expected = gradients({}, np.where(padded, 0.0, g))
    np.testing.assert_array_equal(y, expected_y)
    for key, array in found.items():
        np.testing.assert_array_equal(array, expected[key], err_msg=key)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_gates_keep_their_digits_where_they_are_almost_shut(name):
    """One step with a gate at -20, which leaves 2e-9: written with tanh, it would leave 0."""
    wide = GATES[name] * H
    bias = np.zeros(wide, np.float32)
    shut = slice(3 * H, None) if name == "lstm" else slice(H, 2 * H)
    bias[shut] = -20.0
    x = engine.tensor(np.zeros((1, 1, D), np.float32))
    w = [engine.tensor(np.zeros((wide, n), np.float32)) for n in (D, H)]
    h0 = engine.tensor(np.ones((1, H), np.float32))
    if name == "lstm":
        c0 = engine.tensor(np.full((1, H), 2.0, np.float32))
        y, *_ = ops.lstm(x, *w, engine.tensor(bias), h0, c0)
        expected = np.tanh(1.0) / (1.0 + np.exp(20.0))
    else:
        y, _ = ops.gru(x, *w, engine.tensor(bias), None, h0)
        expected = 1.0 / (1.0 + np.exp(20.0))
    np.testing.assert_allclose(y.data, expected, rtol=1e-5)


@pytest.mark.parametrize("name", GATES)
def test_what_nothing_gives_is_no_operand_of_the_gradient(rng, name):
    """Whether a gradient comes in follows from the graph, not from zeros that stand for none."""
    b = PlanBuilder()
    shapes = {k: v.shape for k, v in _operands(rng, name).items() if k not in ("h0", "c0")}
    weights = [b.parameter(k, s, init="normal", std=0.5) for k, s in shapes.items()]
    y, *_ = b.call(name, b.input("x", ("N", T, D)), *weights)
    b.loss("l", b.call("mean", b.call("square", y)))
    steps = {s.name: s for s in b.build().steps(N, "gradients")}
    step = steps[f"{name}_gradient"]
    came = step.attrs["given"]
    assert came == (True, *[False] * (len(came) - 1))
    assert [a.shape for a in step.inputs if a.shape == (1, 1, 1)] == []
