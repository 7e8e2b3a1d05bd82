"""Losses, under the names of ``engine.ops``. They take logits and return the mean as a scalar."""

from engine.ops.loss import cross_entropy, mse
from engine.ops.objectives import (
    binary_cross_entropy,
    contrastive,
    cosine_distance,
    dice,
    hinge,
    huber,
    kl_divergence,
    kl_normal,
    mae,
    triplet,
    weighted_cross_entropy,
)

__all__ = [
    "binary_cross_entropy",
    "contrastive",
    "cosine_distance",
    "cross_entropy",
    "dice",
    "hinge",
    "huber",
    "kl_divergence",
    "kl_normal",
    "mae",
    "mse",
    "triplet",
    "weighted_cross_entropy",
]
