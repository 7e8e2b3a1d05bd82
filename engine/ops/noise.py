"""Random arrays: uniform and normal draws, Gaussian noise, the reparameterised sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array, array_module
from engine.function import Primitive, Step, apply, function, primitive
from engine.random import KEY_DTYPE, fill_bits
from engine.value import Spec, require_float, setting


class _Random(Primitive):
    """Values from a key; no gradient."""

    passes_gradient = False

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return Spec(attrs["shape"], np.dtype(attrs["dtype"]))


@primitive
class _RandomUniform(_Random):
    name = "random_uniform"

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        return (Spec(attrs["shape"], KEY_DTYPE),) * 2

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        key, out, (bits, room) = inputs[0], outputs[0], scratch
        places = array_module(bits).arange(bits.size, dtype=KEY_DTYPE).reshape(bits.shape)

        def step() -> None:
            fill_bits(bits, places, key, room)
            np.right_shift(bits, np.uint32(8), out=bits)  # 24 bits are exact in float32
            np.multiply(bits, 2.0**-24, out=out, casting="unsafe")

        return step


@primitive
class _RandomNormal(_Random):
    """By the method of Box and Muller, from two uniform draws an element."""

    name = "random_normal"

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        bits, value = (
            Spec(attrs["shape"], KEY_DTYPE),
            Spec(attrs["shape"], np.dtype(attrs["dtype"])),
        )
        return bits, bits, value

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        key, out, (bits, room, radius) = inputs[0], outputs[0], scratch
        places = array_module(bits).arange(bits.size, dtype=KEY_DTYPE).reshape(bits.shape)
        other = array_module(key).empty(2, KEY_DTYPE)

        def step() -> None:
            fill_bits(bits, places, key, room)
            np.right_shift(bits, np.uint32(8), out=bits)
            np.add(bits, np.uint32(1), out=bits)  # in (0, 1]: its logarithm is finite
            np.multiply(bits, 2.0**-24, out=radius, casting="unsafe")
            np.log(radius, out=radius)
            np.multiply(radius, -2.0, out=radius)
            np.sqrt(radius, out=radius)
            np.bitwise_xor(key, np.uint32(0x5BF03635), out=other)
            fill_bits(bits, places, other, room)
            np.right_shift(bits, np.uint32(8), out=bits)
            np.multiply(bits, 2.0 * np.pi * 2.0**-24, out=out, casting="unsafe")
            np.cos(out, out=out)
            np.multiply(out, radius, out=out)

        return step


@function("random_uniform_like")
def random_uniform_like(x: Any, low: float = 0.0, high: float = 1.0) -> Any:
    """Values evenly spread over ``low .. high``, in the shape of ``x``; new ones each time."""
    require_float("random_uniform_like", x.spec)
    low = setting("random_uniform_like", "low", low)
    high = setting("random_uniform_like", "high", high, low)
    u = apply("random_uniform", x.random_key(), shape=x.shape, dtype=x.dtype.name)
    return u if (low, high) == (0.0, 1.0) else u * (high - low) + low


@function("random_normal_like")
def random_normal_like(x: Any, mean: float = 0.0, std: float = 1.0) -> Any:
    """Normally distributed values in the shape of ``x``; new ones each time."""
    require_float("random_normal_like", x.spec)
    mean = setting("random_normal_like", "mean", mean)
    std = setting("random_normal_like", "std", std, 0.0)
    z = apply("random_normal", x.random_key(), shape=x.shape, dtype=x.dtype.name)
    return z if (mean, std) == (0.0, 1.0) else z * std + mean


@function("gaussian_noise")
def gaussian_noise(x: Any, std: float, training: bool | None = None) -> Any:
    """``x`` plus normal noise in training, else ``x`` itself."""
    std = setting("gaussian_noise", "std", std, 0.0)
    if std == 0 or not (x.is_training if training is None else training):
        return x
    return x + random_normal_like(x) * std


@function("reparameterize")
def reparameterize(mean: Any, log_var: Any, training: bool | None = None) -> Any:
    """A draw from the normal distribution of that mean and log variance; gradients reach both.

    In inference the mean itself.
    """
    if not (mean.is_training if training is None else training):
        return mean
    return mean + apply("exp", log_var * 0.5) * random_normal_like(mean)
