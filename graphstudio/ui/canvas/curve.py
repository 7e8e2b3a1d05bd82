"""The cubic of a wire, in plain arithmetic: control points, points on it, distance to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPainterPath

Point = tuple[float, float]
Cubic = tuple[Point, Point, Point, Point]

_STEPS = 20
_SMOOTH = 0.36
"""Length of tangents at dots as a share of the stretch: loops come from longer ones."""


def reach(dx: float, dy: float) -> float:
    """How far the tangents stick out of their ports."""
    if dx >= 0:
        return max(min(dx * 0.5, 220.0), min(40.0, 12.0 + abs(dy) * 0.25 + dx * 0.5))
    return min(70.0 + -dx * 0.3 + abs(dy) * 0.1, 240.0)


def cubic(a: Point, b: Point) -> Cubic:
    """Curve from an output at ``a`` to an input at ``b``, level at both ends."""
    r = reach(b[0] - a[0], b[1] - a[1])
    return (a, (a[0] + r, a[1]), (b[0] - r, b[1]), b)


def cubics(points: Sequence[Point]) -> list[Cubic]:
    """One curve between each two neighbours; inner points are reroute dots.

    A wire leaves and enters its ports level. Through a dot it runs as the line from the point
    before to the point behind, so that it has no corner there, wherever it leads.
    """
    if len(points) == 2:
        return [cubic(*points)]
    ways = [_direction(a, b) for a, b in zip(points, points[2:], strict=False)]
    ways = [(1.0, 0.0), *ways, (1.0, 0.0)]
    curves = []
    for i, (a, b) in enumerate(pairwise(points)):
        r = _SMOOTH * math.hypot(b[0] - a[0], b[1] - a[1])
        (ux, uy), (vx, vy) = ways[i], ways[i + 1]
        curves.append((a, (a[0] + ux * r, a[1] + uy * r), (b[0] - vx * r, b[1] - vy * r), b))
    return curves


def _direction(a: Point, b: Point) -> Point:
    """Vector of length 1 from one point to the other; to the right if they are one."""
    length = math.hypot(b[0] - a[0], b[1] - a[1])
    return ((b[0] - a[0]) / length, (b[1] - a[1]) / length) if length else (1.0, 0.0)


def around(a: Point, b: Point, level: float, stub: float, radius: float = 14.0) -> list[Cubic]:
    """Curves from ``a`` back to ``b`` on its left: out, along a level line, and in, corners round.

    Parameters
    ----------
    level : float
        Height of the line that runs back, in scene units.
    stub : float
        How far the wire sticks out of its ports before it turns.
    """
    corners = [
        a,
        (a[0] + stub, a[1]),
        (a[0] + stub, level),
        (b[0] - stub, level),
        (b[0] - stub, b[1]),
        b,
    ]
    curves: list[Cubic] = []
    last = a
    for before, at, after in zip(corners, corners[1:], corners[2:], strict=False):
        bend = min(radius, _length(before, at) / 2, _length(at, after) / 2)
        start, end = _towards(at, before, bend), _towards(at, after, bend)
        curves += [_straight(last, start), _corner(start, at, end)]
        last = end
    curves.append(_straight(last, b))
    return [c for c in curves if c[0] != c[3]]


def _length(p: Point, q: Point) -> float:
    return abs(p[0] - q[0]) + abs(p[1] - q[1])  # all stretches are level or upright


def _towards(p: Point, q: Point, distance: float) -> Point:
    length = _length(p, q)
    t = distance / length if length else 0.0
    return (p[0] + (q[0] - p[0]) * t, p[1] + (q[1] - p[1]) * t)


def _straight(p: Point, q: Point) -> Cubic:
    dx, dy = (q[0] - p[0]) / 3, (q[1] - p[1]) / 3
    return (p, (p[0] + dx, p[1] + dy), (q[0] - dx, q[1] - dy), q)


def _corner(p: Point, at: Point, q: Point) -> Cubic:
    k = 0.5523  # the cubic that comes closest to a quarter of a circle
    return (
        p,
        (p[0] + (at[0] - p[0]) * k, p[1] + (at[1] - p[1]) * k),
        (q[0] + (at[0] - q[0]) * k, q[1] + (at[1] - q[1]) * k),
        q,
    )


def point_at(c: Cubic, t: float) -> Point:
    """Point of the curve at parameter ``t``, 0 to 1."""
    s = 1.0 - t
    k0, k1, k2, k3 = s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t
    return (
        k0 * c[0][0] + k1 * c[1][0] + k2 * c[2][0] + k3 * c[3][0],
        k0 * c[0][1] + k1 * c[1][1] + k2 * c[2][1] + k3 * c[3][1],
    )


def polyline(c: Cubic) -> list[Point]:
    """Points along the curve, both ends included; no more than its size needs."""
    if c[0][1] == c[1][1] == c[2][1] == c[3][1] or c[0][0] == c[1][0] == c[2][0] == c[3][0]:
        return [c[0], c[3]]  # straight
    steps = max(4, min(_STEPS, int((abs(c[3][0] - c[0][0]) + abs(c[3][1] - c[0][1])) / 12)))
    return [point_at(c, i / steps) for i in range(steps + 1)]


def path_of(curves: Sequence[Cubic]) -> QPainterPath:
    """Curves that follow each other, as a path to draw."""
    path = QPainterPath(QPointF(*curves[0][0]))
    for _, b, c, d in curves:
        path.cubicTo(QPointF(*b), QPointF(*c), QPointF(*d))
    return path


def control_rect(curves: Sequence[Cubic]) -> QRectF:
    """Smallest rectangle around all control points; the curve lies inside."""
    xs = [p[0] for c in curves for p in c]
    ys = [p[1] for c in curves for p in c]
    return QRectF(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def distance(line: Sequence[Point], x: float, y: float) -> float:
    """Distance from a point to a polyline."""
    return nearest(line, x, y)[0]


def nearest(line: Sequence[Point], x: float, y: float) -> tuple[float, Point]:
    """Distance from a point to a polyline, and the point of the line that is that near."""
    best, found = float("inf"), line[0]
    for (ax, ay), (bx, by) in pairwise(line):
        dx, dy = bx - ax, by - ay
        length = dx * dx + dy * dy
        t = 0.0 if length == 0 else max(0.0, min(1.0, ((x - ax) * dx + (y - ay) * dy) / length))
        px, py = ax + t * dx, ay + t * dy
        d = (x - px) * (x - px) + (y - py) * (y - py)
        if d < best:
            best, found = d, (px, py)
    return best**0.5, found


def crosses(line: Sequence[Point], a: Point, b: Point) -> bool:
    """True if the segment ``a``-``b`` cuts the polyline."""
    return any(_cut(p, q, a, b) for p, q in pairwise(line))


def _side(p: Point, q: Point, r: Point) -> float:
    return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])


def _cut(p: Point, q: Point, a: Point, b: Point) -> bool:
    return (_side(p, q, a) > 0) != (_side(p, q, b) > 0) and (_side(a, b, p) > 0) != (
        _side(a, b, q) > 0
    )
