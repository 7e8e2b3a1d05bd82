"""Running sums along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.backend import Array
from engine.errors import DTypeError
from engine.function import Call, Primitive, Step, apply, function, primitive
from engine.ops.reduce import normalise_axes
from engine.value import Spec


@primitive
class _Cumsum(Primitive):
    """Sums of all elements up to each place, or from it on to the end."""

    name = "cumsum"

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        if inputs[0].dtype.kind == "b":
            raise DTypeError("cumsum found element type bool; expected numbers. Convert with cast.")
        return inputs[0]

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        x, out = (np.moveaxis(a, attrs["axis"], 0) for a in (inputs[0], outputs[0]))
        if attrs["from_end"]:
            x, out = x[::-1], out[::-1]
        return lambda: np.cumsum(x, axis=0, dtype=x.dtype, out=out)

    def gradient(self, call: Call, *grads: Any) -> Sequence[Any]:
        attrs = {"axis": call.attrs["axis"], "from_end": not call.attrs["from_end"]}
        return (apply("cumsum", grads[0], **attrs),)


@function("cumsum")
def cumsum(x: Any, axis: int = -1) -> Any:
    """Sums of the elements up to each place along ``axis``, itself included."""
    return apply("cumsum", x, axis=normalise_axes("cumsum", axis, x.ndim)[0], from_end=False)
