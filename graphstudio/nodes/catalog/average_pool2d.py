"""2-D average pooling."""

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
class AveragePool2D(UnaryNode):
    """Mean of each window of an image.

    Input ``(N, C, H, W)``, output ``(N, C, H', W')``. PyTorch ``nn.AvgPool2d`` (which counts
    padding by default), TensorFlow ``tf.nn.avg_pool2d``, Keras ``AveragePooling2D`` (both of which
    never count it): here ``count_include_pad`` decides.
    """

    type_id = "layer.average_pool2d"
    label = "AveragePool2D"
    category = "Pooling"
    keywords = ("ap", "ap2", "avg pool", "average pooling", "mean", "平均池化", "池化", "下采样")
    cases = (
        Case(inputs=((2, 3, 8, 8),)),
        Case(
            inputs=((2, 2, 7, 6),),
            params={"kernel_size": [3, 3], "padding": "same", "count_include_pad": False},
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
    count_include_pad: bool = param(
        True, label="Count padding", doc="Divide by the whole window, padding included."
    )

    def check_params(self) -> Message | None:
        reach = (self.kernel_size[0],) * 2 + (self.kernel_size[1],) * 2
        if self.padding == "explicit" and any(
            p >= k for p, k in zip(self.pads, reach, strict=True)
        ):
            return Message(
                "pads {pads} must be smaller than the window {window}: a window of nothing but "
                "padding has no mean",
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
            "average_pool2d",
            x,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.pads_for(x.type),
            count_include_pad=self.count_include_pad,
        )
        return y

    def emit_pytorch(self, e: Emitter, x: Emitted) -> Emitted:
        (top, bottom), (left, right) = self.pads_for(x.type)
        size, stride = pair(self.kernel_size), pair(self.stride)
        window = {"kernel_size": size, "stride": stride}
        wide = any(2 * p > k for p, k in zip((top, left), self.kernel_size, strict=True))
        if (top, left) == (bottom, right) and not wide:
            counted = {"count_include_pad": self.count_include_pad} if top or left else {}
            return e.call("F.avg_pool2d", x, **window, padding=pair((top, left)), **counted)
        # PyTorch pads both sides alike, by half a window at most.
        around = (left, right, top, bottom)
        y = e.call("F.avg_pool2d", e.call("F.pad", x, around), **window, padding=0)
        if self.count_include_pad:
            return y
        ones = e.call("F.pad", e.call("torch.ones_like", x), around)
        return e.expression("{0} / {1}", y, e.call("F.avg_pool2d", ones, **window, padding=0))

    def emit_tensorflow(self, e: Emitter, x: Emitted) -> Emitted:
        x = e.channels_last(x)
        pads = self.pads_for(x.type)
        window = {"ksize": pair(self.kernel_size), "strides": pair(self.stride)}
        padding = keras_padding(x.type, self.kernel_size, self.stride, pads)
        if padding == "valid" or (padding == "same" and not self.count_include_pad):
            return e.call("tf.nn.avg_pool2d", x, **window, padding=padding.upper())
        around = ((0, 0), *pads, (0, 0))
        y = e.call("tf.nn.avg_pool2d", e.call("tf.pad", x, around), **window, padding="VALID")
        if self.count_include_pad:
            return y
        ones = e.call("tf.pad", e.call("tf.ones_like", x), around)
        share = e.call("tf.nn.avg_pool2d", ones, **window, padding="VALID")
        return e.expression("{0} / {1}", y, share)

    def emit_keras(self, e: Emitter, x: Emitted) -> Emitted:
        x = e.channels_last(x)
        pads = self.pads_for(x.type)
        size, strides = pair(self.kernel_size), pair(self.stride)
        padding = keras_padding(x.type, self.kernel_size, self.stride, pads)
        # "same" counts asymmetric padding on some of Keras's backends, and not on others.
        plain = padding == "same" and not self.count_include_pad and len(set(map(sum, pads))) == 1
        if padding == "valid" or (plain and all(a == b for a, b in pads)):
            layer = e.layer("layers.AveragePooling2D", size, strides=strides, padding=padding)
            return layer(x)
        padded = e.layer("layers.ZeroPadding2D", pads, suffix="pad")(x)
        y = e.layer("layers.AveragePooling2D", size, strides=strides, padding="valid")(padded)
        if self.count_include_pad:
            return y
        ones = e.call("keras.ops.pad", e.call("keras.ops.ones_like", x), ((0, 0), *pads, (0, 0)))
        share = e.call("keras.ops.average_pool", ones, size, strides=strides, padding="valid")
        return e.expression("{0} / {1}", y, share)
