"""Arranges a graph from left to right, in layers: plain arithmetic on boxes and edges.

Longest-path layers, place holders for edges that span several layers, barycentre sweeps against
crossings, and heights by isotonic regression, which keeps the order and pulls wires straight.

References
----------
Sugiyama, Tagawa, Toda, "Methods for visual understanding of hierarchical system structures", 1981
(layers and barycentres). Barlow et al., "Statistical inference under order restrictions", 1972
(pool adjacent violators).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

LAYER_GAP = 120.0
"""Between layers: room for the label on a wire."""
NODE_GAP = 40.0
PART_GAP = 80.0
"""Between parts of the graph that no wire joins."""
_EDGE_GAP = 20.0
_COLUMN = 512.0
_SWEEPS = 6
_STRAIGHT = 8.0
"""How much more a long edge wants to be straight than a node wants to be in the middle."""

Position = tuple[float, float]
Rect = tuple[float, float, float, float]
"""Left, top, width, height."""


@dataclass(frozen=True)
class Box:
    """A node: where it is and how large."""

    id: str
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Edge:
    """A wire; the offsets are those of its ports below the tops of the two boxes."""

    source: str
    target: str
    source_offset: float = 0.0
    target_offset: float = 0.0


@dataclass(slots=True)
class _Cell:
    """A node, or a place holder for an edge that passes through a layer."""

    id: str
    layer: int
    width: float
    height: float
    order: float
    before: list[tuple[_Cell, float]] = field(default_factory=list)
    """Neighbours to the left, and how much lower than theirs this top should be."""
    after: list[tuple[_Cell, float]] = field(default_factory=list)
    top: float = 0.0
    index: int = 0

    @property
    def real(self) -> bool:
        return bool(self.id)

    @property
    def pull(self) -> float:
        """How strongly neighbours should stand level with it."""
        return 1.0 if self.id else _STRAIGHT

    @property
    def weight(self) -> float:
        """How strongly it should stand where it wants to."""
        if not self.id:
            return _STRAIGHT * _STRAIGHT
        return _STRAIGHT if len(self.before) == 1 and len(self.after) == 1 else 1.0


def arrange(
    boxes: Sequence[Box],
    edges: Iterable[Edge],
    *,
    obstacles: Sequence[Rect] = (),
    grid: float = 20.0,
) -> dict[str, Position]:
    """New top-left corners by node id, on the grid, without overlaps.

    Parameters
    ----------
    boxes : sequence of Box
        What to arrange. The corner of their common rectangle stays where it is.
    edges : iterable of Edge
        Wires; those to other nodes are ignored.
    obstacles : sequence of rectangles
        Nodes that stay; the result is put below them where it would cover one.
    """
    if not boxes:
        return {}
    known = {b.id: b for b in boxes}
    inner = [e for e in edges if e.source in known and e.target in known and e.source != e.target]
    left = _snap(min(b.left for b in boxes), grid)
    top = _snap(min(b.top for b in boxes), grid)
    placed: dict[str, Position] = {}
    y = top
    for part in _parts(boxes, inner):
        ids = {b.id for b in part}
        own = [e for e in inner if e.source in ids] if len(ids) < len(known) else inner
        local, height = _arrange_part(part, own, grid)
        placed.update({n: (left + px, y + py) for n, (px, py) in local.items()})
        y += _up(height + PART_GAP, grid)
    down = _clear(placed, known, obstacles, grid)
    return {n: (px, py + down) for n, (px, py) in placed.items()}


def _snap(value: float, grid: float) -> float:
    return math.floor(value / grid + 0.5) * grid


def _up(value: float, grid: float) -> float:
    return math.ceil(value / grid - 1e-9) * grid


def _parts(boxes: Sequence[Box], edges: Sequence[Edge]) -> list[list[Box]]:
    """Connected parts, by where they are now, from the top."""
    leader = {b.id: b.id for b in boxes}

    def find(n: str) -> str:
        while leader[n] != n:
            leader[n] = leader[leader[n]]
            n = leader[n]
        return n

    for e in edges:
        leader[find(e.source)] = find(e.target)
    groups: dict[str, list[Box]] = {}
    for b in boxes:
        groups.setdefault(find(b.id), []).append(b)
    return sorted(groups.values(), key=lambda g: (len(g) == 1, min(b.top for b in g), g[0].id))


def _arrange_part(
    boxes: Sequence[Box], edges: Sequence[Edge], grid: float
) -> tuple[dict[str, Position], float]:
    """Corners relative to the part's own corner, and its height."""
    layer_of = _layers(boxes, edges)
    layers = _cells(boxes, edges, layer_of)
    _order(layers)
    _heights(layers, grid)
    lowest = min(c.top for layer in layers for c in layer if c.real)
    result: dict[str, Position] = {}
    x = height = 0.0
    for layer in layers:
        for cell in layer:
            if cell.real:
                y = _snap(cell.top - lowest, grid)
                result[cell.id] = (x, y)
                height = max(height, y + cell.height)
        x += _up(max(c.width for c in layer) + LAYER_GAP, grid)
    return result, height


