"""Iris flowers, from scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.data.source import register
from graphstudio.data.table import Table


@register
@dataclass(frozen=True, kw_only=True)
class Iris(Table):
    """150 iris flowers: 4 lengths in cm, 3 species."""

    kind = "iris"
    label = "Iris flowers"
    about = "Iris flowers of scikit-learn: four lengths in cm, three species."
    num_features = 4
    class_names = ("setosa", "versicolor", "virginica")
