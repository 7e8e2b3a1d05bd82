"""Learning rates over time: closed-form functions of the number of steps taken so far.

Each schedule maps a 0-based optimiser step to a factor of the optimiser's base rate. Being
functions, they need no state: to resume, count the steps.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import EngineError


class Schedule(ABC):
    """A factor of the base learning rate for every step."""

    @abstractmethod
    def __call__(self, step: int) -> float:
        """Factor at ``step``, counted from 0."""


def _positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise EngineError(f"schedule found {name}={value!r}; expected a number above 0.")


def _share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise EngineError(f"schedule found {name}={value!r}; expected 0 to 1.")


@dataclass(frozen=True)
class Constant(Schedule):
    """1 at every step."""

    def __call__(self, step: int) -> float:
        return 1.0


@dataclass(frozen=True)
class StepDecay(Schedule):
    """Times ``factor`` after every ``every`` steps."""

    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        _positive("every", self.every)
        _positive("factor", self.factor)

    def __call__(self, step: int) -> float:
        return float(self.factor ** (step // self.every))


@dataclass(frozen=True)
class MultiStep(Schedule):
    """Times ``factor`` from each of the ``milestones`` on."""

    milestones: Sequence[int]
    factor: float = 0.1

    def __post_init__(self) -> None:
        _positive("factor", self.factor)

    def __call__(self, step: int) -> float:
        return float(self.factor ** sum(step >= m for m in self.milestones))


@dataclass(frozen=True)
class Exponential(Schedule):
    """Times ``factor`` every step."""

    factor: float

    def __post_init__(self) -> None:
        _positive("factor", self.factor)

    def __call__(self, step: int) -> float:
        return float(self.factor**step)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from 1 down to ``floor`` over ``steps``, then the floor."""

    steps: int
    floor: float = 0.0

    def __post_init__(self) -> None:
        _positive("steps", self.steps)
        _share("floor", self.floor)

    def __call__(self, step: int) -> float:
        done = min(step / self.steps, 1.0)
        return self.floor + (1.0 - self.floor) * 0.5 * (1.0 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Polynomial(Schedule):
    """From 1 down to ``floor`` over ``steps`` by a power of what is left."""

    steps: int
    power: float = 1.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        _positive("steps", self.steps)
        _positive("power", self.power)
        _share("floor", self.floor)

    def __call__(self, step: int) -> float:
        left = 1.0 - min(step / self.steps, 1.0)
        return self.floor + (1.0 - self.floor) * float(left**self.power)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """Linear from ``start`` to 1 over ``steps``, then ``after``, which starts counting there."""

    steps: int
    after: Schedule = Constant()
    start: float = 0.0

    def __post_init__(self) -> None:
        _positive("steps", self.steps)
        _share("start", self.start)

    def __call__(self, step: int) -> float:
        if step >= self.steps:
            return self.after(step - self.steps)
        return self.start + (1.0 - self.start) * step / self.steps


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Cosine from ``1 / start_divisor`` up to 1, then down to ``1 / (start_divisor end_divisor)``.

    The base rate is the greatest one. The rise takes the share ``rise`` of the steps.

    References
    ----------
    Smith and Topin, "Super-convergence", 2019.
    """

    steps: int
    rise: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e4

    def __post_init__(self) -> None:
        _positive("steps", self.steps)
        _share("rise", self.rise)
        _positive("start_divisor", self.start_divisor)
        _positive("end_divisor", self.end_divisor)

    def __call__(self, step: int) -> float:
        peak = self.rise * self.steps - 1.0
        last = self.steps - 1.0
        low = 1.0 / self.start_divisor
        if step <= peak:
            return _between(low, 1.0, step / peak if peak else 1.0)
        done = min((step - peak) / (last - peak), 1.0) if last > peak else 1.0
        return _between(1.0, low / self.end_divisor, done)


def _between(a: float, b: float, share: float) -> float:
    """Half a cosine from ``a`` to ``b``."""
    return b + (a - b) * 0.5 * (1.0 + math.cos(math.pi * share))


class Plateau:
    """Times ``factor`` when a watched value has not improved for more than ``patience`` looks.

    Unlike the schedules it has a state: call ``update`` once an epoch, and read ``scale``.
    """

    def __init__(
        self,
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 0.0,
        cooldown: int = 0,
        floor: float = 0.0,
        maximise: bool = False,
    ) -> None:
        if not 0 < factor < 1:
            raise EngineError(f"Plateau found factor={factor}; expected between 0 and 1.")
        for name, number in (
            ("patience", patience),
            ("cooldown", cooldown),
            ("floor", floor),
            ("min_delta", min_delta),
        ):
            if not 0 <= number < math.inf:
                raise EngineError(f"Plateau found {name}={number}; expected 0 or more.")
        self.factor, self.patience, self.min_delta = factor, patience, min_delta
        self.cooldown, self.floor, self.maximise = cooldown, floor, maximise
        self.scale = 1.0
        self.best = -math.inf if maximise else math.inf
        self.num_bad = 0
        self.waiting = 0

    def update(self, value: float) -> float:
        """Take note of a new value; the factor that holds from now on."""
        sign = 1 if self.maximise else -1
        if sign * (value - self.best) > self.min_delta:
            self.best, self.num_bad = value, 0
        else:
            self.num_bad += 1
        if self.waiting:
            self.waiting, self.num_bad = self.waiting - 1, 0
        if self.num_bad > self.patience:
            self.scale = max(self.scale * self.factor, self.floor)
            self.waiting, self.num_bad = self.cooldown, 0
        return self.scale

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers from which it goes on."""
        return {
            "scale": self.scale,
            "best": self.best,
            "num_bad": self.num_bad,
            "waiting": self.waiting,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scale, self.best = float(state["scale"]), float(state["best"])
        self.num_bad, self.waiting = int(state["num_bad"]), int(state["waiting"])
