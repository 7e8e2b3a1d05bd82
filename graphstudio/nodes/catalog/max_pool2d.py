"""2-D max pooling."""

from __future__ import annotations

import math
from dataclasses import dataclass

from graphstudio.nodes.emit import Emitted, Emitter, pair
from graphstudio.nodes.pooling import Pool2D
from graphstudio.nodes.shapes import keras_padding
from graphstudio.nodes.spec import Case, EngineBuilder, Value, register


@register
@dataclass(frozen=True, kw_only=True)
class MaxPool2D(Pool2D):
    """Largest value of each window of an image.

    Input ``(N, C, H, W)``, output ``(N, C, H', W')``. PyTorch ``nn.MaxPool2d``, TensorFlow
    ``tf.nn.max_pool2d``, Keras ``MaxPooling2D``. Padding never wins: it counts as minus infinity.
    Among equal values the gradient goes to the first.
    """

    type_id = "layer.max_pool2d"
    label = "MaxPool2D"
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
