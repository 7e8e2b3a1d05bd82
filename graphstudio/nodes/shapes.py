"""Shape rules that several node types share: windows, padding, what inputs must be."""

from __future__ import annotations

from collections.abc import Sequence

from graphstudio.nodes.types import Dim, Fix, InsertNode, Message, ShapeError, TensorType

Pads = tuple[tuple[int, int], tuple[int, int]]
"""(top, bottom), (left, right), in pixels."""

PADDINGS = ("same", "valid", "explicit")


def require_float(x: TensorType, port: str | None = None) -> None:
    """Refuse anything but float32.

    Raises
    ------
    ShapeError
        With code ``dtype``.
    """
    if x.dtype != "float32":
        raise ShapeError(
            message=Message("expected float32 numbers, got {dtype}", {"dtype": x.dtype}),
            hint=Message("Class ids belong on the target input of a loss or a metric."),
            port=port,
            code="dtype",
        )


def require_image(x: TensorType) -> None:
    """Refuse anything but float32 ``(N, C, H, W)`` with known sizes, offering to add the axes.

    Raises
    ------
    ShapeError
        With a Reshape to insert where the sizes suggest one.
    """
    require_float(x)
    if x.rank != 4:
        raise ShapeError(
            expected=Message("an image of rank 4, (N, C, H, W)"),
            actual=x.shape,
            hint=Message(
                "Put a Reshape node before this one that gives (channels, height, width)."
            ),
            fixes=_image_fixes(x),
        )
    require_known(x)


def _image_fixes(x: TensorType) -> tuple[Fix, ...]:
    if x.sample_size is None or not x.sample_shape:
        return ()
    sample = [d for d in x.sample_shape if isinstance(d, int)]
    if len(sample) == 2:
        shape = (1, *sample)
    elif len(sample) == 1 and round(sample[0] ** 0.5) ** 2 == sample[0]:
        side = round(sample[0] ** 0.5)
        shape = (1, side, side)
    else:
        return ()
    title = Message("Insert a Reshape to {shape}", {"shape": shape})
    return (InsertNode(title, "x", "shape.reshape", {"shape": shape}),)


def require_known(x: TensorType, port: str | None = None) -> None:
    """Refuse symbolic sizes other than the batch.

    Raises
    ------
    ShapeError
        If an axis after the first has no known size.
    """
    if x.sample_size is None:
        raise ShapeError(
            expected=Message("known sizes after the batch axis"), actual=x.shape, port=port
        )


def known(size: Dim) -> int:
    """A size that ``require_known`` has let through."""
    assert isinstance(size, int)
    return size


def same_pads(size: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """Pixels added before and after one axis so that the output has ``ceil(size / stride)``.

    The odd pixel goes to the end, as TensorFlow and Keras do; the result depends on ``size``.
    """
    total = max((-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def resolve_pads(
    padding: str,
    pads: Sequence[int],
    x: TensorType,
    kernel_size: Sequence[int],
    *,
    stride: Sequence[int],
    dilation: Sequence[int] = (1, 1),
) -> Pads:
    """The padding of an image of type ``x`` as integers per side.

    Parameters
    ----------
    padding : str
        ``same``, ``valid`` or ``explicit``.
    pads : sequence of int
        Top, bottom, left, right; read only if ``explicit``.
    """
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "explicit":
        top, bottom, left, right = pads
        return (top, bottom), (left, right)
    height, width = known(x.shape[2]), known(x.shape[3])
    return (
        same_pads(height, kernel_size[0], stride=stride[0], dilation=dilation[0]),
        same_pads(width, kernel_size[1], stride=stride[1], dilation=dilation[1]),
    )


def keras_padding(
    x: TensorType,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    pads: Pads,
    dilation: Sequence[int] = (1, 1),
) -> str | None:
    """Keras's word for these pads, ``valid`` or ``same``, or None if it has none."""
    if not any(map(any, pads)):
        return "valid"
    zeros = (0, 0, 0, 0)
    same = resolve_pads("same", zeros, x, kernel_size, stride=stride, dilation=dilation)
    return "same" if pads == same else None


def window_output(
    size: int, kernel: int, *, stride: int = 1, pads: tuple[int, int] = (0, 0), dilation: int = 1
) -> int:
    """Positions of a sliding window along one axis; zero or less if it does not fit."""
    return (size + pads[0] + pads[1] - dilation * (kernel - 1) - 1) // stride + 1


def window_shape(
    x: TensorType,
    kernel_size: Sequence[int],
    *,
    stride: Sequence[int],
    pads: Pads,
    dilation: Sequence[int] = (1, 1),
    fixes: tuple[Fix, ...] = (),
) -> tuple[int, int]:
    """Height and width of the output of a convolution or a pooling.

    Raises
    ------
    ShapeError
        If the window is larger than the padded image; it carries ``fixes``.
    """
    sizes = known(x.shape[2]), known(x.shape[3])
    height = window_output(
        sizes[0], kernel_size[0], stride=stride[0], pads=pads[0], dilation=dilation[0]
    )
    width = window_output(
        sizes[1], kernel_size[1], stride=stride[1], pads=pads[1], dilation=dilation[1]
    )
    if height < 1 or width < 1:
        reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel_size, dilation, strict=True))
        padded = tuple(n + sum(p) for n, p in zip(sizes, pads, strict=True))
        raise ShapeError(
            message=Message(
                "the window covers {reach} pixels, but the padded image has only {padded}; "
                "the input is {shape}",
                {"reach": reach, "padded": padded, "shape": x.shape},
            ),
            hint=Message("Use a smaller kernel, padding 'same', or fewer poolings before."),
            fixes=fixes,
            code="window",
        )
    return height, width


def size_text(size: Sequence[int]) -> str:
    """A kernel size as the summary shows it: ``3x3``."""
    return "x".join(str(n) for n in size)
