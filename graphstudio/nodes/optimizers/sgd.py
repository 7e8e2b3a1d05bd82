"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.emit import Call, Snippet
from graphstudio.nodes.optimizers.spec import KERAS_L2, Optimizer, register
from graphstudio.nodes.spec import param
from graphstudio.nodes.types import Message

_TF_SGD = Snippet(
    "SGD",
    '''
class SGD(tf.Module):
    """Stochastic gradient descent with PyTorch's formula.

    Weight decay is added to the gradient (L2).
    """

    def __init__(
        self, weights, *, learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0
    ):
        super().__init__()
        self.weights = list(weights)
        self.momentum = momentum
        self.nesterov = nesterov
        self.weight_decay = weight_decay
        # A variable, because a Python number would be frozen into the traced step.
        self.learning_rate = tf.Variable(learning_rate, trainable=False)
        self.velocities = [
            tf.Variable(tf.zeros_like(w), trainable=False) for w in weights
        ]

    def apply(self, gradients):
        """Move the weights by one step."""
        for w, g, v in zip(self.weights, gradients, self.velocities):
            if self.weight_decay:
                g = g + self.weight_decay * w
            if self.momentum:
                v.assign(self.momentum * v + g)
                g = g + self.momentum * v if self.nesterov else v
            w.assign_sub(self.learning_rate * g)
''',
    imports=("import tensorflow as tf",),
)

_KERAS_SGD = Snippet(
    "SGDL2",
    '''
@keras.saving.register_keras_serializable("graphstudio")
class SGDL2(L2, keras.optimizers.SGD):
    """Gradient descent with a weight decay that is added to the gradient."""
''',
    imports=("import keras",),
    uses=(KERAS_L2,),
)


@register
@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted.

    PyTorch's formula: ``v = momentum * v + g``, ``w = w - learning_rate * v``. Weight decay is
    added to the gradient (L2).
    """

    kind = "sgd"
    label = "SGD"
    engine_name = "SGD"

    learning_rate: float = param(
        0.01, low=0.0, low_open=True, high=100.0, doc="Size of a step along the gradient."
    )
    momentum: float = param(0.0, low=0.0, high=0.9999, doc="Share of the last step that is kept.")
    nesterov: bool = param(False, doc="Look ahead along the momentum before each step.")
    weight_decay: float = param(
        0.0, low=0.0, high=10.0, doc="Pull of every weight towards zero, added to the gradient."
    )

    def check_params(self) -> Message | None:
        if self.nesterov and self.momentum == 0.0:
            return Message("Nesterov needs a momentum above 0")
        return None

    def emit_pytorch(self) -> Call:
        arguments = {"lr": self.learning_rate, **self._momentum(), **self._decay("weight_decay")}
        return Call("torch.optim.SGD", arguments)

    def emit_tensorflow(self) -> Call:
        rate = {"learning_rate": self.learning_rate}
        return Call(_TF_SGD, {**rate, **self._momentum(), **self._decay("weight_decay")})

    def emit_keras(self) -> Call:
        arguments = {"learning_rate": self.learning_rate, **self._momentum(), **self._decay("l2")}
        return Call(_KERAS_SGD if self.weight_decay else "keras.optimizers.SGD", arguments)

    def _momentum(self) -> dict[str, float | bool]:
        nesterov = {"nesterov": True} if self.nesterov else {}
        return {"momentum": self.momentum, **nesterov} if self.momentum else {}

    def _decay(self, name: str) -> dict[str, float]:
        return {name: self.weight_decay} if self.weight_decay else {}
