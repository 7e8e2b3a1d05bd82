"""The rows in PyTorch, eager and compiled."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.ladder.spec import LEARNING_RATE, Row, resnet_blocks, weights


class Mlp(nn.Module):
    """Two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.d1, self.d2 = nn.Linear(784, 128), nn.Linear(128, 10)

    def forward(self, x: Any) -> Any:
        return self.d2(functional.relu(self.d1(x)))


class Cnn(nn.Module):
    """Two convolutions with pooling, two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
        self.d1, self.d2 = nn.Linear(64 * 49, 128), nn.Linear(128, 10)

    def forward(self, x: Any) -> Any:
        x = functional.max_pool2d(functional.relu(self.c1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.c2(x)), 2)
        return self.d2(functional.relu(self.d1(x.flatten(1))))


class Lstm(nn.Module):
    """One layer over 28 steps; its last output is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.d = nn.LSTM(28, 128, batch_first=True), nn.Linear(128, 10)

    def forward(self, x: Any) -> Any:
        return self.d(self.cell(x)[0][:, -1])


class Encoder(nn.Module):
    """Two encoder layers; the mean over tokens is classified."""

    def __init__(self) -> None:
        super().__init__()
        layer = {"dim_feedforward": 512, "dropout": 0.0, "batch_first": True}
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(128, 4, **layer) for _ in range(2))
        self.d = nn.Linear(128, 10)

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return self.d(x.mean(1))


class Block(nn.Module):
    """Two convolutions around which the input is added."""

    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(inputs, filters, 3, stride, 1, bias=False)
        self.n1 = nn.BatchNorm2d(filters)
        self.c2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.n2 = nn.BatchNorm2d(filters)
        if stride != 1:
            self.c3 = nn.Conv2d(inputs, filters, 1, stride, bias=False)
            self.n3 = nn.BatchNorm2d(filters)
        self.turns = stride != 1

    def forward(self, x: Any) -> Any:
        y = self.n2(self.c2(functional.relu(self.n1(self.c1(x)))))
        return functional.relu(y + (self.n3(self.c3(x)) if self.turns else x))


class ResNet20(nn.Module):
    """The network of that name for 32 x 32 images."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.n = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        for name, *sizes in resnet_blocks():
            self.add_module(name, Block(*sizes))
        self.d = nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        x = functional.relu(self.n(self.c(x)))
        for name, *_ in resnet_blocks():
            x = getattr(self, name)(x)
        return self.d(x.mean((2, 3)))


MODELS = {"mlp": Mlp, "cnn": Cnn, "lstm": Lstm, "transformer": Encoder, "resnet20": ResNet20}


def _renamed(row: str) -> dict[str, Any]:
    arrays = weights(row)
    if row == "lstm":
        for ours, theirs in (("weight_ih", "weight_ih"), ("weight_hh", "weight_hh")):
            arrays[f"cell.{theirs}_l0"] = arrays.pop(ours)
        arrays["cell.bias_ih_l0"] = arrays.pop("bias")
        arrays["cell.bias_hh_l0"] = 0 * arrays["cell.bias_ih_l0"]
    if row == "transformer":
        places = {
            "in.weight": "self_attn.in_proj_weight",
            "in.bias": "self_attn.in_proj_bias",
            "out.": "self_attn.out_proj.",
            "f1.": "linear1.",
            "f2.": "linear2.",
            "n1.": "norm1.",
            "n2.": "norm2.",
        }
        for name in [n for n in arrays if n[0].isdigit()]:
            layer, rest = name.split(".", 1)
            start = next(p for p in places if rest.startswith(p))
            arrays[f"layers.{layer}.{rest.replace(start, places[start])}"] = arrays.pop(name)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def stepper(row: Row, *, compiled: bool) -> Any:
    """``step(x, labels) -> loss``."""
    model = MODELS[row.name]()
    missing, unknown = model.load_state_dict(_renamed(row.name), strict=False)
    assert not unknown
    assert all("running" in m or "num_batches" in m for m in missing)
    if row.name == "lstm":  # one bias of the two: the sum of both is what counts
        model.cell.bias_hh_l0.requires_grad_(False)
    if row.name == "resnet20":
        model = model.to(memory_format=torch.channels_last)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, LEARNING_RATE)
    forward = torch.compile(model) if compiled else model

    def step(x: Any, t: Any) -> float:
        optimizer.zero_grad()
        loss = functional.cross_entropy(forward(torch.from_numpy(x)), torch.from_numpy(t))
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
