"""Losses, under the names of ``engine.ops``. They take logits and return the mean as a scalar."""

from engine.ops.loss import cross_entropy, mse

__all__ = ["cross_entropy", "mse"]
