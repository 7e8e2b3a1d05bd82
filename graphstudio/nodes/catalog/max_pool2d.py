"""2-D max pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from graphstudio.nodes.emit import Emitted, Emitter, pair
from graphstudio.nodes.shapes import (
    PADDINGS,
    Pads,
    keras_padding,
    require_image,
    resolve_pads,
    size_text,
    window_shape,
)
from graphstudio.nodes.spec import Case, EngineBuilder, UnaryNode, Value, param, register
from graphstudio.nodes.types import Message, SetParam, TensorType


@register
@dataclass(frozen=True, kw_only=True)
class MaxPool2D(UnaryNode):
    """Largest value of each window of an image.

    Input ``(N, C, H, W)``, output ``(N, C, H', W')``. PyTorch ``nn.MaxPool2d``, TensorFlow
    ``tf.nn.max_pool2d``, Keras ``MaxPooling2D``. Padding never wins: it counts as minus infinity.
    Among equal values the gradient goes to the first.
    """

    type_id = "layer.max_pool2d"
    label = "MaxPool2D"
    category = "Pooling"
    keywords = ("mp", "mp2", "max pooling", "downsample", "subsample", "最大池化", "池化", "下采样")
    cases = (
        Case(inputs=((2, 3, 8, 8),)),
        Case(
            inputs=((2, 2, 7, 6),),
            params={"kernel_size": [3, 3], "stride": [2, 2], "padding": "same"},
        ),
        Case(
            inputs=((2, 2, 5, 5),),
            params={
                "kernel_size": [3, 2],
                "stride": [2, 1],
                "padding": "explicit",
                "pads": [1, 1, 0, 1],
            },
        ),
    )

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
                "padding has no largest value",
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

    def lower(self, b: EngineBuilder, x: Value) -> Value:
        y: Value = b.call(
            "max_pool2d",
            x,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.pads_for(x.type),
        )
        return y

    def emit_pytorch(self, e: Emitter, x: Emitted) -> Emitted:
        (top, bottom), (left, right) = self.pads_for(x.type)
        padding = (top, left)
        wide = any(2 * p > k for p, k in zip(padding, self.kernel_size, strict=True))
        if (top, left) != (bottom, right) or wide:
            # PyTorch pads both sides alike, by half a window at most.
            x = e.call("F.pad", x, (left, right, top, bottom), value=-math.inf)
            padding = (0, 0)
        size, stride = pair(self.kernel_size), pair(self.stride)
        return e.call("F.max_pool2d", x, kernel_size=size, stride=stride, padding=pair(padding))

    def emit_tensorflow(self, e: Emitter, x: Emitted) -> Emitted:
        pads = self.pads_for(x.type)
        padding = [[0, 0], *map(list, pads), [0, 0]] if any(map(any, pads)) else "VALID"
        x = e.channels_last(x)
        size, strides = pair(self.kernel_size), pair(self.stride)
        return e.call("tf.nn.max_pool2d", x, ksize=size, strides=strides, padding=padding)

    def emit_keras(self, e: Emitter, x: Emitted) -> Emitted:
        x = e.channels_last(x)
        pads = self.pads_for(x.type)
        padding = keras_padding(x.type, self.kernel_size, self.stride, pads)
        if padding is None:
            # ZeroPadding2D would let zeros win over negative inputs.
            around = ((0, 0), *pads, (0, 0))
            x = e.call("keras.ops.pad", x, around, constant_values=-math.inf)
            padding = "valid"
        size, strides = pair(self.kernel_size), pair(self.stride)
        return e.layer("layers.MaxPooling2D", size, strides=strides, padding=padding)(x)
