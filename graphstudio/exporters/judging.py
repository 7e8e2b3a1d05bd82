"""Losses and metrics of exported code: what is returned for a batch, and their weights."""

from __future__ import annotations

from graphstudio.exporters.base import Emission, ExportError, Problem, inlined
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
    weights = {
        n.id: float(chosen.get(n.id, 0.0) if chosen else 1.0) for n in graph.with_role("loss")
    }
    weights = {k: w for k, w in weights.items() if w != 0.0}
    if not weights:
        hint = Message("Add a loss node, such as CrossEntropy or MSE.")
        raise ExportError([Problem(Message("the graph has no loss to train with"), hint)])
    return weights


def judged(graph: Graph) -> list[IRNode]:
    """Losses that drive the training, then metrics."""
    weights = loss_weights(graph)
    return [n for n in graph.with_role("loss") if n.id in weights] + list(graph.with_role("metric"))


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
    read = {key for s in e.judges.statements for key in s.reads}
    losses = [e.graph.by_id[i] for i in weights]
    metrics = list(e.graph.with_role("metric"))
    names = given | outputs
    for node in [*losses, *metrics]:
        names[e.values[node.id].key] = node.name
    if len(losses) == 1 and weights[losses[0].id] == 1.0:
        names[e.values[losses[0].id].key] = "loss"
    arguments: tuple[Tree, ...] = (
        *(n.name for n in e.model_inputs),
        *(f"{k}={v}" for k, v in named.items()),
    )
    targets = [name if key in read else "_" for key, name in outputs.items()]
    w.put((f"{', '.join(targets)} = {model}", Bracket("(", arguments, ")")))
    wanted = {n.id for n in [*losses, *metrics]}
    for s in inlined(e.judges):
        if s.node.id in wanted:
            tree: Tree = (f"{names[s.value.key]} = ", s.tree)
            w.put(tree, node=s.node.id, name_of=names.__getitem__)
    items: list[Tree] = ['"loss": loss']
    if names[e.values[losses[0].id].key] != "loss":
        terms = [
            names[e.values[n.id].key]
            if weights[n.id] == 1.0
            else f"{literal(weights[n.id])} * {names[e.values[n.id].key]}"
            for n in losses
        ]
        w.put(f"loss = {' + '.join(terms)}")
        items += [f"{literal(n.name)}: {n.name}" for n in losses]
    items += [f"{literal(n.name)}: {n.name}" for n in metrics]
    w.put(("return ", Bracket("{", tuple(items), "}")))
