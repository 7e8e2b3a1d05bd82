"""Losses and metrics of exported code: what is returned for a batch, and their weights."""

from __future__ import annotations

from graphstudio.exporters.base import Emission
from graphstudio.exporters.naming import inlined
from graphstudio.exporters.values import ExportError, Problem
from graphstudio.exporters.writer import Bracket, Tree, Writer, literal
from graphstudio.ir.graph import Graph, IRNode
from graphstudio.nodes.types import Message


def loss_weights(graph: Graph) -> dict[str, float]:
    """Id of each loss that drives the training, with its weight.

    Raises
    ------
    ExportError
        If there is none.
    """
    chosen = graph.training.phases[0].losses
    losses = [n.id for n in graph.with_role("loss")]
    weights = {i: float(chosen[i]) if chosen else 1.0 for i in losses if not chosen or i in chosen}
    if not weights:
        hint = Message("Add a loss node, such as CrossEntropy or MSE.")
        raise ExportError([Problem(Message("the graph has no loss to train with"), hint)])
    return weights


def judged(graph: Graph) -> list[IRNode]:
    """Losses that drive the training, then what is only watched: other losses, and metrics."""
    weights = loss_weights(graph)
    return sorted(graph.with_role("loss", "metric"), key=lambda n: n.id not in weights)


def judge_lines(w: Writer, e: Emission, model: str, **named: str) -> None:
    """The body of ``compute_loss``: run the model, then losses and metrics of what it returns.

    Parameters
    ----------
    model : str
        The expression that is called.
    named : str
        Further arguments of the call, as code.
    """
    weights = loss_weights(e.graph)
    given = {e.values[f.node.id].key: f.name for f in e.feeds}
    outputs = {v.key: e.graph.by_id[i].name for i, v in e.outputs.items()}
    nodes = judged(e.graph)
    names = given | outputs | {e.values[n.id].key: n.name for n in nodes}
    driving = [n for n in nodes if n.id in weights]
    alone = len(driving) == 1 and weights[driving[0].id] == 1.0
    if alone:
        names[e.values[driving[0].id].key] = "loss"
    read = {key for s in e.judges.statements for key in s.reads}
    arguments: tuple[Tree, ...] = (
        *(n.name for n in e.model_inputs),
        *(f"{k}={v}" for k, v in named.items()),
    )
    results = [name if key in read else "_" for key, name in outputs.items()]
    w.put((f"{', '.join(results)} = {model}", Bracket("(", arguments, ")")))
    for s in sorted(inlined(e.judges), key=lambda s: nodes.index(s.node)):
        tree: Tree = (f"{names[s.value.key]} = ", s.tree)
        w.put(tree, node=s.node.id, name_of=names.__getitem__)
    if not alone:
        w.put(f"loss = {' + '.join(_term(n, weights[n.id]) for n in driving)}")
    shown = nodes[1:] if alone else nodes
    items = ['"loss": loss', *(f"{literal(n.name)}: {n.name}" for n in shown)]
    w.put(("return ", Bracket("{", tuple(items), "}")))


def _term(loss: IRNode, weight: float) -> str:
    return loss.name if weight == 1.0 else f"{literal(weight)} * {loss.name}"
