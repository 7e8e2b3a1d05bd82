"""Module: parameters, buffers and sub-modules by name, found by assigning them to attributes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from engine.backend import Array, device_of, placed
from engine.errors import EngineError, ShapeError
from engine.init import draw
from engine.random import next_key
from engine.tensor import Tensor


class Module(ABC):
    """A part of a network: what it learns, and how it maps its inputs.

    Tensors that require a gradient and are assigned to an attribute become parameters; other
    tensors become buffers, which are saved but not trained; modules become sub-modules. Names
    join with dots, as in ``encoder.0.weight``.
    """

    def __init__(self) -> None:
        self.training = True

    @abstractmethod
    def forward(self, *inputs: Any) -> Any:
        """The module's result."""

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        return self.forward(*inputs, **options)

    def __setattr__(self, name: str, value: Any) -> None:
        within = value.values() if isinstance(value, dict) else value
        if isinstance(value, (list, tuple, dict)) and any(isinstance(v, Module) for v in within):
            raise EngineError(
                f"{type(self).__name__}.{name} found modules in a {type(value).__name__}, where "
                "their parameters would not be seen. Put them into a ModuleList."
            )
        super().__setattr__(name, value)

    # What it holds ------------------------------------------------------------------------

    def children(self) -> Iterator[tuple[str, Module]]:
        """Direct sub-modules by name, in the order of assignment."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        yield self
        for _, child in self.children():
            yield from child.modules()

    def named_tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Parameters and buffers by their full names; a shared tensor comes once a name."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                yield prefix + name, value
        for name, child in self.children():
            yield from child.named_tensors(f"{prefix}{name}.")

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Trainable tensors by name, each once, even where several modules share it."""
        seen: set[int] = set()
        for name, value in self.named_tensors():
            if value.requires_grad and id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def parameters(self) -> list[Tensor]:
        """Trainable tensors, for an optimiser."""
        return [value for _, value in self.named_parameters()]

    @property
    def num_parameters(self) -> int:
        """Trainable numbers."""
        return sum(p.size for p in self.parameters())

    # Modes and gradients --------------------------------------------------------------------

    def train(self, training: bool = True) -> Module:
        """Choose what dropout and batch norm do, here and below; returns the module."""
        for module in self.modules():
            module.training = training
        return self

    def eval(self) -> Module:
        """Inference mode; returns the module."""
        return self.train(False)

    def to(self, device: str) -> Module:
        """Move all parameters and buffers to the "cpu" or the "gpu"; returns the module."""
        for _, value in self.named_tensors():
            value.data, value.grad = placed(value.data, device), None
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    # Saving -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers by name, ready for ``checkpoint.save``."""
        return {name: np.array(value.numpy()) for name, value in self.named_tensors()}

    def load_state_dict(self, arrays: Mapping[str, Array]) -> None:
        """Take over parameters and buffers.

        Raises
        ------
        EngineError, ShapeError
            If a name is missing or unknown, or a shape differs. Nothing is changed then.
        """
        own = dict(self.named_tensors())
        missing, unknown = sorted(own.keys() - arrays.keys()), sorted(arrays.keys() - own.keys())
        if missing or unknown:
            parts = [f"lacks {', '.join(missing)}"] if missing else []
            parts += [f"has unknown {', '.join(unknown)}"] if unknown else []
            raise EngineError(f"state_dict {' and '.join(parts)}; expected the module's own names.")
        for name, tensor in own.items():
            if np.shape(arrays[name]) != tensor.shape:
                raise ShapeError(
                    f"state_dict found '{name}' {np.shape(arrays[name])}; expected {tensor.shape}."
                )
        for name, tensor in own.items():
            tensor.data[...] = placed(np.asarray(arrays[name]), device_of(tensor.data))

    def __repr__(self) -> str:
        inside = "".join(
            f"\n  ({name}): " + repr(child).replace("\n", "\n  ") for name, child in self.children()
        )
        return f"{type(self).__name__}({self.describe()}{inside}{chr(10) if inside else ''})"

    def describe(self) -> str:
        """The settings shown by ``repr``."""
        return ""


def new_parameter(init: str, *shape: int, **options: Any) -> Tensor:
    """A trainable float32 tensor with initial values from the sequence of ``manual_seed``."""
    if not all(isinstance(n, int | np.integer) and n > 0 for n in shape):
        raise EngineError(
            f"a layer found sizes that make a weight of shape {shape}; expected whole numbers "
            "above 0."
        )
    seed = [int(n) for n in next_key()]
    return Tensor(draw(init, shape, np.random.default_rng(seed), **options), requires_grad=True)


def new_buffer(value: float, *shape: int) -> Tensor:
    """A float32 tensor that is saved but not trained."""
    return Tensor(np.full(shape, value, np.float32))
