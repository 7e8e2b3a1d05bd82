"""What optimisers bring along to exported code."""

from __future__ import annotations

from typing import Any

from graphstudio.nodes.optimizers.spec import KERAS_L2


class Plain:
    """Stands where Keras's optimiser does, and shows what reaches it."""

    def __init__(self) -> None:
        self._trainable_variables = [2.0, 4.0]

    def apply(self, grads: list[Any], trainable_variables: Any = None) -> list[Any]:
        return grads


def test_decay_is_added_to_every_gradient_and_to_no_missing_one() -> None:
    """Keras gives None for a weight on which no loss depends, and leaves it out itself."""
    namespace: dict[str, Any] = {}
    exec(KERAS_L2.source, namespace)
    optimizer = type("Decaying", (namespace["L2"], Plain), {})(l2=0.5)
    assert optimizer.apply([1.0, None]) == [2.0, None]
    assert optimizer.apply([1.0, 1.0], [10.0, 20.0]) == [6.0, 11.0]
