"""Base of the elementwise primitives: broadcasting, and one element type for all operands."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from engine.backend import Array
from engine.errors import ShapeError
from engine.function import Primitive, Step
from engine.value import Shape, Spec, require_float, same_dtype


def broadcast_shapes(what: str, *shapes: Shape) -> Shape:
    """Shape of the broadcast result.

    Raises
    ------
    ShapeError
        If two sizes of an axis differ and neither is 1.
    """
    ndim = max(len(s) for s in shapes)
    result: list[int] = []
    for axis in range(ndim):
        size = 1
        for shape in shapes:
            offset = axis - ndim + len(shape)
            if offset < 0 or shape[offset] == 1:
                continue
            if size not in (1, shape[offset]):
                found = " and ".join(str(s) for s in shapes)
                raise ShapeError(
                    f"{what} found shapes {found}; expected sizes that agree or are 1, "
                    f"but axis {axis - ndim} has {size} and {shape[offset]}."
                )
            size = shape[offset]
        result.append(size)
    return tuple(result)


class Elementwise(Primitive):
    """An output element depends on the input elements at its place, after broadcasting."""

    elementwise = True
    num_scratch: ClassVar[int] = 0
    """Full-size temporaries that the kernel needs."""
    float_only: ClassVar[bool] = True

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        dtype = same_dtype(self.name, *inputs)
        if self.float_only:
            require_float(self.name, inputs[0])
        return Spec(broadcast_shapes(self.name, *(s.shape for s in inputs)), dtype)

    def scratch(self, *inputs: Spec, **attrs: Any) -> tuple[Spec, ...]:
        return (self.infer(*inputs, **attrs),) * self.num_scratch if self.num_scratch else ()

    def compute(self, out: Array, scratch: Sequence[Array], *inputs: Array, **attrs: Any) -> None:
        """Fill ``out``."""
        raise NotImplementedError

    def prepare(
        self,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        scratch: Sequence[Array],
        **attrs: Any,
    ) -> Step:
        return partial(self.compute, outputs[0], _like(outputs[0], scratch), *inputs, **attrs)


def _like(out: Array, scratch: Sequence[Array]) -> tuple[Array, ...]:
    """Scratch in the memory order of ``out``: NumPy walks operands of one order without buffers."""
    order = sorted(range(out.ndim), key=lambda axis: -out.strides[axis])
    if order == list(range(out.ndim)):
        return tuple(scratch)
    inverse = sorted(range(out.ndim), key=lambda axis: order[axis])
    shape = tuple(out.shape[axis] for axis in order)
    return tuple(s.reshape(shape).transpose(inverse) for s in scratch)
