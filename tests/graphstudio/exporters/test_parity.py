"""Every node in every case, run by the real frameworks: the engine's numbers come out.

All cases are branches of one graph, each with its own input, loss and output, so that a framework
is imported and its graph traced once a target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from graphstudio.compiler.lower import compile_graph
from graphstudio.document.model import Choice, Phase, Training
from graphstudio.exporters import TARGETS
from graphstudio.ir.graph import Graph
from graphstudio.nodes.spec import Case, build, catalog
from graphstudio.nodes.types import TensorType
from graphstudio.services import verify

BATCH = 4
STEPS = 2

# Cases besides the nodes' own: what a layout or a framework's quirk could get wrong.
EXTRA: dict[str, tuple[Case, ...]] = {
    "layer.conv2d": (
        Case(
            inputs=((4, 2, 9, 8),),
            params={"filters": 3, "stride": [2, 3], "dilation": [2, 1], "padding": "same"},
        ),
        Case(inputs=((4, 4, 8, 8),), params={"filters": 4, "groups": 4, "stride": [2, 2]}),
        Case(inputs=((4, 4, 8, 8),), params={"filters": 2, "groups": 2, "dilation": [2, 2]}),
        Case(
            inputs=((4, 1, 4, 4),),
            params={"filters": 2, "padding": "explicit", "pads": [3, 3, 3, 3]},
        ),
    ),
    "layer.max_pool2d": (
        Case(
            inputs=((4, 2, 6, 6),),
            params={
                "kernel_size": [3, 3],
                "stride": [1, 1],
                "padding": "explicit",
                "pads": [2, 2, 2, 2],
            },
        ),
    ),
    "layer.average_pool2d": (
        Case(inputs=((4, 2, 6, 7),), params={"kernel_size": [3, 3], "padding": "same"}),
        Case(
            inputs=((4, 2, 5, 5),),
            params={
                "kernel_size": [3, 3],
                "stride": [2, 1],
                "padding": "explicit",
                "pads": [2, 0, 1, 2],
                "count_include_pad": False,
            },
        ),
        Case(
            inputs=((4, 2, 8, 8),),
            params={"kernel_size": [2, 2], "padding": "same", "count_include_pad": False},
        ),
    ),
    "layer.batch_norm": (Case(inputs=((4, 3, 6),)),),
    "act.softmax": (
        Case(inputs=((4, 3, 4, 5),), params={"axis": "last"}),
        Case(inputs=((4, 3, 5),), params={"axis": "channels"}),
    ),
    "merge.concatenate": (Case(inputs=((4, 3, 4, 4), (4, 3, 4, 2)), params={"axis": "last"}),),
    "shape.flatten": (Case(inputs=((4, 3, 5),)), Case(inputs=((4, 1),))),
    "shape.reshape": (
        Case(inputs=((4, 24),), params={"shape": [2, 3, 4]}),
        Case(inputs=((4, 2, 3, 4),), params={"shape": [4, 3, 2]}),
    ),
    "loss.cross_entropy": (
        Case(inputs=((4, 3, 5), (4, 5)), dtypes=("float32", "int64"), classes=3),
        Case(inputs=((4, 3, 2, 2), (4, 2, 2)), dtypes=("float32", "int64"), classes=3),
        Case(
            inputs=((4, 5), (4,)),
            dtypes=("float32", "int64"),
            classes=5,
            params={"label_smoothing": 0.2},
        ),
    ),
    "loss.mse": (Case(inputs=((4, 3, 4, 4), (4, 3, 4, 4))), Case(inputs=((4, 2, 3), (4, 2, 3)))),
}


def branches() -> Iterator[tuple[str, str, Case]]:
    """Name of the branch, type of the node, and the case."""
    for type_id, cls in catalog().items():
        if cls.role in ("input", "target"):
            continue
        for i, case in enumerate((*cls.cases, *EXTRA.get(type_id, ()))):
            yield f"{type_id.rsplit('.', 1)[-1]}_case_{i}", type_id, case


class Garden:
    """One graph with a branch a case, its samples, its weights, and the engine's numbers."""

    def __init__(self, make: Callable[..., Graph]) -> None:
        rng = np.random.default_rng(7)
        self.rows: list[Any] = []
        self.samples: dict[str, Any] = {}
        for name, type_id, case in branches():
            self._branch(rng, name, type_id, case)
        phase = Phase(optimizer=Choice(kind="sgd"))
        self.graph = verify.without_noise(make(self.rows, Training(phases=(phase,))))
        plan = compile_graph(self.graph, seed=3)
        self.weights = {
            k: np.asarray(
                v if k.endswith(".weight") and v.ndim > 1 else rng.uniform(0.2, 1.0, v.shape),
                dtype=np.float32,
            )
            for k, v in plan.state_dict().items()
        }
        self.engine = verify.measure_engine(self.graph, self.samples, self.weights, STEPS)

    def _branch(self, rng: np.random.Generator, name: str, type_id: str, case: Case) -> None:
        spec, problems = build(catalog()[type_id], case.params)
        assert spec is not None, problems
        judge = spec.role in ("loss", "metric")
        ends, types = [], []
        for i, shape in enumerate(case.inputs[:1] if judge else case.inputs):
            end = self._start(rng, f"{name}_{i}", shape[1:])
            ends.append(end)
            types.append(TensorType(("N", *shape[1:])))
        if judge:
            target = f"{name}_target"
            dtype = case.dtypes[1] if case.dtypes else "float32"
            self._target(
                rng, target, case.inputs[1][1:], case.classes if dtype == "int64" else None
            )
            self.rows.append((name, type_id, case.params, [*ends, target]))
            if spec.role == "metric":
                self.rows.append((f"{name}_loss", "loss.cross_entropy", {}, [*ends, target]))
            return
        self.rows.append((name, type_id, case.params, ends))
        self._target(rng, f"{name}_target", spec.infer(*types).shape[1:], None)
        self.rows.append((f"{name}_loss", "loss.mse", {}, [name, f"{name}_target"]))

    def _start(self, rng: np.random.Generator, name: str, sample: tuple[int, ...]) -> str:
        """An input, and a layer with weights, whose gradient passes through the case's node."""
        values = rng.normal(size=(BATCH * (STEPS + 1), *sample)).astype(np.float32)
        self.samples[name] = values
        self.rows.append((name, "io.input", {"field": name, "shape": list(sample)}, []))
        if len(sample) == 3:
            params: dict[str, Any] = {"filters": sample[0], "kernel_size": [1, 1]}
            self.rows.append((f"{name}_layer", "layer.conv2d", params, [name]))
        elif len(sample) in (1, 2):
            self.rows.append((f"{name}_layer", "layer.dense", {"units": sample[-1]}, [name]))
        else:
            layers = [("a", "shape.reshape", {"shape": [1]}), ("b", "layer.dense", {"units": 1})]
            layers.append(("layer", "shape.reshape", {"shape": []}))
            before = name
            for suffix, type_id, params in layers:
                self.rows.append((f"{name}_{suffix}", type_id, params, [before]))
                before = f"{name}_{suffix}"
        return f"{name}_layer"

    def _target(
        self, rng: np.random.Generator, name: str, sample: Any, classes: int | None
    ) -> None:
        size = (BATCH * (STEPS + 1), *sample)
        kind = {"kind": "values"} if classes is None else {"num_classes": classes}
        self.rows.append((name, "io.target", {"field": name, "shape": list(sample), **kind}, []))
        self.samples[name] = (
            rng.normal(size=size).astype(np.float32)
            if classes is None
            else rng.integers(0, classes, size)
        )


