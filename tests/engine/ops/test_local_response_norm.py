"""Local response normalisation against PyTorch."""

import pytest

import engine
from engine import ops
from engine.errors import EngineError, ShapeError


@pytest.mark.torch
@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("shape", [(2, 6, 5), (2, 6, 3, 4)])
def test_it_equals_torch(rng, agree_with_torch, size, shape):
    from torch.nn import functional

    agree_with_torch(
        "local_response_norm",
        lambda x: functional.local_response_norm(x, size, 0.3, 0.6, 2.0),
        3 * rng.normal(size=shape),
        size=size, alpha=0.3, beta=0.6, k=2.0,
    )  # fmt: skip


def test_what_cannot_be_is_refused():
    with pytest.raises(ShapeError, match=r"expected \(N, C, spatial"):
        ops.local_response_norm(engine.zeros(2, 3), 2)
    with pytest.raises(EngineError, match="size=0; expected 1 or more"):
        ops.local_response_norm(engine.zeros(2, 3, 4), 0)
