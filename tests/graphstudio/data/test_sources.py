"""Every source: what it describes is what it loads, and its script loads the same."""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graphstudio import data
from graphstudio.data import DataError, DataSet
from graphstudio.data.folders import candidates, name_folder, named_folder
from graphstudio.document.model import DataSpec, Split
from graphstudio.nodes.types import BATCH

BUNDLED = ("digits", "iris", "wine", "breast_cancer")


def write_mnist(folder: Path, *, train: int = 60, test: int = 20, zipped: bool = True) -> None:
    """Four small files in MNIST's format (a test's input, not a stand-in for the data)."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", train), ("t10k", test)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            body = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            body += array.tobytes()
            path = folder / f"{part}-{name}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(body) if zipped else body)


def run_script(text: str, folder: Path, **env: str) -> dict[str, dict[str, np.ndarray]]:
    """What ``load_data`` of an exported script gives in a Python that knows no graphstudio."""
    (folder / "data.py").write_text(text, encoding="utf-8")
    code = (
        "import sys; sys.path.insert(0, '.'); import data, numpy as np\n"
        "flat = {f'{s}/{k}': a for s, part in data.load_data().items() for k, a in part.items()}\n"
        "np.savez('out.npz', **flat); assert 'graphstudio' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", code],
        cwd=folder,
        env=dict(os.environ) | env,
        check=True,
        timeout=120,
    )
    out: dict[str, dict[str, np.ndarray]] = {}
    with np.load(folder / "out.npz", allow_pickle=False) as arrays:
        for name in arrays.files:
            split, key = name.split("/")
            out.setdefault(split, {})[key] = arrays[name]
    return out


def assert_same(loaded: DataSet, script: dict[str, dict[str, np.ndarray]]) -> None:
    for name in ("train", "validation", "test"):
        ours = getattr(loaded, name)
        assert ours.keys() == script[name].keys()
        for key, array in ours.items():
            assert script[name][key].dtype == array.dtype
            np.testing.assert_array_equal(script[name][key], array)


@pytest.mark.parametrize(
    ("kind", "split"),
    [("digits", Split()), *((kind, Split(validation=0.25, test=0.15, seed=7)) for kind in BUNDLED)],
)
def test_script_loads_the_same_arrays_bit_for_bit(kind: str, split: Split, tmp_path: Path) -> None:
    spec = DataSpec(source=kind, split=split)
    assert_same(data.load(spec), run_script(data.python_loader(spec), tmp_path))


@pytest.mark.parametrize("normalise", ["unit", "standard"])
@pytest.mark.parametrize("zipped", [True, False])
def test_mnist_script_loads_the_same_arrays(normalise: str, zipped: bool, tmp_path: Path) -> None:
    write_mnist(tmp_path / "data" / "mnist", zipped=zipped)
    spec = DataSpec(source="mnist", options={"normalise": normalise}, split=Split(seed=3))
    loaded = data.load(spec, tmp_path)
    assert DataSet.size_of(loaded.train) == 54
    assert DataSet.size_of(loaded.validation) == 6
    script = run_script(
        data.python_loader(spec), tmp_path, MNIST_DIR=str(tmp_path / "data" / "mnist")
    )
    assert_same(loaded, script)


@pytest.mark.parametrize("kind", BUNDLED)
def test_loaded_arrays_are_what_the_source_describes(kind: str) -> None:
    fields, problem = data.describe(DataSpec(source=kind))
    assert problem is None
    loaded = data.load(DataSpec(source=kind))
    for part in (loaded.train, loaded.validation, loaded.test):
        for field in fields:
            array = part[field.name]
            assert field.type.shape == (BATCH, *array.shape[1:])
            assert array.dtype == field.type.dtype
            if field.type.classes is not None:
                assert set(np.unique(array)) == set(range(field.type.classes))
                assert len(loaded.class_names) == field.type.classes


def test_splits_share_no_sample_and_lose_none() -> None:
    loaded = data.load(DataSpec(source="digits"))
    sizes = [DataSet.size_of(p) for p in (loaded.train, loaded.validation, loaded.test)]
    assert sizes == [1258, 180, 359]
    from sklearn.datasets import load_digits

    parts = [p["image"].reshape(-1, 64) for p in (loaded.train, loaded.validation, loaded.test)]
    ours = sorted(map(tuple, np.concatenate(parts) * 16))
    assert ours == sorted(map(tuple, load_digits().data))
    order = np.random.default_rng(0).permutation(1797)
    np.testing.assert_array_equal(loaded.test["label"], load_digits().target[order[:359]])


def test_describing_every_source_imports_neither_numpy_nor_sklearn() -> None:
    code = (
        "import sys; from graphstudio import data\n"
        "from graphstudio.document.model import DataSpec\n"
        "for kind in data.sources():\n"
        "    fields, problem = data.describe(DataSpec(source=kind))\n"
        "    assert fields and problem is None\n"
        "    compile(data.python_loader(DataSpec(source=kind)), kind, 'exec')\n"
        "assert not {'numpy', 'sklearn', 'engine'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=with_package_path())


def with_package_path() -> dict[str, str]:
    return dict(os.environ) | {"PYTHONPATH": str(Path(data.__file__).parents[2])}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (DataSpec(), "no data source"),
        (DataSpec(source="imagenet"), "no data source 'imagenet'"),
        (DataSpec(source="mnist", options={"normalise": "maybe"}), "must be one of"),
        (DataSpec(source="mnist", options={"folder": 3}), "must be text"),
        (DataSpec(source="mnist", options={"folder": "/etc"}), "leads out of it"),
        (DataSpec(source="mnist", options={"folder": "a/../../b"}), "leads out of it"),
        (DataSpec(source="mnist", options={"folder": "C:\\data"}), "leads out of it"),
        (DataSpec(source="mnist", options={"folder": "..\\b"}), "leads out of it"),
        (DataSpec(source="mnist", options={"folder": "~/x"}), "leads out of it"),
        (DataSpec(source="digits", split=Split(validation=0.5, test=0.5)), "leave nothing"),
        (DataSpec(source="digits", split=Split(test=float("nan"))), "share must be"),
        (DataSpec(source="digits", split=Split(test=-0.1)), "share must be"),
        (DataSpec(source="digits", split=Split(seed=-1)), "seed"),
        (DataSpec(source="digits", split=Split(seed="os.system")), "seed"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_specification_is_explained_not_loaded(spec: DataSpec, words: str) -> None:
    fields, problem = data.describe(spec)
    assert fields == ()
    assert words in str(problem)
    for use in (data.load, data.python_loader):
        with pytest.raises(DataError, match=words):
            use(spec)  # type: ignore[operator]


def test_missing_mnist_names_files_places_and_the_way_out(tmp_path: Path) -> None:
    write_mnist(tmp_path / "data" / "mnist")
    (tmp_path / "data" / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    spec = DataSpec(source="mnist")
    assert data.missing(DataSpec(source="digits"), tmp_path) is None
    assert data.missing(spec, tmp_path) is not None
    with pytest.raises(DataError) as caught:
        data.load(spec, tmp_path)
    text = str(caught.value)
    assert "t10k-labels-idx1-ubyte" in text
    assert "train-images" not in text
    assert str(tmp_path / "data" / "mnist") in text
    assert "graphstudio data fetch mnist" in str(caught.value.hint)


def test_the_folder_that_the_user_named_is_used_for_every_project(tmp_path: Path) -> None:
    write_mnist(tmp_path / "elsewhere")
    assert named_folder("mnist") is None
    name_folder("mnist", tmp_path / "elsewhere")
    name_folder("other", tmp_path / "other")
    assert named_folder("mnist") == tmp_path / "elsewhere"
    assert DataSet.size_of(data.load(DataSpec(source="mnist")).test) == 20
    assert data.missing(DataSpec(source="mnist"), tmp_path / "project") is None
    write_mnist(tmp_path / "project" / "data" / "mnist", test=11)  # the project's own comes first
    loaded = data.load(DataSpec(source="mnist"), tmp_path / "project")
    assert DataSet.size_of(loaded.test) == 11


@pytest.mark.parametrize("content", ["[]", "{", '{"folders": 3}', '{"folders": {"mnist": 1}}'])
def test_a_broken_list_of_folders_is_as_good_as_none(
    tmp_path: Path, own_folders: Path, content: str
) -> None:
    name_folder("mnist", tmp_path)
    (settings,) = own_folders.rglob("data.json")
    assert json.loads(settings.read_text())["folders"] == {"mnist": str(tmp_path)}
    settings.write_text(content)
    assert named_folder("mnist") is None
    assert len(candidates("mnist", "", None)) == 1
    name_folder("mnist", tmp_path)
    assert named_folder("mnist") == tmp_path


def test_progress_is_reported_up_to_the_end(tmp_path: Path) -> None:
    write_mnist(tmp_path / "data" / "mnist")
    for spec in (DataSpec(source="mnist"), DataSpec(source="digits"), DataSpec(source="iris")):
        seen: list[float] = []
        data.load(spec, tmp_path, lambda what, share, seen=seen: seen.append(share))  # type: ignore[misc]
        assert seen == sorted(seen)
        assert seen[-1] == 1.0
