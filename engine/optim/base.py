"""What all optimisers share: hyper-parameters, state arrays, and the two ways to step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from engine.backend import Array, array_module, assign, device_of, placed, to_numpy
from engine.errors import EngineError
from engine.tensor import Tensor


def require(name: str, value: float, *, low: float = 0.0, below: float | None = None) -> float:
    """``value`` as a float, or EngineError where it lies outside ``low <= value < below``."""
    try:
        number = math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    limit = math.inf if below is None else below
    if not low <= number < limit:
        upper = "" if below is None else f" and below {below:g}"
        found = f"a {type(value).__name__}" if isinstance(value, list | tuple) else repr(value)
        raise EngineError(
            f"optimizer found {name}={found}; expected a number of {low:g} or more{upper}."
        )
    return number


def _checked(what: str, parameters: Any) -> list[Tensor]:
    """The parameters as a list, or EngineError where it holds something else."""
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    if parameters is not None and not isinstance(parameters, Iterable):
        raise EngineError(
            f"{what} found a {type(parameters).__name__} as parameters; expected tensors, such as "
            "model.parameters()."
        )
    listed = [] if parameters is None else list(parameters)
    for value in listed:
        if isinstance(value, Mapping):
            raise EngineError(
                f"{what} found a group of parameters; expected tensors. Make an optimiser for each "
                f"group, with settings of its own: {what}(..., parameters=model.head.parameters())."
            )
        if not isinstance(value, Tensor):
            raise EngineError(
                f"{what} found a {type(value).__name__} among the parameters; expected tensors, "
                "such as model.parameters()."
            )
    return listed


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
        if isinstance(learning_rate, Iterable) and not isinstance(
            learning_rate, (str, Tensor, np.ndarray)
        ):
            name = type(self).__name__
            raise EngineError(
                f"{name} found parameters where it expected the learning rate; "
                f"write {name}(0.001, parameters=model.parameters())."
            )
        self.learning_rate = require("learning_rate", learning_rate)
        self.parameters = _checked(type(self).__name__, parameters)
        self.num_steps = 0
        self._slots: dict[int, tuple[dict[str, Array], Callable[[], None], Array]] = {}
        self._numbers: dict[tuple[str, np.dtype[Any]], Array] = {}

    def initial(self, name: str) -> float:
        """Value that the state array ``name`` starts from."""
        return 0.0

    def numbers(self, step: int) -> tuple[float, ...]:
        """What differs from step to step, at ``step``, which is 1 for the first."""
        return (self.learning_rate,)

    @abstractmethod
    def prepare(
        self,
        weights: Array,
        gradients: Array,
        state: Mapping[str, Array],
        scratch: Array,
        numbers: Sequence[Array],
    ) -> Callable[[], None]:
        """The update bound to its arrays.

        The first four are alike; ``scratch`` is (2, ...) of them. ``numbers`` are arrays of no
        axes beside them, which hold what ``numbers`` gives for the step when the update is called:
        so nothing that changes is part of the update itself.
        """

    def new_state(self, like: Array) -> dict[str, Array]:
        xp = array_module(like)
        return {name: xp.full_like(like, self.initial(name)) for name in self.state_names}

    def step(self) -> None:
        """Update every parameter that has a gradient.

        Raises
        ------
        EngineError
            If it has no parameters at all.
        """
        if not self.parameters:
            raise EngineError(
                f"{type(self).__name__} found no parameters to step; expected some, such as "
                f"{type(self).__name__}(0.001, parameters=model.parameters())."
            )
        self.num_steps += 1
        given = [i for i, p in enumerate(self.parameters) if p.grad is not None]
        slots = [(self.parameters[i].grad, *self._slot(i)) for i in given]
        for array in self._numbers.values():
            assign(array, self.numbers(self.num_steps))
        for grad, arrays, update in slots:
            assert grad is not None
            arrays[""][...] = grad.data
            with np.errstate(all="ignore"):
                update()

    def _slot(self, i: int) -> tuple[dict[str, Array], Callable[[], None]]:
        """Arrays of parameter ``i`` by name, its gradient's under "", and its update."""
        data = self.parameters[i].data
        found = self._slots.get(i)
        if found is None or found[2] is not data:  # new, or given another array meanwhile
            xp = array_module(data)
            device = device_of(data)
            kept = self.new_state(data) if found is None else found[0]
            arrays = {name: placed(array, device) for name, array in kept.items()}
            arrays[""] = xp.empty_like(data)
            room = xp.empty((2, *data.shape), data.dtype)
            numbers = self._numbers_beside(data)
            found = (arrays, self.prepare(data, arrays[""], arrays, room, numbers), data)
            self._slots[i] = found
        return found[:2]

    def _numbers_beside(self, data: Array) -> list[Array]:
        """The numbers of the present step where ``data`` lies, one array each."""
        key = device_of(data), data.dtype
        if key not in self._numbers:
            count = len(self.numbers(1))
            self._numbers[key] = array_module(data).empty(count, data.dtype)
        whole = self._numbers[key]
        return [whole[i, ...] for i in range(len(whole))]

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Copies of everything needed to go on."""
        arrays = {
            f"{i}.{name}": np.array(to_numpy(array))
            for i, (state, *_) in self._slots.items()
            for name, array in state.items()
            if name
        }
        return {"num_steps": self.num_steps, "learning_rate": self.learning_rate, "arrays": arrays}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` of an equal optimiser returned.

        Raises
        ------
        EngineError
            If it belongs to other parameters or another kind of optimiser. Nothing is changed then.
        """
        places: list[tuple[Array, Array]] = []
        for key, array in state["arrays"].items():
            number, _, name = key.partition(".")
            known = number.isdigit() and int(number) < len(self.parameters)
            if not known or name not in self.state_names:
                names = " or ".join(f"'{n}'" for n in self.state_names) or "no array"
                raise EngineError(
                    f"optimizer state found '{key}'; expected {names} of parameters "
                    f"0 to {len(self.parameters) - 1}, such as '0.{(*self.state_names, '')[0]}'."
                )
            own = self._slot(int(number))[0][name]
            if array.shape != own.shape:
                raise EngineError(
                    f"optimizer state '{key}' found {array.shape}; expected {own.shape}."
                )
            places.append((own, array))
        for own, array in places:
            own[...] = placed(array, device_of(own))
        self.num_steps = int(state["num_steps"])
        self.learning_rate = float(state["learning_rate"])
