"""Transformer blocks against PyTorch's with the same weights, masks and all."""

from __future__ import annotations

import numpy as np
import pytest

import engine
from engine import nn
from engine.errors import EngineError, ShapeError

KEPT = np.array([[True] * 5, [True, True, True, False, False]])
SEEN = np.array([[True] * 4, [False, True, True, True]])


def _x(length, seed):
    return np.random.default_rng(seed).normal(size=(2, length, 8)).astype(np.float32)


def _compare(layer, twin, call, theirs):
    """Results at places that count, and the gradients of all weights."""
    import torch

    assert layer.load_state_dict(twin.state_dict()) == ([], [])
    found, expected = call(layer), theirs(twin)
    np.testing.assert_allclose(
        found.numpy()[KEPT], expected.detach().numpy()[KEPT], rtol=1e-5, atol=2e-6
    )
    weight = _x(5, 9) * KEPT[..., None]
    (found * engine.tensor(weight)).sum().backward()
    (expected * torch.from_numpy(weight)).sum().backward()
    own = dict(layer.named_parameters())
    for name, parameter in twin.named_parameters():
        np.testing.assert_allclose(
            own[name].grad.numpy(), parameter.grad.numpy(), rtol=1e-4, atol=2e-5, err_msg=name
        )


@pytest.mark.torch
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("is_causal", [False, True])
def test_an_encoder_equals_pytorch_s(norm_first, is_causal):
    import torch

    torch.manual_seed(0)
    make = torch.nn.TransformerEncoderLayer
    twin = torch.nn.TransformerEncoder(
        make(8, 2, 16, 0.0, "gelu", batch_first=True, norm_first=norm_first), 2,
        torch.nn.LayerNorm(8), enable_nested_tensor=False,
    )  # fmt: skip
    layers = [
        nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", norm_first=norm_first) for _ in range(2)
    ]
    x = _x(5, 1)
    drop = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1) if is_causal else None
    _compare(
        nn.TransformerEncoder(layers, nn.LayerNorm(8)),
        twin,
        lambda m: m(engine.tensor(x), is_causal=is_causal, key_mask=KEPT),
        lambda m: m(torch.from_numpy(x), mask=drop, src_key_padding_mask=torch.from_numpy(~KEPT)),
    )


@pytest.mark.torch
@pytest.mark.parametrize("norm_first", [False, True])
def test_a_decoder_equals_pytorch_s(norm_first):
    import torch

    torch.manual_seed(0)
    make = torch.nn.TransformerDecoderLayer
    twin = torch.nn.TransformerDecoder(
        make(8, 2, 32, 0.0, batch_first=True, norm_first=norm_first), 2
    )
    layers = [nn.TransformerDecoderLayer(8, 2, None, 0.0, norm_first=norm_first) for _ in range(2)]
    x, memory = _x(5, 1), _x(4, 2)
    _compare(
        nn.TransformerDecoder(layers),
        twin,
        lambda m: m(
            engine.tensor(x),
            engine.tensor(memory),
            key_mask=engine.tensor(KEPT),
            memory_key_mask=engine.tensor(SEEN),
        ),
        lambda m: m(
            torch.from_numpy(x),
            torch.from_numpy(memory),
            tgt_mask=torch.triu(torch.ones(5, 5, dtype=torch.bool), 1),
            tgt_key_padding_mask=torch.from_numpy(~KEPT),
            memory_key_padding_mask=torch.from_numpy(~SEEN),
        ),
    )


def test_masks_of_keys_and_of_pairs_hold_together():
    engine.manual_seed(0)
    layer = nn.MultiheadAttention(8, 2)
    x = engine.tensor(_x(5, 3))
    pairs = np.random.default_rng(4).uniform(size=(5, 5)) < 0.6
    pairs[:, 0] = True
    both = layer(x, mask=engine.tensor(pairs), key_mask=KEPT)
    joined = pairs & KEPT[:, None, None, :]
    np.testing.assert_allclose(
        both.numpy(), layer(x, x, x, engine.tensor(joined)).numpy(), atol=1e-6
    )
    np.testing.assert_array_equal(layer(x).numpy(), layer(x, x, x).numpy())
    with pytest.raises(ShapeError, match=r"key_mask bool\(2, 4\) .* expected bool\(2, 5\)"):
        layer(x, key_mask=SEEN)
    with pytest.raises(ShapeError, match=r"key_mask float32\(2, 5\)"):
        layer(x, key_mask=np.ones((2, 5), np.float32))


def test_dropout_acts_in_training_only_and_repeats_with_the_seed():
    engine.manual_seed(0)
    layer, x = nn.TransformerEncoderLayer(8, 2, dropout=0.5), engine.tensor(_x(5, 3))
    draws = []
    for _ in range(2):
        engine.manual_seed(3)
        draws.append(layer(x).numpy())
    np.testing.assert_array_equal(*draws)
    assert (layer(x).numpy() != draws[0]).any()
    layer.eval()
    np.testing.assert_array_equal(layer(x).numpy(), layer(x).numpy())


def test_positions_are_added():
    x = engine.tensor(_x(5, 3))
    fixed = nn.SinusoidalPositions()(x).numpy() - x.numpy()
    np.testing.assert_allclose(fixed[:, 3, :2], [[np.sin(3.0), np.cos(3.0)]] * 2, atol=1e-6)
    learnt = nn.LearnedPositions(6, 8)
    np.testing.assert_allclose(learnt(x).numpy(), x.numpy() + learnt.weight.numpy()[:5], rtol=1e-6)
    learnt(x).sum().backward()
    assert learnt.weight.grad.numpy()[:, 0].tolist() == [2.0] * 5 + [0.0]
    with pytest.raises(ShapeError, match=r"with T of at most 4"):
        nn.LearnedPositions(4, 8)(x)
    with pytest.raises(EngineError, match="activation='swish'; expected one of relu, gelu"):
        nn.TransformerEncoderLayer(8, 2, activation="swish")
