"""What all optimisers share: hyper-parameters, state arrays, and the two ways to step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from engine.backend import Array, array_module
from engine.errors import EngineError
from engine.tensor import Tensor


def require(name: str, value: float, *, low: float = 0.0, below: float | None = None) -> float:
    """``value`` as a float, or EngineError where it lies outside ``low <= value < below``."""
    number = float(value)
    if not number >= low or (below is not None and not number < below):
        upper = "" if below is None else f" and below {below:g}"
        raise EngineError(f"optimizer found {name}={value!r}; expected {low:g} or more{upper}.")
    return number


class Optimizer(ABC):
    """Rule by which gradients change parameters.

    Parameters
    ----------
    learning_rate : float
        May be changed between steps.
    parameters : tensors, optional
        What ``step()`` updates; a plan needs none, it hands over its own arrays.
    """

    state_names: tuple[str, ...] = ()
    """Arrays that are kept for each parameter, all zero at first."""

    def __init__(self, learning_rate: float, parameters: Iterable[Tensor] | None = None) -> None:
        self.learning_rate = require("learning_rate", learning_rate)
        self.parameters = list(parameters or ())
        self.num_steps = 0
        self._slots: dict[int, tuple[dict[str, Array], Callable[[], None]]] = {}

    def initial(self, name: str) -> float:
        """Value that the state array ``name`` starts from."""
        return 0.0

    @abstractmethod
    def prepare(
        self, weights: Array, gradients: Array, state: Mapping[str, Array], scratch: Array
    ) -> Callable[[], None]:
        """The update bound to its arrays; ``num_steps`` has been counted up when it is called.

        The four arrays are alike; ``scratch`` is (2, ...) of them.
        """

    def new_state(self, like: Array) -> dict[str, Array]:
        xp = array_module(like)
        return {name: xp.full_like(like, self.initial(name)) for name in self.state_names}

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        self.num_steps += 1
        for i, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                continue
            xp = array_module(parameter.data)
            if i not in self._slots:
                state = self.new_state(parameter.data)
                gradient = xp.empty_like(parameter.data)
                room = xp.empty((2, *parameter.shape), parameter.dtype)
                update = self.prepare(parameter.data, gradient, state, room)
                self._slots[i] = ({**state, "": gradient}, update)
            arrays, update = self._slots[i]
            arrays[""][...] = parameter.grad.data
            with np.errstate(all="ignore"):
                update()

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Copies of everything needed to go on."""
        arrays = {
            f"{i}.{name}": array.copy()
            for i, (state, _) in self._slots.items()
            for name, array in state.items()
            if name
        }
        return {"num_steps": self.num_steps, "learning_rate": self.learning_rate, "arrays": arrays}
