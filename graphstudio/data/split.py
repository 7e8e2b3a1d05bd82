"""Dividing samples at random, once for the engine and once as the lines of an exported script."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphstudio.document.model import Split

Indices = np.ndarray[Any, np.dtype[np.int64]]


def split_indices(count: int, split: Split) -> tuple[Indices, Indices, Indices]:
    """Positions of the training, validation and test samples among ``count``, shuffled.

    The permutation of NumPy's default generator is the definition: exported scripts draw the
    same one, so that all train on the same samples.
    """
    order = np.random.default_rng(split.seed).permutation(count)
    num_test, num_validation = round(count * split.test), round(count * split.validation)
    held_out = num_test + num_validation
    return order[held_out:], order[num_test:held_out], order[:num_test]
