"""2-D convolution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphstudio.nodes.emit import Emitted, Emitter, Snippet, Weight, kernel, pair
from graphstudio.nodes.shapes import (
    PADDINGS,
    Pads,
    keras_padding,
    known,
    require_image,
    resolve_pads,
    size_text,
    window_shape,
)
from graphstudio.nodes.spec import Case, EngineBuilder, UnaryNode, Value, param, register
from graphstudio.nodes.types import Message, SetParam, ShapeError, TensorType

_TF_CONV2D = Snippet(
    "Conv2D",
    '''
class Conv2D(tf.Module):
    """Convolution of images (N, H, W, C), padded by so many pixels on each side."""

    def __init__(
        self,
        channels,
        filters,
        *,
        kernel_size,
        strides,
        padding,
        use_bias=True,
        kernel_initializer,
        name,
    ):
        super().__init__(name=name)
        self.strides = strides
        self.padding = [[0, 0], *padding, [0, 0]]
        with self.name_scope:
            kernel = kernel_initializer((*kernel_size, channels, filters))
            self.kernel = tf.Variable(kernel, name="kernel")
            self.bias = None
            if use_bias:
                self.bias = tf.Variable(tf.zeros([filters]), name="bias")

    def __call__(self, x):
        y = self.convolve(x, self.kernel)
        return y if self.bias is None else tf.nn.bias_add(y, self.bias)

    def convolve(self, x, kernel):
        return tf.nn.conv2d(x, kernel, self.strides, self.padding)
''',
    imports=("import tensorflow as tf",),
)

_TF_DILATED_CONV2D = Snippet(
    "DilatedConv2D",
    '''
class DilatedConv2D(Conv2D):
    """Convolution whose taps lie ``dilations`` pixels apart.

    TensorFlow has no gradient of ``tf.nn.conv2d`` with dilations on every CPU, and
    ``tf.nn.convolution`` takes no strides with them, so results are left out after it.
    """

    def __init__(self, channels, filters, *, dilations, **options):
        super().__init__(channels, filters, **options)
        self.dilations = dilations

    def convolve(self, x, kernel):
        x = tf.pad(x, self.padding)
        y = tf.nn.convolution(x, kernel, padding="VALID", dilations=self.dilations)
        return y[:, :: self.strides[0], :: self.strides[1], :]
''',
    imports=("import tensorflow as tf",),
    uses=(_TF_CONV2D,),
)


def _grouped(base: Snippet) -> Snippet:
    name = f"Grouped{base.name}"
    source = f'''
class {name}({base.name}):
    """Convolution of groups of channels apart from each other.

    The groups are divided by hand: TensorFlow has no gradient of a grouped
    convolution on every CPU.
    """

    def __init__(self, channels, filters, *, groups, **options):
        super().__init__(channels // groups, filters, **options)
        self.groups = groups

    def convolve(self, x, kernel):
        xs = tf.split(x, self.groups, axis=-1)
        kernels = tf.split(kernel, self.groups, axis=-1)
        convolve = super().convolve
        return tf.concat([convolve(*pair) for pair in zip(xs, kernels)], axis=-1)
'''
    return Snippet(name, source, imports=("import tensorflow as tf",), uses=(base,))


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

    def emit_pytorch(self, e: Emitter, x: Emitted) -> Emitted:
        (top, bottom), (left, right) = self.pads_for(x.type)
        padding = (top, left)
        if (top, left) != (bottom, right):
            # PyTorch's layer pads both sides alike.
            x, padding = e.call("F.pad", x, (left, right, top, bottom)), (0, 0)
        return e.layer(
            "nn.Conv2d",
            known(x.type.shape[1]),
            self.filters,
            kernel_size=pair(self.kernel_size),
            stride=pair(self.stride),
            padding=pair(padding),
            weights={name: name for name in self.parameters(x.type)},
            **self._options(dilation="dilation", groups="groups", use_bias="bias"),
        )(x)

    def emit_tensorflow(self, e: Emitter, x: Emitted) -> Emitted:
        x = e.channels_last(x)
        options: dict[str, Any] = {} if self.use_bias else {"use_bias": False}
        cls = _TF_CONV2D
        if self.dilation != (1, 1):
            cls, options["dilations"] = _TF_DILATED_CONV2D, self.dilation
        if self.groups != 1:
            cls, options["groups"] = _grouped(cls), self.groups
        return e.layer(
            cls,
            known(x.type.shape[1]),
            self.filters,
            kernel_size=self.kernel_size,
            strides=self.stride,
            padding=self.pads_for(x.type),
            weights=self._channels_last(),
            **options,
        )(x)

    def emit_keras(self, e: Emitter, x: Emitted) -> Emitted:
        x = e.channels_last(x)
        pads = self.pads_for(x.type)
        # Keras refuses strides with dilation: every stride-th result of stride 1 is the same.
        sliced = self.stride != (1, 1) and self.dilation != (1, 1)
        strides = (1, 1) if sliced else self.stride
        padding = keras_padding(x.type, self.kernel_size, strides, pads, self.dilation)
        if padding is None:
            x, padding = e.layer("layers.ZeroPadding2D", pads, suffix="pad")(x), "valid"
        y = e.layer(
            "layers.Conv2D",
            self.filters,
            kernel_size=pair(self.kernel_size),
            strides=pair(strides),
            padding=padding,
            weights=self._channels_last(),
            **self._options(dilation="dilation_rate", groups="groups", use_bias="use_bias"),
        )(x)
        if sliced:
            y = e.expression(f"{{0}}[:, ::{self.stride[0]}, ::{self.stride[1]}, :]", y)
        return y

    def _channels_last(self) -> dict[str, str | Weight]:
        bias: dict[str, str | Weight] = {"bias": "bias"} if self.use_bias else {}
        return {"kernel": kernel("weight"), **bias}

    def _options(self, *, dilation: str, groups: str, use_bias: str) -> dict[str, Any]:
        """Arguments that are 1 or true in every framework unless given, under its names."""
        options: dict[str, Any] = {}
        if self.dilation != (1, 1):
            options[dilation] = pair(self.dilation)
        if self.groups != 1:
            options[groups] = self.groups
        if not self.use_bias:
            options[use_bias] = False
        return options
