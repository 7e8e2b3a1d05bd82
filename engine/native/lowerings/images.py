"""Images as the native kernels see them: channels last in memory, one at a time, zero-bordered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.native.emit import Function, Val
from engine.native.loops import copied
from engine.native.writer import Writer
from engine.ops.windows import to_channels_last


@dataclass(frozen=True)
class Geometry:
    """One convolution, sizes in elements."""

    images: int
    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    dilation: tuple[int, int]

    @property
    def taps(self) -> int:
        return self.kernel[0] * self.kernel[1]

    @property
    def pointwise(self) -> bool:
        """True if each output reads one pixel, so that all pixels together are one matrix."""
        return self.taps == 1 and self.stride == (1, 1) and self.padding == ((0, 0), (0, 0))


def dense_channels_last(array: Any) -> bool:
    """True if a (N, C, spatial...) array lies in memory as packed (N, spatial..., C)."""
    return bool(to_channels_last(array).flags.c_contiguous)


def as_pixels(array: Any) -> Any:
    """A packed channels-last (N, C, H, W) array as the matrix (N * H * W, C) that it is."""
    return array.transpose(0, 2, 3, 1).reshape(-1, array.shape[1])


def in_channels_last(w: Writer, array: Any) -> Any:
    """The array, or a copy in the program's scratch that lies as packed (N, spatial..., C)."""
    if dense_channels_last(array):
        return array
    shape = to_channels_last(array).shape
    copy = np.moveaxis(w.scratch(array.size).reshape(shape), -1, 1)
    copied(w, copy, array)
    return copy


@contextmanager
def nested(f: Function, sizes: Sequence[int]) -> Iterator[list[Val]]:
    """Loops over all ``sizes``, the first one outermost: their indices."""
    with ExitStack() as stack:
        yield [stack.enter_context(f.loop(0, n)).index for n in sizes]


def geometry(x: Any, w_shape: Sequence[int], y_shape: Sequence[int], attrs: Any) -> Geometry | None:
    """The sizes, or None where the images' kernels do not serve."""
    window = attrs["window"]
    if attrs["groups"] != 1 or len(window.kernel) != 2 or x.dtype != np.float32:
        return None
    if 0 in (*x.shape, *w_shape, *y_shape):
        return None
    n, c, h, w = x.shape
    return Geometry(
        n,
        h,
        w,
        c,
        y_shape[2],
        y_shape[3],
        w_shape[0],
        window.kernel,
        window.stride,
        window.padding,
        window.dilation,
    )


@dataclass(frozen=True)
class Frame:
    """A zero-bordered copy of one image, or the image itself where no border is needed."""

    height: int
    width: int
    channels: int
    top: int
    left: int
    inner_height: int
    inner_width: int
    copied: bool

    @property
    def size(self) -> int:
        return self.height * self.width * self.channels

    @property
    def row(self) -> int:
        return self.width * self.channels

    def clear(self, f: Function, frame: Val, lanes: int) -> None:
        """Fill with zeros: once a kernel, as only the inside is written again."""
        if self.copied:
            f.fill(frame, self.size, lanes)

    def fill(self, f: Function, frame: Val, image: Val, lanes: int) -> Val:
        """Copy an image inside; the pointer to read from."""
        if not self.copied:
            return image
        line = self.inner_width * self.channels
        with f.loop(0, self.inner_height) as r:
            source = f.at(image, (r.index, line))
            target = f.at(
                frame, (self.top, self.row), (self.left, self.channels), (r.index, self.row)
            )
            f.copy(target, source, line, lanes)
        return frame


def input_frame(g: Geometry) -> Frame:
    """The frame that holds an input image with its padding."""
    (top, bottom), (left, right) = g.padding
    padded = bool(top or bottom or left or right)
    return Frame(
        g.height + top + bottom,
        g.width + left + right,
        g.channels,
        top,
        left,
        g.height,
        g.width,
        padded,
    )


def frames_for(w: Writer, frame: Frame) -> Any:
    """Working memory for one frame a thread."""
    return w.scratch(w.max_threads * frame.size if frame.copied else 1)
