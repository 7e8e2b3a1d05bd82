"""Graphs that the exporter tests share, made the way a user makes them: as checked documents."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import graphstudio.exporters
from engine import checkpoint
from graphstudio.document.model import (
    MAIN,
    DataSpec,
    Document,
    GraphRecord,
    Node,
    Training,
    Wire,
)
from graphstudio.exporters import export
from graphstudio.ir.check import Checker
from graphstudio.ir.graph import DataField, Graph
from graphstudio.nodes.spec import build, catalog

Row = tuple[str, str, Mapping[str, Any], Sequence[str]]

LOADER = '''"""Random samples."""

import numpy as np


def load_data() -> dict[str, dict[str, np.ndarray]]:
    """Nothing: the tests put their own samples here."""
    return {}
'''


@dataclass(frozen=True)
class Graphs:
    """Makes checked graphs from rows of (id, type, parameters, ids of the inputs).

    The label of a node is its id, unless ``labels`` says otherwise.
    """

    loader: str = LOADER

    def document(
        self,
        rows: Sequence[Row],
        training: Training | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Document:
        named = labels or {}
        nodes = {
            r[0]: Node(id=r[0], type=r[1], label=named.get(r[0], r[0]), params=r[2]) for r in rows
        }
        wires = {}
        for label, type_id, params, inputs in rows:
            spec, problems = build(catalog()[type_id], params)
            assert spec is not None, problems
            for port, source in zip(spec.input_ports(), inputs, strict=True):
                made, _ = build(catalog()[nodes[source].type], nodes[source].params)
                assert made is not None
                wire = Wire(
                    source=source,
                    source_port=made.output_ports()[0].name,
                    target=label,
                    target_port=port.name,
                )
                wires[wire.key] = wire
        return Document(
            graphs={MAIN: GraphRecord(id=MAIN, nodes=nodes, wires=wires)},
            data=DataSpec(source="digits"),
            training=training or Training(),
        )

    def graph(
        self,
        rows: Sequence[Row],
        training: Training | None = None,
        name: str = "model",
        labels: Mapping[str, str] | None = None,
    ) -> Graph:
        fields: dict[str, DataField] = {}
        for _, type_id, params, _ in rows:
            spec, _ = build(catalog()[type_id], params)
            if spec is not None and spec.role in ("input", "target"):
                field = str(getattr(spec, "field"))  # noqa: B009
                fields[field] = DataField(field, spec.infer())
        document = self.document(rows, training, labels)
        return Checker(document, lambda _: (tuple(fields.values()), None)).freeze(name)

    def chain(
        self, *rows: tuple[str, str, Mapping[str, Any]], training: Training | None = None
    ) -> Graph:
        """Rows that feed each other from ``image`` on, then cross-entropy and accuracy."""
        labels = ["image", *(r[0] for r in rows)]
        body = [(r[0], r[1], r[2], [before]) for r, before in zip(rows, labels, strict=False)]
        return self.graph(
            [
                ("image", "io.input", {}, []),
                *body,
                ("label", "io.target", {}, []),
                ("cost", "loss.cross_entropy", {}, [labels[-1], "label"]),
                ("accuracy", "metric.accuracy", {}, [labels[-1], "label"]),
            ],
            training,
        )


@pytest.fixture(scope="session")
def graphs() -> Graphs:
    return Graphs()


@dataclass(frozen=True)
class Bench:
    """Runs exported folders with the real frameworks, several in one process."""

    folder: Path

    def place(
        self,
        name: str,
        graph: Graph,
        target: str,
        samples: Mapping[str, Any],
        weights: Mapping[str, Any],
        steps: int,
    ) -> Path:
        """A folder with an export and everything that the driver reads."""
        place = self.folder / f"{target}-{name}"
        exported = export(graph, target, data_loader=LOADER)
        (place / "export").mkdir(parents=True)
        for file, text in exported.files.items():
            (place / "export" / file).write_text(text, encoding="utf-8")
        checkpoint.save(place / "export" / "weights.safetensors", weights)
        options = {
            "batch_size": len(next(iter(samples.values()))) // (steps + 1),
            "steps": steps,
            "num_inputs": len(exported.inputs),
            "channels_last": dict(exported.outputs),
        }
        about = {"options": json.dumps(options)}
        checkpoint.save(place / "samples.safetensors", samples, about)
        return place

    def run(self, target: str, places: Sequence[Path]) -> list[dict[str, Any]]:
        """What came of each place. Warnings are errors, but for known noise."""
        module = {"pytorch": "torch"}.get(target, target)
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
        script = Path(__file__).with_name("measure_all.py")
        driver = Path(graphstudio.exporters.__file__).parent / "drivers" / "run.py"
        command = [sys.executable, "-P", *STRICT, str(script), str(driver), target]
        command += map(str, places)
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-6000:]
        return [checkpoint.load(p / "result.safetensors")[0] for p in places]


# From inside Keras, on NumPy 2; hidden by Python unless warnings are asked for.
STRICT = ("-W", "error", "-W", "ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))
