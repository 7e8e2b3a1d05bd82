"""DataLoader: batches in an order that a seed decides and a few numbers restore."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from engine.backend import Array
from engine.data.dataset import Dataset
from engine.errors import EngineError
from engine.tensor import Tensor


class DataLoader:
    """Batches of a data set, a pass at a time.

    Parameters
    ----------
    batch_size : int
    shuffle : bool
        Draw a new permutation of all samples for each pass, from ``seed`` and the pass's number.
    drop_last : bool
        Leave out a last batch that is not full.
    weights : array, optional
        A chance for each sample: a pass draws as many as there are by it, some of them more than
        once, so that rare classes can be met as often as others.

    Notes
    -----
    Each ``for`` loop is a pass, also after one that was left with ``break``. ``state_dict`` taken
    between two batches and loaded into an equal loader makes that go on with the next batch of the
    same pass.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        weights: Array | None = None,
    ) -> None:
        if not hasattr(dataset, "__len__") or isinstance(
            dataset, list | tuple | Mapping | np.ndarray | Tensor | str
        ):
            raise EngineError(
                f"DataLoader found a {type(dataset).__name__}; expected a data set, which gives "
                "arrays by name: ArrayDataset({...}), or SampleDataset(samples, names)."
            )
        if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise EngineError(
                f"DataLoader found batch_size={batch_size!r}; expected a whole number of 1 or more."
            )
        if not isinstance(seed, (int, np.integer)) or seed < 0:
            raise EngineError(
                f"DataLoader found seed={seed!r}; expected a whole number of 0 or more."
            )
        for name, truth in (("shuffle", shuffle), ("drop_last", drop_last)):
            if not isinstance(truth, (bool, np.bool_)):
                raise EngineError(f"DataLoader found {name}={truth!r}; expected True or False.")
        self.dataset, self.batch_size, self.shuffle = dataset, int(batch_size), bool(shuffle)
        self.seed, self.drop_last = int(seed), bool(drop_last)
        self.weights = None if weights is None else _chances(weights, len(dataset))
        self.epoch = 0
        self.position = 0
        """Batches of the present pass that were handed out."""
        self._goes_on = False  # with that pass, as a loaded state says

    def __len__(self) -> int:
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (1 if rest and not self.drop_last else 0)

    def order(self, epoch: int) -> Array:
        """Sample numbers in the order of pass ``epoch``."""
        count = len(self.dataset)
        rng = np.random.default_rng((self.seed, epoch))
        if self.weights is not None:
            return rng.choice(count, count, p=self.weights)
        return rng.permutation(count) if self.shuffle else np.arange(count)

    def __iter__(self) -> Iterator[dict[str, Array]]:
        if self.position and not self._goes_on:  # a pass that was left in the middle
            self.epoch, self.position = self.epoch + 1, 0
        self._goes_on = False
        return self._batches(self.epoch, self.position)

    def _batches(self, epoch: int, position: int) -> Iterator[dict[str, Array]]:
        order = self.order(epoch)
        for i in range(position, len(self)):
            start = i * self.batch_size
            self.epoch, self.position = epoch, i + 1
            yield self.dataset[order[start : start + self.batch_size]]
        self.epoch, self.position = epoch + 1, 0

    def state_dict(self) -> dict[str, int]:
        """Which pass, and how far in it."""
        return {"epoch": self.epoch, "position": self.position, "seed": self.seed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epoch, self.position = int(state["epoch"]), int(state["position"])
        self._goes_on = True
        self.seed = int(state["seed"])


def _chances(weights: Any, count: int) -> Array:
    """Weights as chances that add up to 1."""
    given = np.asarray(weights, np.float64)
    if given.shape != (count,) or not (given >= 0).all() or not 0 < given.sum() < np.inf:
        raise EngineError(
            f"DataLoader found weights of shape {given.shape} for {count} samples; expected one "
            "finite number of 0 or more each, not all 0."
        )
    chances: Array = given / given.sum()
    return chances
