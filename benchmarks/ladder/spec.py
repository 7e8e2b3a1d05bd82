"""The rows: what a batch holds, and which weights every model starts from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLASSES = 10
LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Row:
    """A rung: the shape of one sample, the batch, and how much faster than the best peer."""

    name: str
    shape: tuple[int, ...]
    batch: int
    goal: float


ROWS = {
    row.name: row
    for row in (
        Row("mlp", (784,), 64, 2.0),
        Row("cnn", (1, 28, 28), 64, 1.6),
        Row("lstm", (28, 28), 64, 1.5),
        Row("transformer", (64, 128), 32, 1.5),
        Row("resnet20", (3, 32, 32), 64, 1.5),
    )
}


def batches(row: Row, count: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
    """Inputs and labels, the same for everyone."""
    rng = np.random.default_rng(11)
    return [
        (
            rng.normal(size=(row.batch, *row.shape)).astype(np.float32),
            rng.integers(0, CLASSES, row.batch),
        )
        for _ in range(count)
    ]


def weights(row: str) -> dict[str, np.ndarray]:
    """Initial weights by PyTorch's names and in its layout."""
    rng = np.random.default_rng(5)
    made: dict[str, np.ndarray] = {}

    def dense(name: str, units: int, inputs: int) -> None:
        scale = np.sqrt(1.0 / inputs)
        made[f"{name}.weight"] = rng.uniform(-scale, scale, (units, inputs))
        made[f"{name}.bias"] = np.zeros(units)

    def conv(name: str, filters: int, inputs: int, kernel: int, *, bias: bool = True) -> None:
        scale = np.sqrt(2.0 / (inputs * kernel * kernel))
        made[f"{name}.weight"] = rng.normal(size=(filters, inputs, kernel, kernel)) * scale
        if bias:
            made[f"{name}.bias"] = np.zeros(filters)

    def norm(name: str, size: int) -> None:
        made[f"{name}.weight"], made[f"{name}.bias"] = np.ones(size), np.zeros(size)

    if row == "mlp":
        dense("d1", 128, 784)
        dense("d2", CLASSES, 128)
    elif row == "cnn":
        conv("c1", 32, 1, 3)
        conv("c2", 64, 32, 3)
        dense("d1", 128, 64 * 49)
        dense("d2", CLASSES, 128)
    elif row == "lstm":
        made["weight_ih"] = rng.uniform(-0.09, 0.09, (512, 28))
        made["weight_hh"] = rng.uniform(-0.09, 0.09, (512, 128))
        made["bias"] = np.zeros(512)
        dense("d", CLASSES, 128)
    elif row == "transformer":
        for i in range(2):
            dense(f"{i}.in", 384, 128)
            dense(f"{i}.out", 128, 128)
            dense(f"{i}.f1", 512, 128)
            dense(f"{i}.f2", 128, 512)
            norm(f"{i}.n1", 128)
            norm(f"{i}.n2", 128)
        dense("d", CLASSES, 128)
    else:
        conv("c", 16, 3, 3, bias=False)
        norm("n", 16)
        for name, inputs, filters, stride in resnet_blocks():
            conv(f"{name}.c1", filters, inputs, 3, bias=False)
            norm(f"{name}.n1", filters)
            conv(f"{name}.c2", filters, filters, 3, bias=False)
            norm(f"{name}.n2", filters)
            if stride != 1:
                conv(f"{name}.c3", filters, inputs, 1, bias=False)
                norm(f"{name}.n3", filters)
        dense("d", CLASSES, 64)
    return {name: array.astype(np.float32) for name, array in made.items()}


def resnet_blocks() -> list[tuple[str, int, int, int]]:
    """Name, input channels, filters and stride of each residual block of ResNet-20."""
    found, inputs = [], 16
    for stage, filters in enumerate((16, 32, 64)):
        for i in range(3):
            found.append((f"b{stage}{i}", inputs, filters, 2 if stage and not i else 1))
            inputs = filters
    return found
