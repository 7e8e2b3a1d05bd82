"""Measures an exported TensorFlow folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf


def measure(
    modules: Mapping[str, ModuleType], weights: Path, options: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Outputs, loss, gradients, state after one step, and the curve."""
    train, table = modules["train"], modules["weights"]
    model_class = next(
        c
        for c in vars(modules["model"]).values()
        if isinstance(c, type) and issubclass(c, tf.Module) and c.__module__ == "model"
    )
    dataset = modules["data"].make_datasets(options["batch_size"])["validation"]
    first, *batches = dataset
    model = model_class()
    table.load_weights(model, weights)

    found: dict[str, np.ndarray] = {}
    outputs = model.serve(*first[: options["num_inputs"]])
    for name in options["channels_last"]:
        found[f"output/{name}"] = outputs[name].numpy()
    trained = {
        name: table.find_variable(model, entry)
        for name, entry in table.WEIGHTS.items()
        if table.find_variable(model, entry).trainable
    }
    with tf.GradientTape() as tape:
        loss = train.compute_loss(model, *first, training=True)["loss"]
    gradients = tape.gradient(loss, trained, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    found["loss"] = loss.numpy().astype(np.float64)
    for name, gradient in gradients.items():
        array = table.to_file(gradient.numpy(), table.WEIGHTS[name])
        found[f"gradient/{name}"] = array

    table.load_weights(model, weights)  # the batch norms have counted the batch
    optimizer = train.make_optimizer(model)
    curve = []
    for i, batch in enumerate(batches):
        curve.append(float(train.train_step(model, optimizer, batch)["loss"]))
        if i == 0:
            for name, entry in table.WEIGHTS.items():
                if name not in trained:
                    array = table.find_variable(model, entry).numpy()
                    found[f"state/{name}"] = table.to_file(array, entry)
    found["curve"] = np.array(curve, dtype=np.float64)
    return found
