"""The arrays of a model: parameters, their gradients and states, laid out in a plan's memory."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backend import Array, aligned, assign, carved
from engine.errors import PlanError
from engine.init import draw
from engine.plan.memory import ALIGNMENT, ordered_strides

if TYPE_CHECKING:
    from engine.plan.builder import Leaf


@dataclass
class ModelArrays:
    """What a model holds; trained parameters lie one behind the other in one piece of memory."""

    weights: Array
    """All trained parameters, float32, with gaps of zeros up to the next cache line."""
    gradients: Array
    """As ``weights``."""
    parameters: dict[str, Array] = field(default_factory=dict)
    states: dict[str, Array] = field(default_factory=dict)
    slots: dict[str, Array] = field(default_factory=dict)
    """The part of ``gradients`` that belongs to each trained parameter."""


def make_arrays(
    leaves: Mapping[str, Leaf],
    trained: Sequence[str],
    order: Callable[[str, tuple[int, ...]], tuple[int, ...]],
    seed: int,
    device: str,
) -> ModelArrays:
    """Draw the initial values of all parameters and states, each from its own random numbers.

    Parameters
    ----------
    leaves : by name
        Those of other kinds are passed over.
    trained : sequence of str
        Parameters of which the optimiser takes care.
    order : callable
        Memory order of an array by its name and shape.
    """
    named = {k: v for k, v in leaves.items() if v.kind in ("parameter", "state")}
    sizes = {k: _rounded(math.prod(_sizes(named[k]))) for k in trained}
    total = sum(sizes.values())
    made = ModelArrays(zeros(total, device), zeros(total, device))
    offset = 0
    for name, leaf in named.items():
        shape = _sizes(leaf)
        rng = np.random.default_rng((seed, zlib.crc32(name.encode())))
        values = draw(leaf.init, shape, rng, leaf.dtype, **(leaf.options or {}))
        if name in sizes:
            strides = ordered_strides(shape, order(name, shape), 4)
            start = offset * 4
            offset += sizes[name]
            array = carved(made.weights, shape, np.float32, start, strides)
            made.slots[name] = carved(made.gradients, shape, np.float32, start, strides)
        else:
            strides = ordered_strides(shape, order(name, shape), leaf.dtype.itemsize)
            memory = aligned(values.size * leaf.dtype.itemsize, ALIGNMENT, device)
            array = carved(memory, shape, leaf.dtype, 0, strides)
        assign(array, values)
        (made.parameters if leaf.kind == "parameter" else made.states)[name] = array
    return made


def zeros(size: int, device: str) -> Array:
    """float32 zeros (size,) from the start of a cache line on."""
    return carved(aligned(size * 4, ALIGNMENT, device), (size,), np.float32, 0, (4,))


def check_names(what: str, given: Mapping[str, Any], own: Mapping[str, Array]) -> None:
    """Raise PlanError unless ``given`` has numbers of the right shape for each of ``own``."""
    missing, unknown = sorted(set(own) - set(given)), sorted(set(given) - set(own))
    if missing or unknown:
        raise PlanError(
            f"The {what} do not fit this plan: missing {missing or 'nothing'}, "
            f"unknown {unknown or 'nothing'}."
        )
    for name, array in own.items():
        found = np.asarray(given[name])
        if found.shape != array.shape or found.dtype.kind not in "biuf":
            raise PlanError(
                f"'{name}' found {found.dtype}{found.shape}; expected numbers of shape "
                f"{array.shape}."
            )


def _sizes(leaf: Leaf) -> tuple[int, ...]:
    return tuple(int(n) for n in leaf.shape)


def _rounded(size: int) -> int:
    per_line = ALIGNMENT // 4
    return -(-size // per_line) * per_line
