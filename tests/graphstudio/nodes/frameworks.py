"""References computed by TensorFlow, imported only where a test is marked for it."""

from __future__ import annotations

import numpy as np


def tensorflow_same_conv(x: np.ndarray, w: np.ndarray, *, stride: int) -> np.ndarray:
    """``tf.nn.conv2d`` with padding SAME, channels first in and out."""
    import tensorflow as tf

    y = tf.nn.conv2d(
        x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0), strides=stride, padding="SAME"
    )
    return y.numpy().transpose(0, 3, 1, 2)
