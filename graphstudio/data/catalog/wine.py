"""Wines by grower, from scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

from graphstudio.data.source import register
from graphstudio.data.table import Table


@register
@dataclass(frozen=True, kw_only=True)
class Wine(Table):
    """178 wines: 13 measurements, 3 growers."""

    kind = "wine"
    label = "Wine"
    about = "Wines of scikit-learn: thirteen measurements, three growers."
    num_features = 13
    class_names = ("class 0", "class 1", "class 2")
