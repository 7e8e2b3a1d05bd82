"""Which node types could take, or give, what a loose wire carries; and on which port."""

from __future__ import annotations

from graphstudio.nodes.spec import NodeType, find_type
from graphstudio.nodes.types import ShapeError, TensorType
from graphstudio.ui.canvas.ports import ports_of
from graphstudio.ui.canvas.scene import GraphScene

End = tuple[str, str]
"""Node id and port name."""


def input_for(scene: GraphScene, source: End, cls: type[NodeType]) -> str | None:
    """Input port of a new node of this type that the output ``source`` should feed, or None."""
    node = _default(cls)
    giver = find_type(scene.graph.nodes[source[0]].type)
    if node is None or not node.input_ports():
        return None
    names = [p.name for p in node.input_ports()]
    role = giver.role if giver is not None else "layer"
    if role in ("loss", "metric"):
        return None
    if cls.role in ("loss", "metric"):
        wanted = "target" if role == "target" else "prediction"
        return wanted if wanted in names else names[0]
    if role == "target":
        return None
    return names[0]


def fits(scene: GraphScene, source: End, cls: type[NodeType]) -> bool:
    """False if a new node of this type would be wrong about the shape that ``source`` gives.

    It can be wired all the same: the problem that follows offers what mends it.
    """
    node = _default(cls)
    report = scene.result.nodes.get(source[0])
    type_ = report.output_types.get(source[1]) if report else None
    if node is None or type_ is None or cls.role in ("loss", "metric"):
        return True
    return _infers(node, type_, len(node.input_ports()))


def output_for(scene: GraphScene, target: End, cls: type[NodeType]) -> str | None:
    """Output port of a new node of this type that should feed the input ``target``, or None."""
    node = _default(cls)
    taker = find_type(scene.graph.nodes[target[0]].type)
    if node is None or not node.output_ports() or cls.role in ("loss", "metric"):
        return None
    for_loss = taker is not None and taker.role in ("loss", "metric")
    if cls.role == "target" and not (for_loss and target[1] == "target"):
        return None
    if for_loss and target[1] == "target" and cls.role not in ("target", "input"):
        return None
    return node.output_ports()[0].name


def first_output(scene: GraphScene, node_id: str) -> End | None:
    """The first output of a node in the graph."""
    _, _, _, outputs = ports_of(scene.graph.nodes[node_id])
    return (node_id, outputs[0].name) if outputs else None


def _default(cls: type[NodeType]) -> NodeType | None:
    try:
        return cls()
    except TypeError:
        return None


def _infers(node: NodeType, type_: TensorType, count: int) -> bool:
    """True if the node, as it is by default, accepts this type on every input."""
    try:
        node.infer(*([type_] * count))
    except ShapeError:
        return False
    return True
