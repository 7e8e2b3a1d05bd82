"""Measures an exported PyTorch folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch


def measure(
    modules: Mapping[str, ModuleType], weights: Path, options: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Outputs, loss, gradients, state after one step, the curve; the first three in float64 too."""
    train = modules["train"]
    model_class = next(
        c
        for c in vars(modules["model"]).values()
        if isinstance(c, type) and issubclass(c, torch.nn.Module) and c.__module__ == "model"
    )
    loader = modules["data"].make_loaders(options["batch_size"])["validation"]
    first, *batches = loader

    def fresh() -> torch.nn.Module:
        model = model_class()
        train.load_weights(model, weights)
        return model

    found = _once(fresh(), train, first, options)
    double = [t.double() if t.is_floating_point() else t for t in first]
    oracle = _once(fresh().double(), train, double, options)
    found |= {f"oracle/{name}": array for name, array in oracle.items()}

    model = fresh()
    optimizer = train.make_optimizer(model)
    model.train()
    curve = []
    for i, batch in enumerate(batches):
        optimizer.zero_grad(set_to_none=True)
        loss = train.compute_loss(model, *batch)["loss"]
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
        if i == 0:
            for name, buffer in model.named_buffers():
                if not name.endswith("num_batches_tracked"):
                    found[f"state/{name}"] = buffer.numpy().copy()
    found["curve"] = np.array(curve, dtype=np.float64)
    return found


def _once(
    model: torch.nn.Module, train: ModuleType, batch: Any, options: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    model.eval()
    with torch.inference_mode():
        outputs = model(*batch[: options["num_inputs"]])
    for name, output in zip(
        options["channels_last"], outputs if isinstance(outputs, tuple) else (outputs,), strict=True
    ):
        found[f"output/{name}"] = output.numpy()
    model.train()
    loss = train.compute_loss(model, *batch)["loss"]
    loss.backward()
    found["loss"] = np.array(loss.item(), dtype=np.float64)
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        found[f"gradient/{name}"] = (
            (torch.zeros_like(parameter) if gradient is None else gradient).detach().numpy()
        )
    return found
