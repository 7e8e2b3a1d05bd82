"""Automatic arrangement, on plain boxes and edges."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphstudio.document.layout import Box, Edge, arrange


def boxes_of(count: int, *, height: float = 100.0) -> list[Box]:
    return [Box(f"n{i}", 37.0 * i, 11.0 * (i % 7), 180.0, height) for i in range(count)]


def overlaps(placed, boxes) -> list[tuple[str, str]]:
    by_id = {b.id: b for b in boxes}
    found = []
    items = sorted(placed.items())
    for i, (a, (ax, ay)) in enumerate(items):
        for b, (bx, by) in items[:i]:
            if (
                ax < bx + by_id[b].width
                and bx < ax + by_id[a].width
                and ay < by + by_id[b].height
                and by < ay + by_id[a].height
            ):
                found.append((a, b))
    return found


def test_a_chain_becomes_a_straight_row():
    boxes = boxes_of(6)
    edges = [Edge(f"n{i}", f"n{i + 1}", 64, 64) for i in range(5)]
    placed = arrange(boxes, edges)
    assert len({y for _, y in placed.values()}) == 1
    xs = [placed[f"n{i}"][0] for i in range(6)]
    assert all(b - a >= 180 + 100 for a, b in pairwise(xs))


def test_ports_are_level_not_tops():
    """A wire that leaves low and arrives high is drawn level."""
    placed = arrange(boxes_of(2), [Edge("n0", "n1", 80, 40)])
    assert placed["n0"][1] + 80 == placed["n1"][1] + 40


def test_a_source_stands_next_to_what_it_feeds():
    """A Target feeds only the loss at the far end, so it must not stay in the first column."""
    boxes = boxes_of(6)
    edges = [Edge(f"n{i}", f"n{i + 1}") for i in range(4)] + [Edge("n5", "n4")]
    placed = arrange(boxes, edges)
    assert placed["n5"][0] == placed["n3"][0]


def test_crossings_are_removed():
    boxes = [Box(n, 0, y, 100, 60) for n, y in (("a", 0), ("b", 100), ("c", 0), ("d", 100))]
    placed = arrange(boxes, [Edge("a", "d"), Edge("b", "c")])
    assert (placed["a"][1] < placed["b"][1]) == (placed["d"][1] < placed["c"][1])


def test_a_skip_runs_straight_beside_the_nodes_it_skips():
    boxes = boxes_of(5)
    edges = [Edge(f"n{i}", f"n{i + 1}", 64, 64) for i in range(4)] + [Edge("n0", "n4", 64, 84)]
    placed = arrange(boxes, edges)
    start, end = placed["n0"][1] + 64, placed["n4"][1] + 84
    assert abs(start - end) <= 20
    for name in ("n1", "n2", "n3"):
        top = placed[name][1]
        assert not top - 5 < (start + end) / 2 < top + 105, name


def test_corner_stays_and_obstacles_stay_free():
    boxes = [Box("a", 200, 100, 180, 100), Box("b", 210, 130, 180, 100)]
    wall = (480.0, 80.0, 200.0, 160.0)
    placed = arrange(boxes, [Edge("a", "b")], obstacles=[wall])
    assert placed["a"][0] == 200
    for x, y in placed.values():
        assert not (x < 680 and x + 180 > 480 and y < 240 and y + 100 > 80)


@given(st.data())
def test_obstacles_push_down_no_further_than_they_must(data):
    place = st.integers(-900, 900)
    boxes = [
        Box(f"n{i}", data.draw(place), data.draw(place), 180.0, data.draw(st.integers(80, 160)))
        for i in range(data.draw(st.integers(1, 5)))
    ]
    edges = [Edge(a.id, b.id) for a, b in pairwise(boxes)]
    size = st.integers(20, 400)
    obstacles = data.draw(st.lists(st.tuples(place, place, size, size), max_size=12))

    def covers(placed) -> bool:
        return any(
            x < left + width + 20
            and left < x + box.width + 20
            and y < top + height + 20
            and top < y + box.height + 20
            for box in boxes
            for x, y in [placed[box.id]]
            for left, top, width, height in obstacles
        )

    free = arrange(boxes, edges)
    placed = arrange(boxes, edges, obstacles=obstacles)
    assert not covers(placed)
    (down,) = {placed[n][1] - free[n][1] for n in free}
    assert down >= 0
    assert all(placed[n][0] == free[n][0] for n in free)
    for less in range(0, int(down), 20):
        assert covers({n: (x, y + less) for n, (x, y) in free.items()})


def test_parts_without_a_wire_between_them_do_not_mix():
    boxes = boxes_of(6)
    edges = [Edge("n0", "n1"), Edge("n1", "n2"), Edge("n3", "n4"), Edge("n4", "n5")]
    placed = arrange(boxes, edges)
    upper = [placed[n][1] for n in ("n0", "n1", "n2")]
    lower = [placed[n][1] for n in ("n3", "n4", "n5")]
    assert max(upper) + 100 < min(lower)


def test_same_input_same_result():
    boxes, edges = boxes_of(40), [Edge(f"n{i // 2}", f"n{i}") for i in range(1, 40)]
    assert arrange(boxes, edges) == arrange(boxes, edges)


@pytest.mark.parametrize("boxes", [[], [Box("a", 3, 4, 180, 100)]])
def test_small_graphs(boxes):
    placed = arrange(boxes, [])
    assert placed.keys() == {b.id for b in boxes}


@given(st.data())
def test_no_overlap_and_every_wire_runs_right(data):
    count = data.draw(st.integers(2, 25))
    boxes = [
        Box(
            f"n{i}",
            data.draw(st.integers(-500, 500)),
            data.draw(st.integers(-500, 500)),
            data.draw(st.sampled_from([180.0, 200.0, 260.0])),
            data.draw(st.sampled_from([100.0, 120.0, 137.0])),
        )
        for i in range(count)
    ]
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    edges = [
        Edge(f"n{a}", f"n{b}", 64, 64)
        for a, b in data.draw(st.lists(pairs, max_size=3 * count))
        if a < b
    ]
    placed = arrange(boxes, edges)
    assert placed.keys() == {b.id for b in boxes}
    assert not overlaps(placed, boxes)
    widths = {b.id: b.width for b in boxes}
    for e in edges:
        assert placed[e.source][0] + widths[e.source] < placed[e.target][0]
    assert all(x % 20 == 0 and y % 20 == 0 for x, y in placed.values())
