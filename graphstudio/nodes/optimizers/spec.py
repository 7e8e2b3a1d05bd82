"""What an optimiser is to the rest: a frozen dataclass of declared parameters with names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from graphstudio.nodes.types import Message


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """Base of the optimisers. The fields are the parameters, declared with ``param``."""

    kind: ClassVar[str]
    """Name in project files."""
    label: ClassVar[str]
    engine_name: ClassVar[str]
    """Class of ``engine.optim`` that takes the fields as arguments."""

    learning_rate: float = 0.0

    def check_params(self) -> Message | None:
        """A rule that ties several parameters together; single limits are declared."""
        return None


OPTIMIZERS: dict[str, type[Optimizer]] = {}

T = TypeVar("T", bound=type[Optimizer])


def register(cls: T) -> T:
    """Class decorator that enters an optimiser; refuses a second owner of a kind."""
    owner = OPTIMIZERS.get(cls.kind)
    if owner is not None:
        raise ValueError(
            f"optimiser {cls.kind!r} is defined in both {owner.__module__} and {cls.__module__}"
        )
    OPTIMIZERS[cls.kind] = cls
    return cls
