"""Measures an exported Keras folder, on the TensorFlow backend."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def measure(
    modules: Mapping[str, ModuleType], weights: Path, options: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Outputs, loss, gradients, state after one step, and the curve."""
    train, table = modules["train"], modules["weights"]
    xs, ys = modules["data"].load_arrays()["validation"]
    size = options["batch_size"]
    first, *batches = [
        tuple(tf.nest.map_structure(lambda a, i=i: a[i : i + size], (xs, ys)))
        for i in range(0, size * (options["steps"] + 1), size)
    ]
    model = modules["model"].build_model()
    table.load_weights(model, weights)

    found: dict[str, np.ndarray] = {}
    x, y = tf.nest.map_structure(tf.convert_to_tensor, first)
    outputs = model(x, training=False)
    for name in options["channels_last"]:
        output = outputs[name] if isinstance(outputs, dict) else outputs
        found[f"output/{name}"] = keras.ops.convert_to_numpy(output)
    trained = {
        name: table.find_variable(model, entry)
        for name, entry in table.WEIGHTS.items()
        if table.find_variable(model, entry).trainable
    }
    train.compile_model(model)
    with tf.GradientTape() as tape:
        prediction = model(x, training=True)
        loss = model.compute_loss(x=x, y=y, y_pred=prediction, training=True)
    gradients = tape.gradient(
        loss,
        {name: variable.value for name, variable in trained.items()},
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    found["loss"] = keras.ops.convert_to_numpy(loss).astype(np.float64)
    for name, gradient in gradients.items():
        array = keras.ops.convert_to_numpy(gradient)
        found[f"gradient/{name}"] = table.to_file(array, table.WEIGHTS[name])

    table.load_weights(model, weights)  # the batch norms have counted the batch
    curve = []
    for i, (x, y) in enumerate(batches):
        model.reset_metrics()
        curve.append(float(model.train_on_batch(x, y, return_dict=True)["loss"]))
        if i == 0:
            for name, entry in table.WEIGHTS.items():
                if name not in trained:
                    array = table.find_variable(model, entry).numpy()
                    found[f"state/{name}"] = table.to_file(array, entry)
    found["curve"] = np.array(curve, dtype=np.float64)
    return found
