"""2-D convolution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphstudio.nodes.shapes import (
    PADDINGS,
    Pads,
    known,
    require_image,
    resolve_pads,
    size_text,
    window_shape,
)
from graphstudio.nodes.spec import Case, EngineBuilder, UnaryNode, Value, param, register
from graphstudio.nodes.types import Message, SetParam, ShapeError, TensorType


@register
@dataclass(frozen=True, kw_only=True)
class Conv2D(UnaryNode):
    """Convolution of an image with trainable filters.

    Input ``(N, C, H, W)``, output ``(N, filters, H', W')``. PyTorch ``nn.Conv2d``, TensorFlow
    ``tf.nn.conv2d``, Keras ``Conv2D``. The weight is ``(filters, C / groups, kh, kw)``, PyTorch's
    layout. Padding ``same`` gives ``ceil(H / stride)`` rows, the odd pixel at the end, as
    TensorFlow and Keras do; PyTorch's integer padding differs from it for even sizes.
    """

    type_id = "layer.conv2d"
    label = "Conv2D"
    category = "Convolution"
    keywords = ("c2", "conv", "convolution", "cnn", "filter", "kernel", "卷积", "二维卷积")
    size_param = "filters"
    cases = (
        Case(inputs=((2, 3, 8, 8),), params={"filters": 4}),
        Case(inputs=((2, 4, 9, 6),), params={"filters": 6, "stride": [2, 2], "groups": 2}),
        Case(
            inputs=((2, 2, 7, 8),),
            params={"filters": 3, "padding": "valid", "dilation": [2, 1], "use_bias": False},
        ),
        Case(
            inputs=((2, 2, 5, 5),),
            params={"filters": 2, "padding": "explicit", "pads": [1, 0, 2, 1]},
        ),
    )

    filters: int = param(32, low=1, high=65_536, doc="Number of output channels.")
    kernel_size: tuple[int, int] = param(
        (3, 3), low=1, high=1024, length=(2, 2), unit="px", doc="Height and width of a filter."
    )
    stride: tuple[int, int] = param(
        (1, 1), low=1, high=1024, length=(2, 2), unit="px", doc="Steps between two positions."
    )
    padding: str = param(
        "same",
        choices=PADDINGS,
        doc="'same' keeps the size at stride 1, 'valid' adds nothing, 'explicit' adds the pads.",
    )
    pads: tuple[int, int, int, int] = param(
        (0, 0, 0, 0),
        low=0,
        high=4096,
        length=(4, 4),
        unit="px",
        doc="Zeros added at top, bottom, left, right; used by 'explicit' padding.",
    )
    dilation: tuple[int, int] = param(
        (1, 1), low=1, high=1024, length=(2, 2), unit="px", doc="Steps between two filter taps."
    )
    groups: int = param(
        1, low=1, high=65_536, doc="Groups of channels that are convolved apart from each other."
    )
    use_bias: bool = param(
        True, label="Bias", doc="Add one trainable offset per filter; off before a BatchNorm."
    )

    def check_params(self) -> Message | None:
        if self.filters % self.groups:
            return Message(
                "the number of filters ({filters}) must be a multiple of the groups ({groups})",
                {"filters": self.filters, "groups": self.groups},
            )
        return None

    def pads_for(self, x: TensorType) -> Pads:
        """(top, bottom), (left, right) for this input, in pixels."""
        return resolve_pads(
            self.padding,
            self.pads,
            x,
            self.kernel_size,
            stride=self.stride,
            dilation=self.dilation,
        )

    def infer(self, x: TensorType) -> TensorType:
        require_image(x)
        channels = known(x.shape[1])
        if channels % self.groups:
            raise ShapeError(
                message=Message(
                    "the {channels} channels of the input {shape} cannot be divided into "
                    "{groups} groups",
                    {"channels": channels, "shape": x.shape, "groups": self.groups},
                ),
                hint=Message("Choose a number of groups that divides the input's channels."),
                fixes=(SetParam(Message("Use one group"), "groups", 1),),
                code="groups",
            )
        fixes = (
            ()
            if self.padding == "same"
            else (SetParam(Message("Set padding to 'same'"), "padding", "same"),)
        )
        height, width = window_shape(
            x,
            self.kernel_size,
            stride=self.stride,
            pads=self.pads_for(x),
            dilation=self.dilation,
            fixes=fixes,
        )
        return x.with_shape(x.shape[0], self.filters, height, width)

    def summary(self) -> str:
        stride = f" /{size_text(self.stride)}" if self.stride != (1, 1) else ""
        return f"{self.filters} · {size_text(self.kernel_size)}{stride}"

    def num_flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        taps = math.prod(self.kernel_size) * known(inputs[0].shape[1]) // self.groups
        return 2 * taps * (outputs[0].sample_size or 0)

    def parameters(self, x: TensorType) -> Mapping[str, tuple[int, ...]]:
        weight = {
            "weight": (self.filters, known(x.shape[1]) // self.groups, *self.kernel_size),
        }
        return weight | ({"bias": (self.filters,)} if self.use_bias else {})

    def lower(self, b: EngineBuilder, x: Value) -> Value:
        shape = self.parameters(x.type)["weight"]
        operands = [x, b.parameter("weight", shape, init="he_normal")]
        if self.use_bias:
            operands.append(b.parameter("bias", (self.filters,), init="zeros"))
        y: Value = b.call(
            "conv2d",
            *operands,
            stride=self.stride,
            padding=self.pads_for(x.type),
            dilation=self.dilation,
            groups=self.groups,
        )
        return y