def _layers(boxes: Sequence[Box], edges: Sequence[Edge]) -> dict[str, int]:
    """Longest path from a source; sources then move right, next to what they feed."""
    after: dict[str, set[str]] = {b.id: set() for b in boxes}
    before: dict[str, set[str]] = {b.id: set() for b in boxes}
    for e in edges:
        after[e.source].add(e.target)
        before[e.target].add(e.source)
    waiting = {n: len(before[n]) for n in before}
    ready = [n for n, count in waiting.items() if not count]
    layer = dict.fromkeys(before, 0)
    order: list[str] = []
    while ready:
        n = ready.pop()
        order.append(n)
        for m in after[n]:
            layer[m] = max(layer[m], layer[n] + 1)
            waiting[m] -= 1
            if not waiting[m]:
                ready.append(m)
    for n in reversed(order):
        if not before[n] and after[n]:
            layer[n] = min(layer[m] for m in after[n]) - 1
    first = min(layer.values())
    return {n: at - first for n, at in layer.items()}


def _cells(
    boxes: Sequence[Box], edges: Sequence[Edge], layer_of: Mapping[str, int]
) -> list[list[_Cell]]:
    layers: list[list[_Cell]] = [[] for _ in range(max(layer_of.values()) + 1)]
    cells: dict[str, _Cell] = {}
    for b in boxes:
        cell = _Cell(b.id, layer_of[b.id], b.width, b.height, order=b.top)
        cells[b.id] = cell
        layers[cell.layer].append(cell)
    for e in edges:
        a, b_ = cells[e.source], cells[e.target]
        if b_.layer <= a.layer:
            continue  # only possible in a cycle, which a document does not allow
        last, offset = a, e.source_offset
        share = (b_.order - a.order) / (b_.layer - a.layer)
        for at in range(a.layer + 1, b_.layer):
            dummy = _Cell("", at, 0.0, 0.0, order=a.order + share * (at - a.layer))
            layers[at].append(dummy)
            _join(last, dummy, offset)
            last, offset = dummy, 0.0
        _join(last, b_, offset - e.target_offset)
    filled = [layer for layer in layers if layer]
    for layer in filled:
        layer.sort(key=lambda c: (c.order, c.id))
        for i, cell in enumerate(layer):
            cell.index = i
    return filled


def _join(a: _Cell, b: _Cell, drop: float) -> None:
    a.after.append((b, drop))
    b.before.append((a, drop))


def _order(layers: list[list[_Cell]]) -> None:
    """Sort each layer by the middle of its neighbours, sweeping both ways; keep the best."""
    best = _crossings(layers)
    kept = [list(layer) for layer in layers]
    for sweep in range(2 * _SWEEPS):
        if best == 0:
            break
        forward = sweep % 2 == 0
        for layer in layers[1:] if forward else reversed(layers[:-1]):
            _sort_layer(layer, forward)
        found = _crossings(layers)
        if found < best:
            best, kept = found, [list(layer) for layer in layers]
    for layer, order in zip(layers, kept, strict=True):
        layer[:] = order
        for i, cell in enumerate(layer):
            cell.index = i


def _sort_layer(layer: list[_Cell], forward: bool) -> None:
    def middle(cell: _Cell) -> float:
        near = cell.before if forward else cell.after
        if not near:
            return float(cell.index)
        # the drop tells apart ports of one neighbour; it is far smaller than a place
        return sum(n.index + (d if forward else -d) * 1e-4 for n, d in near) / len(near)

    layer.sort(key=middle)
    for i, cell in enumerate(layer):
        cell.index = i


def _crossings(layers: list[list[_Cell]]) -> int:
    """Number of crossing edges between neighbouring layers."""
    total = 0
    for layer in layers:
        ends: list[int] = []
        for cell in layer:
            ends += sorted(b.index for b, _ in cell.after)
        total += _inversions(ends)
    return total


