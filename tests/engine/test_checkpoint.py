"""Saving and loading of named arrays."""

import os

import numpy as np
import pytest

from engine import checkpoint
from engine.errors import EngineError


def test_arrays_and_texts_come_back(tmp_path, rng):
    arrays = {
        "a": rng.normal(size=(2, 3)).astype(np.float32),
        "turned": rng.normal(size=(2, 3, 4)).transpose(2, 0, 1),
        "scalar": np.array(3, np.int64),
        "empty": np.empty((0, 2), np.float32),
    }
    checkpoint.save(tmp_path / "w.safetensors", arrays, {"epoch": "3"})
    loaded, metadata = checkpoint.load(tmp_path / "w.safetensors")
    assert metadata == {"epoch": "3"}
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].shape == array.shape


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    checkpoint.save(path, {"a": np.zeros(1)})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(path, {"a": np.ones(1)})
    monkeypatch.undo()
    assert checkpoint.load(path)[0]["a"].tolist() == [0.0]
    assert os.listdir(tmp_path) == ["w.safetensors"]


def test_saving_through_a_link_keeps_the_link(tmp_path):
    checkpoint.save(tmp_path / "real", {"a": np.zeros(1)})
    (tmp_path / "link").symlink_to(tmp_path / "real")
    checkpoint.save(tmp_path / "link", {"a": np.ones(1)})
    assert (tmp_path / "link").is_symlink()
    assert checkpoint.load(tmp_path / "real")[0]["a"].tolist() == [1.0]


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\xff" * 64])
def test_a_foreign_file_is_refused(tmp_path, content):
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(EngineError, match="safetensors"):
        checkpoint.load(tmp_path / "w")


def test_a_cut_off_file_is_refused(tmp_path):
    path = tmp_path / "w"
    checkpoint.save(path, {"a": np.zeros(100)})
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(EngineError, match="safetensors"):
        checkpoint.load(path)


def test_a_missing_file_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        checkpoint.load(tmp_path / "none")
