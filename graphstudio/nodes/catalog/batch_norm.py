"""Batch normalisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphstudio.nodes.emit import Code, Emitted, Emitter, Snippet, Unsupported, Weight, vector
from graphstudio.nodes.shapes import known, require_float
from graphstudio.nodes.spec import Case, EngineBuilder, UnaryNode, Value, param, register
from graphstudio.nodes.types import Message, ShapeError, TensorType

_TF_BATCH_NORM = Snippet(
    "BatchNorm",
    '''
class BatchNorm(tf.Module):
    """Batch normalisation over the last axis.

    ``momentum`` is the share of the new batch in the moving statistics, and the
    moving variance is the unbiased one, as in PyTorch.
    """

    def __init__(self, channels, *, epsilon, momentum, name):
        super().__init__(name=name)
        self.epsilon = epsilon
        self.momentum = momentum
        ones, zeros = tf.ones([channels]), tf.zeros([channels])
        with self.name_scope:
            self.gamma = tf.Variable(ones, name="gamma")
            self.beta = tf.Variable(zeros, name="beta")
            self.moving_mean = tf.Variable(zeros, trainable=False, name="moving_mean")
            self.moving_variance = tf.Variable(
                ones, trainable=False, name="moving_variance"
            )

    def __call__(self, x, training):
        mean, variance = self.moving_mean, self.moving_variance
        if training:
            mean, variance = tf.nn.moments(x, list(range(x.shape.rank - 1)))
            count = tf.cast(tf.size(x) // x.shape[-1], x.dtype)
            unbiased = variance * count / tf.maximum(count - 1, 1)
            for moving, new in (
                (self.moving_mean, mean),
                (self.moving_variance, unbiased),
            ):
                moving.assign(moving + self.momentum * (new - moving))
        return tf.nn.batch_normalization(
            x, mean, variance, self.beta, self.gamma, self.epsilon
        )
''',
    imports=("import tensorflow as tf",),
)


def _weights(x: Emitted) -> dict[str, str | Weight]:
    """The weights under the names that TensorFlow and Keras give them."""
    return {
        "gamma": vector("weight", x),
        "beta": vector("bias", x),
        "moving_mean": vector("running_mean", x),
        "moving_variance": vector("running_var", x),
    }


@register
@dataclass(frozen=True, kw_only=True)
class BatchNorm(UnaryNode):
    """Each channel brought to mean 0 and variance 1 over the batch, then scaled and shifted.

    Input and output ``(N, C)`` or ``(N, C, ...)``; the channel is axis 1. PyTorch
    ``nn.BatchNorm2d``, Keras ``BatchNormalization``. ``momentum`` is the share of the new batch
    in the running statistics (PyTorch's sense; Keras weighs the old mean, so it is given
    ``1 - momentum``). The running variance is the unbiased one, as in PyTorch.

    References
    ----------
    Ioffe and Szegedy, "Batch Normalization", 2015.
    """

    type_id = "layer.batch_norm"
    label = "BatchNorm"
    category = "Normalisation"
    keywords = ("bn", "batch normalization", "normalise", "批归一化", "归一化", "批标准化")
    keeps_shape = True
    cases = (
        Case(inputs=((4, 3, 5, 5),)),
        Case(inputs=((8, 6),), params={"momentum": 0.2, "epsilon": 1e-3}),
    )

    momentum: float = param(
        0.1, low=0.0, high=1.0, doc="Share of the new batch in the running statistics."
    )
    epsilon: float = param(
        1e-5, low=0.0, low_open=True, high=1.0, doc="Added to the variance before the root."
    )

    def infer(self, x: TensorType) -> TensorType:
        require_float(x)
        if x.rank < 2:
            raise ShapeError(
                expected=Message("rank 2 or more, (N, C, ...)"),
                actual=x.shape,
                hint=Message("Put a Reshape node before this one."),
            )
        if not isinstance(x.shape[1], int):
            raise ShapeError(expected=Message("a known number of channels"), actual=x.shape)
        return x

    def num_flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        return 4 * (outputs[0].sample_size or 0)

    def parameters(self, x: TensorType) -> Mapping[str, tuple[int, ...]]:
        channels = (known(x.shape[1]),)
        return {"weight": channels, "bias": channels}

    def lower(self, b: EngineBuilder, x: Value) -> Value:
        channels = (known(x.type.shape[1]),)
        y: Value = b.call(
            "batch_norm",
            x,
            b.parameter("weight", channels, init="ones"),
            b.parameter("bias", channels, init="zeros"),
            b.state("running_mean", channels, value=0.0),
            b.state("running_var", channels, value=1.0),
            momentum=self.momentum,
            epsilon=self.epsilon,
        )
        return y

    def emit_pytorch(self, e: Emitter, x: Emitted) -> Emitted | Unsupported:
        if x.type.rank > 5:
            return Unsupported(
                Message("PyTorch normalises at most three axes after the channels"),
                Message("Put a Reshape before '{label}' that joins axes."),
            )
        cls = f"nn.BatchNorm{max(x.type.rank - 2, 1)}d"
        names = ("weight", "bias", "running_mean", "running_var")
        return e.layer(
            cls,
            known(x.type.shape[1]),
            eps=self.epsilon,
            momentum=self.momentum,
            weights={name: name for name in names},
        )(x)

    def emit_tensorflow(self, e: Emitter, x: Emitted) -> Emitted:
        x = x if x.type.rank == 2 else e.channels_last(x)
        return e.layer(
            _TF_BATCH_NORM,
            known(x.type.shape[1]),
            epsilon=self.epsilon,
            momentum=self.momentum,
            weights=_weights(x),
        )(x, training=Code("training"))

    def emit_keras(self, e: Emitter, x: Emitted) -> Emitted:
        return e.layer(
            "layers.BatchNormalization",
            axis=e.axis(x, 1),
            epsilon=self.epsilon,
            # Keras weighs the old statistics, we the new batch.
            momentum=round(1.0 - self.momentum, 12),
            weights=_weights(x),
        )(x)
