"""Averages of weights over training, which often judge better than the last weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from engine.backend import Array, device_of, placed, to_numpy
from engine.errors import EngineError
from engine.nn.module import Module
from engine.optim.base import require


class AveragedWeights:
    """Running average of a module's parameters: exponential, or of all updates alike.

    Parameters
    ----------
    decay : float, optional
        Share of the old average that stays at each update, such as 0.999; by default all updates
        count alike, as in stochastic weight averaging.

    Notes
    -----
    The first update sets the average to the weights. Statistics of batch norm are not averaged:
    after training with averaged weights, let some batches pass in training mode inside ``applied``.

    References
    ----------
    Izmailov et al., "Averaging weights leads to wider optima and better generalization", 2018.

    Examples
    --------
    >>> average = AveragedWeights(model, decay=0.999)  # doctest: +SKIP
    >>> average.update()  # after each step of the optimiser  # doctest: +SKIP
    >>> with average.applied():  # doctest: +SKIP
    ...     accuracy = judge(model)
    """

    def __init__(self, module: Module, decay: float | None = None) -> None:
        self.decay = None if decay is None else require("decay", decay, below=1.0)
        self.module = module
        self.num_updates = 0
        self.arrays: dict[str, Array] = {
            name: p.data.copy() for name, p in module.named_parameters()
        }

    def update(self) -> None:
        """Take note of the present weights."""
        self.num_updates += 1
        share = 1.0 / self.num_updates
        if self.decay is not None and self.num_updates > 1:
            share = 1.0 - self.decay
        for name, parameter in self._weights():
            average = self.arrays[name]
            average += (parameter - average) * average.dtype.type(share)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the module have the averages inside a ``with`` block."""
        kept = {name: array.copy() for name, array in self._weights()}
        for name, array in self._weights():
            array[...] = self.arrays[name]
        try:
            yield
        finally:
            for name, array in self._weights():
                array[...] = kept[name]

    def _weights(self) -> Iterator[tuple[str, Array]]:
        """The arrays of the averaged parameters, frozen ones too, with the averages beside them."""
        own = dict(self.module.named_tensors())
        for name, average in self.arrays.items():
            array = own[name].data
            self.arrays[name] = placed(average, device_of(array))
            yield name, array

    def state_dict(self) -> dict[str, Any]:
        """Copies of everything needed to go on."""
        arrays = {name: np.array(to_numpy(array)) for name, array in self.arrays.items()}
        return {"num_updates": self.num_updates, "arrays": arrays}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` of an average of the same weights returned.

        Raises
        ------
        EngineError
            If they differ in names or shapes. Nothing is changed then.
        """
        shapes = {name: array.shape for name, array in self.arrays.items()}
        found = {name: np.shape(array) for name, array in state["arrays"].items()}
        wrong = sorted(name for name, _ in shapes.items() ^ found.items())
        if wrong:
            raise EngineError(
                f"averaged weights found {found.get(wrong[0], 'nothing')} for '{wrong[0]}'; "
                f"expected {shapes.get(wrong[0], 'no such name')}."
            )
        for name, array in state["arrays"].items():
            self.arrays[name][...] = placed(array, device_of(self.arrays[name]))
        self.num_updates = int(state["num_updates"])
