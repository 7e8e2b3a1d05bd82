"""Counter-based random bits: the same seed and counter give the same numbers everywhere.

Every random operation draws from its own *key*, two 32-bit numbers made of the seed, a counter
of steps and the operation's number. Nothing depends on the order in which memory is visited, so
kernels may work in any order and in parallel, and a state to resume from is two integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.backend import Array
from engine.errors import EngineError

KEY_DTYPE = np.dtype(np.uint32)
_MASK = (1 << 64) - 1


def mix(value: int) -> int:
    """A 64-bit number scrambled (the finaliser of SplitMix64)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class RandomState:
    """Seed and counter from which keys are made."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = int(seed)
        self.counter = 0

    def key(self, number: int = 0) -> tuple[int, int]:
        """Key of operation ``number`` at the present count."""
        value = mix(mix(mix(self.seed & _MASK) ^ self.counter) ^ number)
        return value & 0xFFFFFFFF, value >> 32

    def advance(self) -> None:
        self.counter += 1

    def state_dict(self) -> dict[str, int]:
        """Plain numbers from which the sequence goes on."""
        return {"seed": self.seed, "counter": self.counter}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        try:
            self.seed, self.counter = int(state["seed"]), int(state["counter"])
        except (KeyError, TypeError, ValueError) as error:
            raise EngineError(
                f"random state found {state!r}; expected whole numbers 'seed' and 'counter'."
            ) from error


sequence = RandomState(0)
"""What eager random operations draw from; its ``state_dict`` tells where it is."""


def manual_seed(seed: int) -> None:
    """Restart the sequence behind eager random operations."""
    sequence.load_state_dict({"seed": seed, "counter": 0})


def next_key() -> Array:
    """A new key from the sequence behind eager operations, uint32 (2,)."""
    sequence.advance()
    return np.array(sequence.key(), KEY_DTYPE)


def fill_bits(bits: Array, places: Array, key: Array, temporary: Array) -> None:
    """Write 32 random bits a place; ``places`` numbers the elements, all arrays uint32.

    Two rounds of the multiply and shift mixer "lowbias32", the second half of the key in between.
    """
    np.multiply(places, np.uint32(0x9E3779B9), out=bits)
    np.add(bits, key[0], out=bits)
    _round(bits, temporary)
    np.bitwise_xor(bits, key[1], out=bits)
    _round(bits, temporary)


def _round(bits: Array, temporary: Array) -> None:
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, None)):
        np.right_shift(bits, np.uint32(shift), out=temporary)
        np.bitwise_xor(bits, temporary, out=bits)
        if factor is not None:
            np.multiply(bits, np.uint32(factor), out=bits)
