"""Labels on wires: where there is room for them, and what makes room."""

from __future__ import annotations

import random

from graphstudio.ui.canvas import curve
from graphstudio.ui.canvas.labels import LabelPlacer

WIDTH, HEIGHT = 60.0, 16.0
ALONG = [curve.cubic((0.0, 0.0), (300.0, 0.0))]
COVER = (-50.0, -40.0, 350.0, 40.0)
"""A node that lies on all of the wire."""


def settle(placer: LabelPlacer, wires: dict[str, list[curve.Cubic]]) -> dict[str, object]:
    """Try hidden labels until there is nothing left to try; what was found."""
    found: dict[str, object] = {}
    for _ in range(10_000):
        hopeful = placer.hopeful()
        if not hopeful:
            return found
        for name in hopeful:
            found[name] = placer.place(name, wires[name], WIDTH, HEIGHT)
    raise AssertionError("labels chase each other for ever")


def test_a_node_that_goes_makes_room():
    placer = LabelPlacer()
    placer.put_node("n", COVER)
    assert placer.place("w", ALONG, WIDTH, HEIGHT) is None
    assert placer.hopeful() == []
    placer.put_node("elsewhere", (5000.0, 0.0, 5100.0, 90.0))
    placer.put_node("elsewhere", (6000.0, 0.0, 6100.0, 90.0))
    assert placer.hopeful() == []
    placer.put_node("n", (0.0, 500.0, 100.0, 600.0))
    assert placer.hopeful() == ["w"]
    assert placer.place("w", ALONG, WIDTH, HEIGHT) is not None
    placer.put_node("n", COVER)
    assert placer.place("w", ALONG, WIDTH, HEIGHT) is None
    placer.drop_node("n")
    assert placer.hopeful() == ["w"]


def test_a_wire_that_is_too_short_is_not_tried_again():
    placer = LabelPlacer()
    placer.put_node("n", COVER)
    assert placer.place("w", [curve.cubic((0.0, 0.0), (50.0, 0.0))], WIDTH, HEIGHT) is None
    placer.drop_node("n")
    assert placer.hopeful() == []


def test_a_hidden_label_of_a_wire_across_the_whole_canvas_costs_next_to_nothing():
    far = 1e7
    placer = LabelPlacer()
    wire = [curve.cubic((-far, -far), (far, far))]
    for t in (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8):
        x, y = curve.point_at(wire[0], t)
        placer.put_node(t, (x - 90, y - 50, x + 90, y + 50))
    nodes = placer.num_cells
    assert placer.place("w", wire, WIDTH, HEIGHT) is None
    assert nodes < placer.num_cells <= nodes + 7 * 4
    placer.drop_node(0.3)
    assert placer.hopeful() == ["w"]
    assert placer.place("w", wire, WIDTH, HEIGHT) is not None
    placer.forget("w")
    for t in (0.5, 0.4, 0.6, 0.7, 0.2, 0.8):
        placer.drop_node(t)
    assert placer.num_cells == 0


def test_no_label_is_hidden_that_has_room():
    rng = random.Random(3)
    placer = LabelPlacer()
    nodes: dict[str, tuple[float, float, float, float]] = {}
    wires: dict[str, list[curve.Cubic]] = {}
    shown: dict[str, object] = {}

    def overlap(a, b) -> bool:
        return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]

    def has_room(name: str) -> bool:
        others = [
            (r.left(), r.top(), r.right(), r.bottom())
            for other, r in shown.items()
            if r is not None and other != name
        ]
        for c in wires[name]:
            for t in (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8):
                x, y = curve.point_at(c, t)
                near = (
                    x - WIDTH / 2 - 3,
                    y - HEIGHT / 2 - 3,
                    x + WIDTH / 2 + 3,
                    y + HEIGHT / 2 + 3,
                )
                if not any(overlap(near, box) for box in [*nodes.values(), *others]):
                    return True
        return False

    hidden = 0
    for _ in range(400):
        left, top = rng.uniform(0, 500), rng.uniform(0, 300)
        match rng.randrange(4):
            case 0:
                name = f"n{rng.randrange(30)}"
                nodes[name] = (left, top, left + 180, top + 100)
                placer.put_node(name, nodes[name])
                for met in list(placer.labels.meeting(nodes[name])):
                    shown[met] = placer.place(met, wires[met], WIDTH, HEIGHT)
            case 1 if nodes:
                name = rng.choice(sorted(nodes))
                del nodes[name]
                placer.drop_node(name)
            case 2:
                name = f"w{rng.randrange(30)}"
                wires[name] = [curve.cubic((left, top), (left + 400, top + rng.uniform(-99, 99)))]
                placer.forget(name)
                shown[name] = placer.place(name, wires[name], WIDTH, HEIGHT)
            case 3 if wires:
                name = rng.choice(sorted(wires))
                del wires[name], shown[name]
                placer.forget(name)
        shown |= settle(placer, wires)
        missing = [name for name, rect in shown.items() if rect is None]
        hidden += len(missing)
        assert not any(has_room(name) for name in missing)
    assert hidden > 200


def test_a_lone_node_moved_off_a_wire_gives_its_label_back(view, model):
    scene = view.graph_scene
    a, b = scene.nodes[model["conv"]], scene.nodes[model["relu"]]
    view.edits.move({model["relu"]: (660.0, 0.0)})
    gap = (a.port_pos("y", True) + b.port_pos("x", False)) / 2
    view.edits.move({model["dropout"]: (gap.x() - 90, gap.y() - 60)})
    scene.place_labels(5.0)
    wire = scene.wires[model["relu"], "x"]
    assert wire.label_rect is None
    view.edits.move({model["dropout"]: (gap.x() - 90, gap.y() + 600)})
    scene.place_labels(5.0)
    assert wire.label_rect is not None
