"""The 8x8 digits that come with scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graphstudio.data.source import DataSet, Progress, Source, register
from graphstudio.document.model import Split
from graphstudio.ir.graph import DataField
from graphstudio.nodes.types import Message, TensorType


@register
@dataclass(frozen=True, kw_only=True)
class Digits(Source):
    """1,797 handwritten digits, 8x8 pixels, 10 classes; bundled, nothing to download."""

    kind = "digits"
    label = "Handwritten digits (8x8)"
    class_names = tuple("0123456789")
    requirements = ("numpy", "scikit-learn")

    def fields(self) -> tuple[DataField, ...]:
        return (
            DataField("image", TensorType(("N", 1, 8, 8))),
            DataField("label", TensorType(("N",), "int64", classes=10)),
        )

    def load(self, split: Split, project_dir: Path | None, progress: Progress) -> DataSet:
        progress(Message("Reading the digits of scikit-learn"), 0.0)
        import numpy as np
        from sklearn.datasets import load_digits  # late: scikit-learn takes a second to import

        from graphstudio.data.split import split_indices

        digits = load_digits()
        images = (digits.images / 16.0).astype(np.float32)[:, np.newaxis]
        labels = digits.target.astype(np.int64)
        train, validation, test = (
            {"image": images[rows], "label": labels[rows]}
            for rows in split_indices(len(labels), split)
        )
        progress(Message("Reading the digits of scikit-learn"), 1.0)
        return DataSet(train, validation, test, self.class_names)

    def loader_text(self, split: Split) -> str:
        return f'''"""Handwritten digits of scikit-learn: grey 8x8 images in 10 classes."""

import numpy as np
from sklearn.datasets import load_digits

CLASS_NAMES = tuple("0123456789")


def load_data() -> dict[str, dict[str, np.ndarray]]:
    """Images (N, 1, 8, 8), float32 in 0..1, and labels (N,), int64, in three splits."""
    digits = load_digits()
    images = (digits.images / 16.0).astype(np.float32)[:, np.newaxis]
    labels = digits.target.astype(np.int64)

    order = np.random.default_rng({split.seed}).permutation(len(labels))
    num_test = round(len(labels) * {split.test!r})
    held_out = num_test + round(len(labels) * {split.validation!r})
    rows = {{
        "train": order[held_out:],
        "validation": order[num_test:held_out],
        "test": order[:num_test],
    }}
    return {{name: {{"image": images[r], "label": labels[r]}} for name, r in rows.items()}}
'''
