"""The gradient check itself must find a wrong gradient."""

import numpy as np
import pytest

from engine import ops
from engine.testing import check_gradients


def test_a_right_gradient_passes(rng):
    check_gradients(lambda x: x * x, rng.normal(size=3), second=True)


def test_a_wrong_gradient_is_found(rng):
    with pytest.raises(AssertionError, match="gradient of input 0"):
        check_gradients(lambda x: x * ops.stop_gradient(x), rng.normal(size=3))


def test_a_wrong_second_gradient_is_found(rng):
    def wrong(x):
        # First derivative right, second one missing: x * x = c (2 x - c) with c = x held fixed.
        fixed = ops.stop_gradient(x)
        return fixed * x * 2.0 - fixed * fixed

    x = np.array([1.0, 2.0])
    check_gradients(lambda v: v * v, x)
    with pytest.raises(AssertionError):
        check_gradients(wrong, x, second=True)