def _inversions(values: list[int]) -> int:
    """Pairs in the wrong order, counted with a binary indexed tree."""
    if len(values) < 2:
        return 0
    size = max(values) + 2
    tree = [0] * size
    total = 0
    for seen, value in enumerate(values):
        i, smaller = value + 1, 0
        while i > 0:
            smaller += tree[i]
            i -= i & -i
        total += seen - smaller
        i = value + 1
        while i < size:
            tree[i] += 1
            i += i & -i
    return total


def _heights(layers: list[list[_Cell]], grid: float) -> None:
    """Give every cell its top: near its neighbours, in order, with room between."""
    for layer in layers:
        y = 0.0
        for cell in layer:
            cell.top = y
            y += _room(cell, grid)
    before: list[float] = []
    for _ in range(_SWEEPS // 2):
        for layer in layers:
            _settle(layer, grid, forward=True)
        tops = [cell.top for layer in layers for cell in layer]
        if before and max(abs(a - b) for a, b in zip(tops, before, strict=True)) < grid / 8:
            return
        before = tops
        for layer in reversed(layers):
            _settle(layer, grid, forward=False)
    for layer in layers:  # last from the left: a row then stays one as far as it can
        _settle(layer, grid, forward=True)


def _room(cell: _Cell, grid: float) -> float:
    """From one cell's top to the next one's, at least."""
    return _up(cell.height + NODE_GAP, grid) if cell.real else _up(_EDGE_GAP, grid)


def _settle(layer: list[_Cell], grid: float, *, forward: bool) -> None:
    """Give the cells of a layer new tops."""
    if len(layer) == 1:
        (cell,) = layer
        if pulls := _pulls(cell, forward):
            cell.top = _median(pulls)
        return
    wanted: list[float] = []
    weights: list[float] = []
    offset = 0.0
    offsets = []
    for cell in layer:
        pulls = _pulls(cell, forward)
        middle = _median(pulls) if pulls else cell.top
        weights.append(cell.weight if pulls else 0.1)
        wanted.append(middle - offset)
        offsets.append(offset)
        offset += _room(cell, grid)
    for cell, value, at in zip(layer, _isotonic(wanted, weights), offsets, strict=True):
        cell.top = value + at


def _pulls(cell: _Cell, forward: bool) -> list[tuple[float, float]]:
    """Tops at which the wires on one side would be level, and how strongly each is wanted."""
    if forward:
        return [(n.top + d, n.pull) for n, d in cell.before]
    return [(n.top - d, n.pull) for n, d in cell.after]


def _median(pulls: list[tuple[float, float]]) -> float:
    """Value in the middle of the weights; the mean of two if they meet there."""
    if len(pulls) == 1:
        return pulls[0][0]
    pulls.sort()
    half = sum(w for _, w in pulls) / 2
    passed = 0.0
    for i, (value, weight) in enumerate(pulls):
        passed += weight
        if passed > half:
            return value
        if passed == half:
            return (value + pulls[i + 1][0]) / 2
    raise AssertionError("weights are positive")


def _isotonic(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The closest sequence that never falls, in weighted least squares."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        mean, total, count = value, weight, 1
        while blocks and blocks[-1][0] >= mean:
            m, w, c = blocks.pop()
            mean = (mean * total + m * w) / (total + w)
            total, count = total + w, count + c
        blocks.append((mean, total, count))
    return [mean for mean, _, count in blocks for _ in range(count)]


def _clear(
    placed: Mapping[str, Position],
    boxes: Mapping[str, Box],
    obstacles: Sequence[Rect],
    grid: float,
) -> float:
    """How far down everything must go so that no obstacle is covered."""
    gap = NODE_GAP / 2
    columns: dict[int, list[Rect]] = {}
    for obstacle in obstacles:
        for column in _columns(obstacle[0] - gap, obstacle[0] + obstacle[2] + gap):
            columns.setdefault(column, []).append(obstacle)
    covering: set[tuple[float, float]] = set()
    """Ways down, from and to, on which some box covers some obstacle."""
    for n, (x, y) in placed.items():
        box = boxes[n]
        for column in _columns(x, x + box.width):
            for left, top, width, height in columns.get(column, ()):
                if x < left + width + gap and left < x + box.width + gap:
                    clear = top + height + gap - y
                    if clear > 0:
                        covering.add((top - box.height - gap - y, clear))
    down = 0.0
    for start, clear in sorted(covering):
        if start >= down:
            break
        if clear > down:
            down = _up(clear, grid)
    return down


def _columns(left: float, right: float) -> range:
    """Numbers of the columns, each ``_COLUMN`` wide, that lie between two places."""
    return range(math.floor(left / _COLUMN), math.floor(right / _COLUMN) + 1)
