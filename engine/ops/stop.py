"""The identity that stops gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.backend import Array
from engine.function import Axes, ViewPrimitive, apply, function, primitive
from engine.value import Spec


@primitive
class _StopGradient(ViewPrimitive):
    name = "stop_gradient"
    passes_gradient = False

    def infer(self, *inputs: Spec, **attrs: Any) -> Spec:
        return inputs[0]

    def layout(self, orders: Sequence[Axes], specs: Sequence[Spec], **attrs: Any) -> list[Axes]:
        return [orders[0]]

    def views(self, array: Array, **attrs: Any) -> Sequence[Array]:
        return (array,)


@function("stop_gradient")
def stop_gradient(x: Any) -> Any:
    """``x``, through which no gradient flows back."""
    return apply("stop_gradient", x)
