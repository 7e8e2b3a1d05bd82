"""Stacked and bidirectional recurrent layers and cells against PyTorch with the same weights."""

from __future__ import annotations

import numpy as np
import pytest

import engine
from engine import nn, ops
from engine.errors import EngineError, ShapeError

N, T, D, H = 3, 5, 4, 2


def _twin(layer, cls, **options):
    """PyTorch's layer with our weights; its second offsets are zeros where we have one."""
    torch = pytest.importorskip("torch")
    made = cls(D, H, **options)
    state = {k: torch.from_numpy(v) for k, v in layer.state_dict().items()}
    for name, value in made.state_dict().items():
        state.setdefault(name, torch.zeros_like(value))
    made.load_state_dict(state)
    return made


def _filled(layer, rng):
    for parameter in layer.parameters():
        parameter.data[...] = 0.5 * rng.normal(size=parameter.shape)
    return layer


@pytest.mark.torch
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [None, [5, 2, 3]])
def test_layers_equal_pytorch_s(rng, name, bidirectional, lengths):
    torch = pytest.importorskip("torch")
    layer = _filled(getattr(nn, name)(D, H, 2, bidirectional), rng)
    options = {"num_layers": 2, "bidirectional": bidirectional, "batch_first": True}
    twin = _twin(layer, getattr(torch.nn, name), **options)
    count = 4 if bidirectional else 2
    x = rng.normal(size=(N, T, D)).astype(np.float32)
    first = [rng.normal(size=(count, N, H)).astype(np.float32) for _ in range(layer.num_states)]

    given = tuple(map(engine.tensor, first))
    steps = None if lengths is None else engine.tensor(np.array(lengths))
    a = engine.tensor(x, requires_grad=True)
    y, last = layer(a, given if name == "LSTM" else given[0], steps)

    b = torch.tensor(x, requires_grad=True)
    begun = tuple(map(torch.tensor, first))
    begun = begun if name == "LSTM" else begun[0]
    if lengths is None:
        expected, end = twin(b, begun)
    else:
        pack = torch.nn.utils.rnn.pack_padded_sequence(b, lengths, True, False)
        packed, end = twin(pack, begun)
        expected, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, True, total_length=T)
    ends = end if isinstance(end, tuple) else (end,)
    lasts = last if isinstance(last, tuple) else (last,)

    np.testing.assert_allclose(y.data, expected.detach().numpy(), atol=1e-6)
    total, wanted = (y * y).sum(), expected.square().sum()
    for mine, real in zip(lasts, ends, strict=True):
        np.testing.assert_allclose(mine.data, real.detach().numpy(), atol=1e-6)
        total, wanted = total + (mine * mine * mine).sum(), wanted + (real**3).sum()
    total.backward()
    wanted.backward()
    np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-4, atol=1e-5)
    theirs = dict(twin.named_parameters())
    for key, parameter in layer.named_parameters():
        np.testing.assert_allclose(
            parameter.grad.data, theirs[key].grad.numpy(), rtol=1e-4, atol=1e-5, err_msg=key
        )


@pytest.mark.torch
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_cells_equal_pytorch_s(rng, name):
    torch = pytest.importorskip("torch")
    cell = _filled(getattr(nn, f"{name}Cell")(D, H), rng)
    twin = _twin(cell, getattr(torch.nn, f"{name}Cell"))
    x = rng.normal(size=(N, D)).astype(np.float32)
    states = [rng.normal(size=(N, H)).astype(np.float32) for _ in range(2)]
    pick = (lambda s: tuple(s)) if name == "LSTM" else (lambda s: s[0])
    found = cell(engine.tensor(x), pick([engine.tensor(s) for s in states]))
    expected = twin(torch.tensor(x), pick([torch.tensor(s) for s in states]))
    if name != "LSTM":
        found, expected = (found,), (expected,)
    for mine, real in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine.data, real.detach().numpy(), atol=1e-6)


def test_dropout_acts_between_layers_in_training_only(rng):
    engine.manual_seed(0)
    x = engine.tensor(rng.normal(size=(N, T, D)).astype(np.float32))
    layer = nn.GRU(D, 16, num_layers=2, dropout=0.5)
    first, second = layer(x)[0].numpy(), layer(x)[0].numpy()
    assert (first != second).any()
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0].numpy(), layer(x)[0].numpy())
    single = nn.GRU(D, 16, dropout=0.5)  # nothing lies behind its only layer
    np.testing.assert_array_equal(single(x)[0].numpy(), single(x)[0].numpy())


def test_a_decoder_loop_of_cells_learns(rng):
    """Repeat a sequence backwards: an encoder layer, and a cell that the loop feeds itself."""
    engine.manual_seed(3)
    encoder, cell, head = nn.GRU(3, 24), nn.GRUCell(3, 24), nn.Linear(24, 3)
    parameters = [p for m in (encoder, cell, head) for p in m.parameters()]
    optimizer = engine.optim.Adam(0.02, parameters=parameters)
    ids = rng.integers(0, 3, (32, 3))
    x = np.eye(3, dtype=np.float32)[ids]
    for _ in range(150):
        _, last = encoder(engine.tensor(x))
        h, fed, losses = last[0], engine.tensor(np.zeros((32, 3), np.float32)), []
        for t in range(2, -1, -1):
            h = cell(fed, h)
            logits = head(h)
            losses.append(ops.cross_entropy(logits, engine.tensor(ids[:, t])))
            fed = ops.softmax(logits)
        loss = losses[0] + losses[1] + losses[2]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3


def test_wrong_states_and_sizes_are_named(rng):
    layer = nn.LSTM(D, H, 2)
    x = engine.tensor(np.zeros((N, T, D), np.float32))
    state = engine.tensor(np.zeros((1, N, H), np.float32))
    with pytest.raises(ShapeError, match=r"expected 2 of shape \(2, 3, 2\)"):
        layer(x, (state, state))
    with pytest.raises(EngineError, match="0 layers; expected 1 or more"):
        nn.GRU(D, H, 0)
