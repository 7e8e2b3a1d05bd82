"""Graphs that the exporter tests share, made the way a user makes them: as checked documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from graphstudio.document.model import (
    MAIN,
    DataSpec,
    Document,
    GraphRecord,
    Node,
    Training,
    Wire,
)
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
    """Makes checked graphs from rows of (label, type, parameters, labels of the inputs)."""

    loader: str = LOADER

    def document(self, rows: Sequence[Row], training: Training | None = None) -> Document:
        nodes = {r[0]: Node(id=r[0], type=r[1], label=r[0], params=r[2]) for r in rows}
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
        self, rows: Sequence[Row], training: Training | None = None, name: str = "model"
    ) -> Graph:
        fields: dict[str, DataField] = {}
        for _, type_id, params, _ in rows:
            spec, _ = build(catalog()[type_id], params)
            if spec is not None and spec.role in ("input", "target"):
                field = str(getattr(spec, "field"))  # noqa: B009
                fields[field] = DataField(field, spec.infer())
        document = self.document(rows, training)
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
