"""Base of the sources that are small tables bundled with scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from graphstudio.data.source import DataSet, Progress, Source
from graphstudio.document.model import Split
from graphstudio.ir.graph import DataField
from graphstudio.nodes.spec import param
from graphstudio.nodes.types import Message, TensorType


@dataclass(frozen=True, kw_only=True)
class Table(Source):
    """A table of numbers with a class for each row."""

    num_features: ClassVar[int]
    about: ClassVar[str]
    requirements = ("numpy", "scikit-learn")

    standardise: bool = param(
        True,
        doc="Give each column mean 0 and standard deviation 1, as measured on the training rows.",
    )

    def fields(self) -> tuple[DataField, ...]:
        return (
            DataField("features", TensorType(("N", self.num_features))),
            DataField("label", TensorType(("N",), "int64", classes=len(self.class_names))),
        )

    def load(self, split: Split, project_dir: Path | None, progress: Progress) -> DataSet:
        progress(Message("Reading a table of scikit-learn"), 0.0)
        import numpy as np
        from sklearn import datasets  # late: scikit-learn takes a second to import

        from graphstudio.data.split import split_indices

        table = getattr(datasets, f"load_{self.kind}")()
        train, validation, test = split_indices(len(table.target), split)
        features = table.data
        if self.standardise:
            mean, deviation = features[train].mean(axis=0), features[train].std(axis=0)
            features = (features - mean) / np.where(deviation > 0, deviation, 1.0)
        features, labels = features.astype(np.float32), table.target.astype(np.int64)
        progress(Message("Reading a table of scikit-learn"), 1.0)
        parts = [
            {"features": features[rows], "label": labels[rows]}
            for rows in (train, validation, test)
        ]
        return DataSet(parts[0], parts[1], parts[2], self.class_names)

    def loader_text(self, split: Split) -> str:
        standardise = (
            """
    mean, deviation = features[rows["train"]].mean(axis=0), features[rows["train"]].std(axis=0)
    features = (features - mean) / np.where(deviation > 0, deviation, 1.0)"""
            if self.standardise
            else ""
        )
        return f'''"""{self.about}"""

import numpy as np
from sklearn.datasets import load_{self.kind}

CLASS_NAMES = {self.class_names!r}


def load_data() -> dict[str, dict[str, np.ndarray]]:
    """Features (N, {self.num_features}), float32, and labels (N,), int64, in three splits."""
    table = load_{self.kind}()
    features, labels = table.data, table.target.astype(np.int64)

    order = np.random.default_rng({split.seed}).permutation(len(labels))
    num_test = round(len(labels) * {split.test!r})
    held_out = num_test + round(len(labels) * {split.validation!r})
    rows = {{
        "train": order[held_out:],
        "validation": order[num_test:held_out],
        "test": order[:num_test],
    }}{standardise}
    features = features.astype(np.float32)
    return {{name: {{"features": features[r], "label": labels[r]}} for name, r in rows.items()}}
'''
