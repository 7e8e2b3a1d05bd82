"""Large graphs to measure with."""

from __future__ import annotations

from graphstudio.document.changes import AddNode
from graphstudio.document.model import MAIN, Choice, DataSpec, Document, Node, Phase, Training, Wire

COLUMN_WIDTH, ROW_HEIGHT, ROW_LENGTH = 230.0, 170.0, 40


def residual_document(num_nodes: int) -> Document:
    """A deep residual network: blocks of Dense, ReLU, Dense, Add, with as many nodes as asked for.

    Wires number about a quarter more than nodes, as in real models with shortcuts.
    """
    document = Document(
        data=DataSpec(source="digits"),
        training=Training(phases=(Phase(optimizer=Choice(kind="adam")),)),
    )
    ids: list[str] = []

    def add(type_id: str, *sources: tuple[str, str], **params: object) -> str:
        index = len(ids)
        row, column = divmod(index, ROW_LENGTH)
        node_id = f"n{index:06d}"
        position = (column * COLUMN_WIDTH, row * ROW_HEIGHT)
        node = Node(
            id=node_id, type=type_id, label=f"Node {index}", position=position, params=params
        )
        AddNode(MAIN, node).apply(document)
        for port, source in sources:
            wire = Wire(source=source, source_port="y", target=node_id, target_port=port)
            document.main.wires[wire.key] = wire  # made in order, so no cycle to look for
        ids.append(node_id)
        return node_id

    last = add("io.input", shape=(1, 8, 8))
    last = add("shape.flatten", ("x", last))
    last = add("layer.dense", ("x", last), units=64)
    while len(ids) <= num_nodes - 8:
        first = add("layer.dense", ("x", last), units=64)
        middle = add("act.relu", ("x", first))
        second = add("layer.dense", ("x", middle), units=64)
        last = add("merge.add", ("a", last), ("b", second))
    while len(ids) < num_nodes - 3:
        last = add("act.relu", ("x", last))
    last = add("layer.dense", ("x", last), units=10)
    target = add("io.target")
    add("loss.cross_entropy", ("prediction", last), ("target", target))
    return document
