"""Module: parameters, buffers and sub-modules by name, found by assigning them to attributes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from engine.backend import Array, device_of, placed
from engine.errors import EngineError, ShapeError
from engine.init import draw, new_generator
from engine.tensor import Tensor

ForwardHook = Callable[["Module", tuple[Any, ...], Any], Any]


class Names(NamedTuple):
    """Names by which a module and the arrays that it was given differ."""

    missing: list[str]
    unknown: list[str]


class Module(ABC):
    """A part of a network: what it learns, and how it maps its inputs.

    Tensors that require a gradient and are assigned to an attribute become parameters; other
    tensors become buffers, which are saved but not trained; modules become sub-modules. Names
    join with dots, as in ``encoder.0.weight``. What was computed is none of these: results that
    have a history, and tensors first assigned while ``forward`` runs, are neither saved nor
    trained.
    """

    training = True
    _running = 0  # calls of forward under way
    _passing: frozenset[str] = frozenset()  # tensors first assigned by one
    _frozen: frozenset[str] = frozenset()
    _hooks: tuple[ForwardHook, ...] = ()

    def __init__(self) -> None:
        self.training = True

    @abstractmethod
    def forward(self, *inputs: Any) -> Any:
        """The module's result."""

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        self._running += 1
        try:
            result = self.forward(*inputs, **options)
        finally:
            self._running -= 1
        for hook in self._hooks:
            replaced = hook(self, inputs, result)
            result = result if replaced is None else replaced
        return result

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, (list, tuple, dict)):
            self._refuse_hidden(name, value)
        elif isinstance(value, Tensor):
            known = dict(self._own_tensors())
            passes = self._running and name not in known and not _is_parameter(value)
            passing = self._passing | {name} if passes else self._passing - {name}
            super().__setattr__("_passing", passing)
        super().__setattr__(name, value)

    def _refuse_hidden(self, name: str, value: Any) -> None:
        """Raise EngineError where a plain container hides what would have to be trained."""
        within = list(value.values() if isinstance(value, dict) else value)
        if any(isinstance(v, Module) for v in within):
            holder = "ModuleDict" if isinstance(value, dict) else "ModuleList"
            raise EngineError(
                f"{type(self).__name__}.{name} found modules in a {type(value).__name__}, where "
                f"their parameters would not be seen. Put them into a {holder}."
            )
        if any(isinstance(v, Tensor) and _is_parameter(v) for v in within):
            raise EngineError(
                f"{type(self).__name__}.{name} found parameters in a {type(value).__name__}, where "
                f"they would not be seen. Give each an attribute: setattr(self, f'{name}{{i}}', w)."
            )

    def register_forward_hook(self, hook: ForwardHook) -> Callable[[], None]:
        """Call ``hook(module, inputs, result)`` after each call; it may replace the result.

        Returns a function that removes the hook.
        """
        self._hooks = (*self._hooks, hook)

        def remove() -> None:
            self._hooks = tuple(h for h in self._hooks if h is not hook)

        return remove

    if not TYPE_CHECKING:  # which would take any name for one that exists

        def __getattr__(self, name: str) -> Any:
            from engine.other_names import explained

            words = explained("Module", name, type(self).__name__)
            raise AttributeError(words, name=name, obj=self)

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

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module under the name "", and all below it by their full names."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def apply(self, change: Callable[[Module], Any]) -> Self:
        """Call ``change`` with this module and with all below it; returns the module."""
        for module in self.modules():
            change(module)
        return self

    def named_tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Parameters and buffers by their full names; a shared tensor comes once a name."""
        for name, value in self._own_tensors():
            yield prefix + name, value
        for name, child in self.children():
            yield from child.named_tensors(f"{prefix}{name}.")

    def _own_tensors(self) -> Iterator[tuple[str, Tensor]]:
        for name, value in vars(self).items():
            if isinstance(value, Tensor) and value.producer is None and name not in self._passing:
                yield name, value

    def lend(self, name: str, value: Tensor) -> None:
        """Set an attribute to something computed, which is neither saved nor trained."""
        super().__setattr__("_passing", self._passing | {name})
        super().__setattr__(name, value)

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

    def freeze(self) -> Self:
        """Train none of the parameters here and below any more; returns the module.

        Statistics of batch norm still move in training mode: ``eval()`` keeps them.
        """
        for module in self.modules():
            for name, value in list(vars(module).items()):
                if isinstance(value, Tensor) and _is_parameter(value):
                    value.requires_grad, value.grad = False, None
                    module._frozen |= {name}
        return self

    def unfreeze(self) -> Self:
        """Train again what ``freeze`` kept from it; returns the module."""
        for module in self.modules():
            for name in module._frozen:
                getattr(module, name).requires_grad = True
            module._frozen = frozenset()
        return self

    def train(self, training: bool = True) -> Self:
        """Choose what dropout and batch norm do, here and below; returns the module."""
        for module in self.modules():
            module.training = training
        return self

    def eval(self) -> Self:
        """Inference mode; returns the module."""
        return self.train(False)

    def to(self, device: str) -> Self:
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

    def load_state_dict(self, arrays: Mapping[str, Array], strict: bool = True) -> Names:
        """Take over parameters and buffers, from PyTorch's module of the same kind as well.

        Parameters
        ----------
        strict : bool
            False leaves alone what is missing, and passes over what is unknown.

        Returns
        -------
        Names
            What was missing, and what was unknown.

        Raises
        ------
        EngineError, ShapeError
            If a name is missing or unknown, or a shape differs. Nothing is changed then.
        """
        if not isinstance(arrays, Mapping):
            raise EngineError(
                f"load_state_dict found a {type(arrays).__name__}; expected arrays by name, such "
                "as the first of the two that checkpoint.load returns."
            )
        arrays = dict(arrays)
        for prefix, module in self.named_modules():
            module.adapt_state(arrays, f"{prefix}." if prefix else "")
        own = dict(self.named_tensors())
        names = Names(sorted(own.keys() - arrays.keys()), sorted(arrays.keys() - own.keys()))
        if strict and (names.missing or names.unknown):
            parts = [f"lacks {', '.join(names.missing)}"] if names.missing else []
            parts += [f"has unknown {', '.join(names.unknown)}"] if names.unknown else []
            raise EngineError(
                f"state_dict {' and '.join(parts)}; expected the module's own names. "
                "strict=False takes over what fits."
            )
        own = {name: tensor for name, tensor in own.items() if name in arrays}
        for name, tensor in own.items():
            if np.shape(arrays[name]) != tensor.shape:
                raise ShapeError(
                    f"state_dict found '{name}' {np.shape(arrays[name])}; expected {tensor.shape}."
                )
        for name, tensor in own.items():
            tensor.data[...] = placed(np.asarray(arrays[name]), device_of(tensor.data))
        return names

    def adapt_state(self, arrays: dict[str, Array], prefix: str) -> None:  # noqa: B027
        """Turn what PyTorch saves for such a module, in ``arrays``, into this module's own."""

    def __repr__(self) -> str:
        inside = "".join(
            f"\n  ({name}): " + repr(child).replace("\n", "\n  ") for name, child in self.children()
        )
        return f"{type(self).__name__}({self.describe()}{inside}{chr(10) if inside else ''})"

    def describe(self) -> str:
        """The settings shown by ``repr``."""
        return ""


def _is_parameter(value: Tensor) -> bool:
    return value.requires_grad and value.producer is None


def new_parameter(init: str, *shape: int, **options: Any) -> Tensor:
    """A trainable float32 tensor with initial values from the sequence of ``manual_seed``."""
    if not all(isinstance(n, int | np.integer) and n > 0 for n in shape):
        raise EngineError(
            f"a layer found sizes that make a weight of shape {shape}; expected whole numbers "
            "above 0."
        )
    return Tensor(draw(init, shape, new_generator(), **options), requires_grad=True)


def new_buffer(value: float, *shape: int) -> Tensor:
    """A float32 tensor that is saved but not trained."""
    return Tensor(np.full(shape, value, np.float32))
