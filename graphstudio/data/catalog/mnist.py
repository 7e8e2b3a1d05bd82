"""MNIST from its four IDX files, in a folder that the user names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphstudio.data import folders
from graphstudio.data.source import DataError, DataSet, Progress, Source, register
from graphstudio.document.model import Split
from graphstudio.ir.graph import DataField
from graphstudio.nodes.spec import param
from graphstudio.nodes.types import Message, TensorType

if TYPE_CHECKING:
    import numpy as np

    Bytes = np.ndarray[Any, np.dtype[np.uint8]]

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

# Mean and standard deviation of the training pixels once they are divided by 255.
_MEAN, _DEVIATION = 0.1307, 0.3081


@register
@dataclass(frozen=True, kw_only=True)
class Mnist(Source):
    """70,000 handwritten digits, 28x28 pixels, 10 classes; read from four IDX files.

    The 10,000 official test images are held out; validation comes from the training images.
    """

    kind = "mnist"
    label = "MNIST (28x28 digits)"
    class_names = tuple("0123456789")
    has_test_split = True

    folder: str = param(
        "data/mnist",
        doc="Folder of the four files inside the project's folder. If they are not there, the "
        "folder that you named for MNIST on this computer is used.",
    )
    normalise: str = param(
        "unit",
        choices=("unit", "standard"),
        doc="unit: pixels from 0 to 1. standard: mean 0 and standard deviation 1.",
    )

    def check_options(self) -> Message | None:
        return folders.outside_problem(self.folder)

    def fields(self) -> tuple[DataField, ...]:
        return (
            DataField("image", TensorType(("N", 1, 28, 28))),
            DataField("label", TensorType(("N",), "int64", classes=10)),
        )

    @classmethod
    def lacking(cls, folder: Path) -> tuple[str, ...]:
        return tuple(name for name in FILES if _file_in(folder, name) is None)

    def missing(self, project_dir: Path | None) -> DataError | None:
        try:
            self._find(project_dir)
        except DataError as error:
            return error
        return None

    def load(self, split: Split, project_dir: Path | None, progress: Progress) -> DataSet:
        import numpy as np

        from graphstudio.data.idx import read_idx

        paths = self._find(project_dir)
        arrays: list[Bytes] = []
        for path in paths:
            progress(Message("Reading {file}", {"file": path.name}), len(arrays) / len(paths))
            arrays.append(read_idx(path, ndim=3 if "images" in path.name else 1))
        _check_content(paths, arrays)
        train, test = (
            {"image": self._scaled(images), "label": labels.astype(np.int64)}
            for images, labels in (arrays[:2], arrays[2:])
        )
        order = np.random.default_rng(split.seed).permutation(len(train["label"]))
        num_validation = round(len(order) * split.validation)
        progress(Message("Reading {file}", {"file": paths[-1].name}), 1.0)
        return DataSet(
            {name: a[order[num_validation:]] for name, a in train.items()},
            {name: a[order[:num_validation]] for name, a in train.items()},
            test,
            self.class_names,
        )

    def _scaled(self, images: Bytes) -> np.ndarray[Any, Any]:
        import numpy as np

        scaled = images[:, np.newaxis].astype(np.float32) / np.float32(255.0)
        if self.normalise == "standard":
            scaled = (scaled - np.float32(_MEAN)) / np.float32(_DEVIATION)
        return scaled

    def _find(self, project_dir: Path | None) -> list[Path]:
        """The four files, all from the first folder that has them."""
        looked = folders.candidates(self.kind, self.folder, project_dir)
        for folder in looked:
            paths = [path for name in FILES if (path := _file_in(folder, name)) is not None]
            if len(paths) == len(FILES):
                return paths
        lacking = min((self.lacking(folder) for folder in looked), key=len)
        raise DataError(
            Message(
                "MNIST is not complete: {files} not found in {folders}",
                {"files": ", ".join(lacking), "folders": "; ".join(map(str, looked))},
            ),
            Message(
                "Fetch the files with: graphstudio data fetch mnist. If you have them already, say "
                "where: graphstudio data use mnist DIR"
            ),
        )

    def loader_text(self, split: Split) -> str:
        scale = (
            f"    return (scaled - np.float32({_MEAN})) / np.float32({_DEVIATION})"
            if self.normalise == "standard"
            else "    return scaled"
        )
        return f'''"""MNIST from its four IDX files, plain or gzipped.

They are read from the folder ``mnist`` beside this file, or from the one that the
environment variable ``MNIST_DIR`` names.
"""

import gzip
import os
from pathlib import Path

import numpy as np

FOLDER = Path(os.environ.get("MNIST_DIR") or Path(__file__).resolve().parent / "mnist")
CLASS_NAMES = tuple("0123456789")


def read_idx(name: str, header: int) -> np.ndarray:
    """Bytes of an IDX file after its header."""
    for path in (FOLDER / name, FOLDER / f"{{name}}.gz"):
        if path.is_file():
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                return np.frombuffer(file.read(), dtype=np.uint8, offset=header)
    raise FileNotFoundError(f"{{name}} (or {{name}}.gz) is not in {{FOLDER}}; set MNIST_DIR")


def read_images(name: str) -> np.ndarray:
    """Images (N, 1, 28, 28), float32."""
    pixels = read_idx(name, header=16).reshape(-1, 1, 28, 28)
    scaled = pixels.astype(np.float32) / np.float32(255.0)
{scale}


def read_labels(name: str) -> np.ndarray:
    """Classes (N,), int64."""
    return read_idx(name, header=8).astype(np.int64)


def load_data() -> dict[str, dict[str, np.ndarray]]:
    """Images (N, 1, 28, 28), float32, and labels (N,), int64, in three splits."""
    images = read_images("train-images-idx3-ubyte")
    labels = read_labels("train-labels-idx1-ubyte")
    test_images = read_images("t10k-images-idx3-ubyte")
    test_labels = read_labels("t10k-labels-idx1-ubyte")

    order = np.random.default_rng({split.seed}).permutation(len(labels))
    num_validation = round(len(labels) * {split.validation!r})
    train, validation = order[num_validation:], order[:num_validation]
    return {{
        "train": {{"image": images[train], "label": labels[train]}},
        "validation": {{"image": images[validation], "label": labels[validation]}},
        "test": {{"image": test_images, "label": test_labels}},
    }}
'''


def _file_in(folder: Path, name: str) -> Path | None:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    return None


def _check_content(paths: list[Path], arrays: list[Bytes]) -> None:
    import numpy as np

    for path, array in zip(paths, arrays, strict=True):
        if array.ndim == 3 and array.shape[1:] != (28, 28):
            raise DataError(
                Message(
                    "'{file}' holds images of {height}x{width} pixels, expected 28x28",
                    {"file": path.name, "height": array.shape[1], "width": array.shape[2]},
                )
            )
        if array.ndim == 1 and array.size and int(np.max(array)) > 9:
            raise DataError(
                Message(
                    "'{file}' holds the class {found}, expected 0 to 9",
                    {"file": path.name, "found": int(np.max(array))},
                )
            )
    for images, labels in ((0, 1), (2, 3)):
        if len(arrays[images]) != len(arrays[labels]):
            raise DataError(
                Message(
                    "'{images}' holds {num_images} images but '{labels}' holds {num_labels} labels",
                    {
                        "images": paths[images].name,
                        "num_images": len(arrays[images]),
                        "labels": paths[labels].name,
                        "num_labels": len(arrays[labels]),
                    },
                ),
                Message("The four files must come from the same data set."),
            )
