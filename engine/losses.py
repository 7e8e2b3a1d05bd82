"""Losses, under the names of ``engine.ops``. They take logits and return the mean as a scalar."""

from typing import TYPE_CHECKING, Any

from engine.ops.ctc import ctc
from engine.ops.loss import cross_entropy, mse
from engine.ops.objectives import (
    binary_cross_entropy,
    contrastive,
    cosine_distance,
    cosine_embedding,
    dice,
    focal,
    hinge,
    huber,
    iou,
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
    "cosine_embedding",
    "cross_entropy",
    "ctc",
    "dice",
    "focal",
    "hinge",
    "huber",
    "iou",
    "kl_divergence",
    "kl_normal",
    "mae",
    "mse",
    "triplet",
    "weighted_cross_entropy",
]

if not TYPE_CHECKING:  # which would take any name for one that exists

    def __getattr__(name: str) -> Any:
        from engine.other_names import explained

        raise AttributeError(explained(__name__, name), name=name)
