"""The rows in Keras 3 on TensorFlow, with and without XLA."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers as kl

from benchmarks.ladder.spec import LEARNING_RATE, Row, resnet_blocks, weights


class _Maker:
    """Layers that start from the shared weights; channels last, as TensorFlow wants them."""

    def __init__(self, row: str) -> None:
        self.arrays = weights(row)
        self.later: list[tuple[Any, list[Any]]] = []

    def dense(self, name: str, x: Any, activation: str | None = None) -> Any:
        w = self.arrays[f"{name}.weight"]
        layer = kl.Dense(w.shape[0], activation=activation)
        self.later.append((layer, [w.T, self.arrays[f"{name}.bias"]]))
        return layer(x)

    def conv(
        self, name: str, x: Any, stride: int = 1, activation: str | None = None, bias: bool = True
    ) -> Any:
        w = self.arrays[f"{name}.weight"]
        filters, _, k, _ = w.shape
        padding = "same"
        if stride != 1:
            x, padding = (kl.ZeroPadding2D(1)(x) if k == 3 else x), "valid"
        layer = kl.Conv2D(filters, k, stride, padding, activation=activation, use_bias=bias)
        values = [w.transpose(2, 3, 1, 0)] + ([self.arrays[f"{name}.bias"]] if bias else [])
        self.later.append((layer, values))
        return layer(x)

    def norm(self, x: Any) -> Any:
        return kl.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)

    def attention(self, name: str, x: Any, heads: int) -> Any:
        w, bias = self.arrays[f"{name}.in.weight"], self.arrays[f"{name}.in.bias"]
        out = self.arrays[f"{name}.out.weight"]
        width = out.shape[0]
        size = width // heads
        layer = kl.MultiHeadAttention(heads, size)
        values: list[Any] = []
        for i in range(3):
            part = slice(i * width, (i + 1) * width)
            values += [w[part].T.reshape(width, heads, size), bias[part].reshape(heads, size)]
        values += [out.T.reshape(heads, size, width), self.arrays[f"{name}.out.bias"]]
        self.later.append((layer, values))
        return layer(x, x)


def _logits(m: _Maker, row: str, x: Any) -> Any:
    if row == "mlp":
        return m.dense("d2", m.dense("d1", x, "relu"))
    if row == "cnn":
        x = kl.MaxPooling2D(2)(m.conv("c1", x, activation="relu"))
        x = kl.MaxPooling2D(2)(m.conv("c2", x, activation="relu"))
        # The dense weights are for channels first.
        x = kl.Flatten()(kl.Permute((3, 1, 2))(x))
        return m.dense("d2", m.dense("d1", x, "relu"))
    if row == "lstm":
        layer = kl.LSTM(128)
        values = [m.arrays["weight_ih"].T, m.arrays["weight_hh"].T, m.arrays["bias"]]
        m.later.append((layer, values))
        return m.dense("d", layer(x))
    if row == "transformer":
        for i in range(2):
            x = kl.LayerNormalization(epsilon=1e-5)(x + m.attention(str(i), x, 4))
            h = m.dense(f"{i}.f2", m.dense(f"{i}.f1", x, "relu"))
            x = kl.LayerNormalization(epsilon=1e-5)(x + h)
        return m.dense("d", kl.GlobalAveragePooling1D()(x))
    x = kl.ReLU()(m.norm(m.conv("c", x, bias=False)))
    for name, _, _, stride in resnet_blocks():
        y = kl.ReLU()(m.norm(m.conv(f"{name}.c1", x, stride, bias=False)))
        y = m.norm(m.conv(f"{name}.c2", y, bias=False))
        if stride != 1:
            x = m.norm(m.conv(f"{name}.c3", x, stride, bias=False))
        x = kl.ReLU()(kl.Add()([y, x]))
    return m.dense("d", kl.GlobalAveragePooling2D()(x))


def stepper(row: Row, *, jit: bool) -> Any:
    """``step(x, labels) -> loss``."""
    images = len(row.shape) == 3
    shape = (*row.shape[1:], row.shape[0]) if images else row.shape
    source = keras.Input(shape, batch_size=row.batch)
    maker = _Maker(row.name)
    model = keras.Model(source, _logits(maker, row.name, source))
    for layer, values in maker.later:
        layer.set_weights(values)
    optimizer = keras.optimizers.Adam(LEARNING_RATE, epsilon=1e-8)
    optimizer.build(model.trainable_variables)
    criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(jit_compile=jit)
    def train(x: Any, t: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = criterion(t, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    def step(x: Any, t: Any) -> float:
        return float(train(tf.constant(x.transpose(0, 2, 3, 1) if images else x), tf.constant(t)))

    return step
