"""What the poolings of images share: a window that slides, and how its padding is resolved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from graphstudio.nodes.shapes import (
    PADDINGS,
    Pads,
    require_image,
    resolve_pads,
    size_text,
    window_shape,
)
from graphstudio.nodes.spec import UnaryNode, param
from graphstudio.nodes.types import Message, SetParam, TensorType


@dataclass(frozen=True, kw_only=True)
class Pool2D(UnaryNode):
    """Base of the poolings: ``(N, C, H, W)`` gives ``(N, C, H', W')``."""

    category = "Pooling"

    kernel_size: tuple[int, int] = param(
        (2, 2), low=1, high=1024, length=(2, 2), unit="px", doc="Height and width of a window."
    )
    stride: tuple[int, int] = param(
        (2, 2), low=1, high=1024, length=(2, 2), unit="px", doc="Steps between two windows."
    )
    padding: str = param(
        "valid",
        choices=PADDINGS,
        doc="'same' keeps the size at stride 1, 'valid' adds nothing, 'explicit' adds the pads.",
    )
    pads: tuple[int, int, int, int] = param(
        (0, 0, 0, 0),
        low=0,
        high=4096,
        length=(4, 4),
        unit="px",
        doc="Pixels added at top, bottom, left, right; used by 'explicit' padding.",
    )

    def check_params(self) -> Message | None:
        reach = (self.kernel_size[0],) * 2 + (self.kernel_size[1],) * 2
        if self.padding == "explicit" and any(
            p >= k for p, k in zip(self.pads, reach, strict=True)
        ):
            return Message(
                "pads {pads} must be smaller than the window {window}: a window of nothing but "
                "padding has no result",
                {"pads": self.pads, "window": self.kernel_size},
            )
        return None

    def pads_for(self, x: TensorType) -> Pads:
        """(top, bottom), (left, right) for this input, in pixels."""
        return resolve_pads(self.padding, self.pads, x, self.kernel_size, stride=self.stride)

    def infer(self, x: TensorType) -> TensorType:
        require_image(x)
        fixes = (
            ()
            if self.padding == "same"
            else (SetParam(Message("Set padding to 'same'"), "padding", "same"),)
        )
        height, width = window_shape(
            x, self.kernel_size, stride=self.stride, pads=self.pads_for(x), fixes=fixes
        )
        return x.with_shape(*x.shape[:2], height, width)

    def summary(self) -> str:
        stride = f" /{size_text(self.stride)}" if self.stride != self.kernel_size else ""
        return size_text(self.kernel_size) + stride

    def num_flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        return math.prod(self.kernel_size) * (outputs[0].sample_size or 0)
