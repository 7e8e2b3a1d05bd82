"""Adam."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.nodes.emit import Call, Snippet
from graphstudio.nodes.optimizers.spec import KERAS_L2, Optimizer, register
from graphstudio.nodes.spec import param

_TF_ADAM = Snippet(
    "Adam",
    '''
class Adam(tf.Module):
    """Adam with PyTorch's formula: epsilon is added to the corrected root.

    Weight decay is added to the gradient (L2).
    """

    def __init__(
        self, weights, *, learning_rate, beta_1, beta_2, epsilon, weight_decay=0.0
    ):
        super().__init__()
        self.weights = list(weights)
        self.betas = (beta_1, beta_2)
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        # A variable, because a Python number would be frozen into the traced step.
        self.learning_rate = tf.Variable(learning_rate, trainable=False)
        self.step = tf.Variable(0.0, trainable=False, dtype=tf.float64)
        self.means = [tf.Variable(tf.zeros_like(w), trainable=False) for w in weights]
        self.squares = [tf.Variable(tf.zeros_like(w), trainable=False) for w in weights]

    def apply(self, gradients):
        """Move the weights by one step."""
        self.step.assign_add(1.0)
        # In float64: 1 - beta ** step loses most of its digits in float32.
        correction_1, correction_2 = (
            tf.cast(1.0 - tf.pow(tf.constant(b, tf.float64), self.step), tf.float32)
            for b in self.betas
        )
        beta_1, beta_2 = self.betas
        for w, g, m, v in zip(self.weights, gradients, self.means, self.squares):
            if self.weight_decay:
                g = g + self.weight_decay * w
            m.assign(beta_1 * m + (1.0 - beta_1) * g)
            v.assign(beta_2 * v + (1.0 - beta_2) * tf.square(g))
            root = tf.sqrt(v) / tf.sqrt(correction_2) + self.epsilon
            w.assign_sub(self.learning_rate / correction_1 * m / root)
''',
    imports=("import tensorflow as tf",),
)

_KERAS_ADAM = Snippet(
    "AdamL2",
    '''
@keras.saving.register_keras_serializable("graphstudio")
class AdamL2(L2, keras.optimizers.Adam):
    """Adam with a weight decay that is added to the gradient."""
''',
    imports=("import keras",),
    uses=(KERAS_L2,),
)


@register
@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square.

    PyTorch's formula: ``epsilon`` is added to the bias-corrected root. Weight decay is added to
    the gradient (L2), not decoupled.

    References
    ----------
    Kingma and Ba, "Adam", 2014.
    """

    kind = "adam"
    label = "Adam"
    engine_name = "Adam"

    learning_rate: float = param(
        0.001, low=0.0, low_open=True, high=100.0, doc="Size of a step along the gradient."
    )
    beta1: float = param(
        0.9, low=0.0, high=0.99999, doc="Share of the old mean of the gradient that is kept."
    )
    beta2: float = param(
        0.999, low=0.0, high=0.9999999, doc="Share of the old mean of the square that is kept."
    )
    epsilon: float = param(
        1e-8, low=0.0, low_open=True, high=1.0, doc="Added to the root so that it is never 0."
    )
    weight_decay: float = param(
        0.0, low=0.0, high=10.0, doc="Pull of every weight towards zero, added to the gradient."
    )

    def emit_pytorch(self) -> Call:
        options = {"weight_decay": self.weight_decay} if self.weight_decay else {}
        arguments = {
            "lr": self.learning_rate,
            "betas": (self.beta1, self.beta2),
            "eps": self.epsilon,
            **options,
        }
        return Call("torch.optim.Adam", arguments)

    def emit_tensorflow(self) -> Call:
        options = {"weight_decay": self.weight_decay} if self.weight_decay else {}
        return Call(_TF_ADAM, {**self._arguments(), **options})

    def emit_keras(self) -> Call:
        if self.weight_decay:
            return Call(_KERAS_ADAM, {**self._arguments(), "l2": self.weight_decay})
        return Call("keras.optimizers.Adam", self._arguments())

    def _arguments(self) -> dict[str, float]:
        return {
            "learning_rate": self.learning_rate,
            "beta_1": self.beta1,
            "beta_2": self.beta2,
            "epsilon": self.epsilon,
        }
