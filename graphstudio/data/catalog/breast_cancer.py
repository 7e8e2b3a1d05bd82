"""Tissue samples, from scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.data.source import register
from graphstudio.data.table import Table


@register
@dataclass(frozen=True, kw_only=True)
class BreastCancer(Table):
    """569 tissue samples: 30 measurements, malignant or benign."""

    kind = "breast_cancer"
    label = "Breast cancer"
    about = "Tissue samples of scikit-learn: thirty measurements, malignant or benign."
    num_features = 30
    class_names = ("malignant", "benign")