@pytest.fixture(scope="module")
def garden(graphs: Any) -> Garden:
    return Garden(graphs.graph)


@pytest.fixture(scope="module")
def measured(garden: Garden, bench: Any) -> Any:
    """What each target makes of the garden; run when first asked for."""
    results: dict[str, dict[str, Any]] = {}

    def of(target: str) -> dict[str, Any]:
        if target not in results:
            given = (garden.graph, target, garden.samples, garden.weights, STEPS)
            results[target] = bench.run(target, [bench.place("garden", *given)])[0]
        return results[target]

    return of


def target_marks() -> list[Any]:
    marks = {"pytorch": pytest.mark.torch, "tensorflow": pytest.mark.tensorflow}
    return [pytest.param(t, marks=marks.get(t, pytest.mark.tensorflow)) for t in TARGETS]


def relative(found: Any, expected: Any) -> float:
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-6))


@pytest.mark.parametrize("target", target_marks())
@pytest.mark.parametrize("name", [name for name, _, _ in branches()])
def test_a_node_gives_the_engines_numbers(
    name: str, target: str, garden: Garden, measured: Any
) -> None:
    found = measured(target)
    outputs = {k: v for k, v in garden.engine.outputs.items() if k.startswith(name)}
    gradients = {k: v for k, v in garden.engine.gradients.items() if k.startswith(f"{name}")}
    assert outputs
    assert gradients
    for key, expected in outputs.items():
        assert found[f"output/{key}"].shape == expected.shape
        assert relative(found[f"output/{key}"], expected) < 1e-5, key
    largest = max(float(np.abs(g).max()) for g in gradients.values())
    for key, expected in gradients.items():
        assert found[f"gradient/{key}"].shape == expected.shape
        # The bias before a batch norm or a softmax has no gradient but rounding noise.
        noise = float(np.abs(expected).max()) < verify.ROUNDING * largest
        gap = found[f"gradient/{key}"] - expected
        assert np.abs(gap).max() < 1e-4 * (largest if noise else np.abs(expected).max()), key


@pytest.mark.parametrize("target", target_marks())
def test_names_loss_and_curve_agree(target: str, garden: Garden, measured: Any) -> None:
    found = measured(target)
    names = {k.removeprefix("gradient/") for k in found if k.startswith("gradient/")}
    assert names == garden.engine.gradients.keys()
    states = {k.removeprefix("state/") for k in found if k.startswith("state/")}
    assert states == garden.engine.state.keys()
    assert relative(found["loss"], garden.engine.loss) < 1e-6
    assert relative(found["curve"], np.array(garden.engine.curve)) < 1e-6


@pytest.mark.parametrize("target", target_marks())
def test_running_statistics_agree(target: str, garden: Garden, measured: Any) -> None:
    found = measured(target)
    for name, expected in garden.engine.state.items():
        # Keras keeps the biased variance: of n numbers a channel it is low by 1 / n.
        biased = target == "keras" and name.endswith("running_var")
        limit = 1 / BATCH if biased else 1e-5
        assert relative(found[f"state/{name}"], expected) < limit, name
