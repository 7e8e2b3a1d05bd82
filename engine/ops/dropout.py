"""Dropout, whose mask is computed anew from its key wherever it is needed, and random arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array, array_module
from engine.errors import EngineError
from engine.function import Axes, Call, Primitive, Step, apply, function, primitive
from engine.random import KEY_DTYPE, fill_bits
from engine.value import Spec, require_float


@primitive
class _Dropout(Primitive):
    """``x / (1 - rate)`` where the key's bits keep it, else 0. Linear: its own gradient."""

    name = "dropout"
    inplace = (0,)

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        require_float("dropout", inputs[0])
        return inputs[0]

    def layout(self, orders: Sequence[Axes], specs: Sequence[Spec], **attrs: Any) -> list[Axes]:
        return [orders[0]]

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        shape = attrs["mask_shape"]
        return Spec(shape, KEY_DTYPE), Spec(shape, inputs[0].dtype), Spec(shape, KEY_DTYPE)

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        (x, key), out, (bits, mask, temporary) = inputs, outputs[0], scratch
        places = array_module(bits).arange(bits.size, dtype=KEY_DTYPE).reshape(bits.shape)
        threshold = np.uint32(min(round(attrs["rate"] * 2**32), 2**32 - 1))
        scale = x.dtype.type(1.0 / (1.0 - attrs["rate"]))

        def step() -> None:
            fill_bits(bits, places, key, temporary)
            np.greater_equal(bits, threshold, out=mask)
            np.multiply(mask, scale, out=mask)
            np.multiply(x, mask, out=out)

        return step

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        return apply("dropout", grads[0], call.inputs[1], **call.attrs), None


@function("dropout")
def dropout(x: Any, rate: float = 0.5, training: bool | None = None, key: Any = None) -> Any:
    """``x`` with a share ``rate`` of its elements set to 0 and the others scaled by 1/(1-rate).

    Parameters
    ----------
    training : bool, optional
        False returns ``x`` itself. By default true on tensors, and in a plan what the plan does.
    key : array of uint32 (2,), optional
        Names the mask; a new one by default.
    """
    return _dropout(x, rate, training, key, x.shape)


@function("spatial_dropout")
def spatial_dropout(x: Any, rate: float = 0.5, training: bool | None = None) -> Any:
    """Dropout of whole channels of (N, C, spatial...)."""
    shape = (*x.shape[:2], *(1 for _ in x.shape[2:]))
    return _dropout(x, rate, training, None, shape)


@function("drop_path")
def drop_path(x: Any, rate: float = 0.5, training: bool | None = None) -> Any:
    """Dropout of whole samples of (N, ...): of what a residual block adds, for instance.

    References
    ----------
    Huang et al., "Deep networks with stochastic depth", 2016.
    """
    return _dropout(x, rate, training, None, (*x.shape[:1], *(1 for _ in x.shape[1:])))


def _dropout(
    x: Any, rate: float, training: bool | None, key: Any, mask_shape: tuple[int, ...]
) -> Any:
    if not 0.0 <= rate < 1.0:
        raise EngineError(f"dropout found rate={rate}; expected 0 or more and below 1.")
    require_float("dropout", x.spec)
    if rate == 0.0 or not (x.is_training if training is None else training):
        return x
    key = x.random_key() if key is None else key
    return apply("dropout", x, key, rate=float(rate), mask_shape=mask_shape)
