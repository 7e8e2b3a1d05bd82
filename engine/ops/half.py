"""float32 numbers kept in 16 bits: what waits for the backward pass takes half the memory.

Plans put these around what they keep; they are no functions of ``engine.ops``. The 16 bits are
those of IEEE float16 (11 binary digits, up to 65504) or of bfloat16 (8 digits, the range of
float32), rounded to the nearest number, and half way between two to the even one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array
from engine.errors import DTypeError
from engine.function import Primitive, Step, primitive
from engine.value import Spec

FORMATS = ("float16", "bfloat16")
BITS = np.dtype(np.uint16)
_WORD = np.dtype(np.uint32)
_NAN = 0x7FC0


@primitive
class _ToHalf(Primitive):
    """The bits of each number, as ``attrs["format"]`` has them; too large ones become infinite."""

    name = "to_half"
    elementwise = True
    passes_gradient = False

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        if inputs[0].dtype != np.float32:
            raise DTypeError(f"to_half found {inputs[0].dtype.name}; expected float32.")
        return inputs[0].with_dtype(BITS)

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        if attrs["format"] == "float16":
            return ()
        return inputs[0].with_dtype(_WORD), inputs[0].with_dtype("bool")

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, out = inputs[0], outputs[0]
        if attrs["format"] == "float16":
            half = out.view(np.float16)
            return lambda: np.copyto(half, x, casting="same_kind")
        bits, (word, is_nan) = x.view(_WORD), scratch
        one, rest = _WORD.type(1), _WORD.type(0x7FFF)

        def step() -> None:
            # The lower half decides; where it is just one half, the last bit that stays does.
            np.right_shift(bits, 16, out=word)
            np.bitwise_and(word, one, out=word)
            np.add(word, rest, out=word)
            np.add(word, bits, out=word)
            np.right_shift(word, 16, out=word)
            np.copyto(out, word, casting="unsafe")
            np.not_equal(x, x, out=is_nan)
            np.copyto(out, _NAN, where=is_nan)

        return step


@primitive
class _FromHalf(Primitive):
    """The float32 numbers that the bits stand for; exact."""

    name = "from_half"
    elementwise = True
    passes_gradient = False

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0].with_dtype("float32")

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        kept, out = inputs[0], outputs[0]
        if attrs["format"] == "float16":
            half = kept.view(np.float16)
            return lambda: np.copyto(out, half)
        bits = out.view(_WORD)

        def step() -> None:
            np.copyto(bits, kept)
            np.left_shift(bits, 16, out=bits)

        return step
