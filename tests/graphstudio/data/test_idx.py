"""IDX files, honest and hostile."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from graphstudio.data import DataError
from graphstudio.data.idx import read_idx


def idx_bytes(array: np.ndarray, *, shape: tuple[int, ...] | None = None, kind: int = 8) -> bytes:
    shape = array.shape if shape is None else shape
    return struct.pack(f">HBB{len(shape)}I", 0, kind, len(shape), *shape) + array.tobytes()


IMAGES = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("array", [IMAGES, IMAGES[0, 0], np.zeros((0, 28, 28), np.uint8)])
def test_reads_back_what_was_written(tmp_path: Path, array: np.ndarray, zipped: bool) -> None:
    body = idx_bytes(array)
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(body) if zipped else body)
    read = read_idx(path, ndim=array.ndim)
    assert read.shape == array.shape
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "too short"),
        (b"\0\0\x08", "too short"),
        (idx_bytes(IMAGES)[:12], "too short"),
        (idx_bytes(IMAGES, kind=0x0D), "not an IDX file"),
        (b"\x00\x01" + idx_bytes(IMAGES)[2:], "not an IDX file"),
        (idx_bytes(IMAGES[0]) + bytes(8), "not an IDX file"),
        (idx_bytes(IMAGES)[:-1], "length does not match"),
        (idx_bytes(IMAGES) + b"x", "length does not match"),
        (idx_bytes(IMAGES, shape=(2**32 - 1, 2**32 - 1, 2**32 - 1)), "more than a gigabyte"),
        (idx_bytes(IMAGES, shape=(900, 1000, 1000)), "length does not match"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(
    tmp_path: Path, body: bytes, words: str, zipped: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(body) if zipped else body)
    tracemalloc.start()
    with pytest.raises(DataError, match=words) as caught:
        read_idx(path, ndim=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "file" in str(caught.value)
    assert caught.value.hint is not None
    assert peak < 8 << 20  # a claimed size takes no memory


def test_a_gzip_bomb_is_unpacked_no_further_than_its_header_says(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(idx_bytes(IMAGES) + bytes(200 << 20)))
    tracemalloc.start()
    with pytest.raises(DataError, match="length does not match"):
        read_idx(path, ndim=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize("cut", [5, 20, -3])
def test_a_torn_gzip_file_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "torn.gz"
    path.write_bytes(gzip.compress(idx_bytes(IMAGES))[:cut])
    with pytest.raises(DataError, match="damaged"):
        read_idx(path, ndim=3)


def test_an_unreadable_file_says_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path, ndim=3)
