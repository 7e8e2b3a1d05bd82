"""What an optimiser is to the rest: a frozen dataclass of declared parameters with names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from graphstudio.nodes.emit import Call, Snippet
from graphstudio.nodes.types import Message

KERAS_L2 = Snippet(
    "L2",
    '''
class L2:
    """Adds ``l2 * weight`` to every gradient, as PyTorch's ``weight_decay`` does.

    Keras's own ``weight_decay`` shrinks the weights apart from the gradient.
    """

    def __init__(self, *args, l2, **options):
        super().__init__(*args, **options)
        self.l2 = l2

    def apply(self, grads, trainable_variables=None):
        variables = trainable_variables or self._trainable_variables
        decayed = [
            g if g is None else g + self.l2 * v for g, v in zip(grads, variables)
        ]
        return super().apply(decayed, trainable_variables)

    def get_config(self):
        return {**super().get_config(), "l2": self.l2}
''',
    imports=("import keras",),
)
"""Mixin of Keras optimisers that decay as the engine and PyTorch do."""


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

    def emit_pytorch(self) -> Call:
        """The optimiser as the script makes it; the weights come before its arguments."""
        raise NotImplementedError

    def emit_tensorflow(self) -> Call:
        """As for PyTorch; the class is brought along."""
        raise NotImplementedError

    def emit_keras(self) -> Call:
        """As for PyTorch, without the weights."""
        raise NotImplementedError


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
