"""2-D average pooling."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.emit import Emitted, Emitter, pair
from graphstudio.nodes.pooling import Pool2D
from graphstudio.nodes.shapes import keras_padding
from graphstudio.nodes.spec import Case, EngineBuilder, Value, param, register


@register
@dataclass(frozen=True, kw_only=True)
class AveragePool2D(Pool2D):
    """Mean of each window of an image.

    Input ``(N, C, H, W)``, output ``(N, C, H', W')``. PyTorch ``nn.AvgPool2d`` (which counts
    padding by default), TensorFlow ``tf.nn.avg_pool2d``, Keras ``AveragePooling2D`` (both of which
    never count it): here ``count_include_pad`` decides.
    """

    type_id = "layer.average_pool2d"
    label = "AveragePool2D"
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

    count_include_pad: bool = param(
        True, label="Count padding", doc="Divide by the whole window, padding included."
    )

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
