"""Rules that look further than one node: the project as a whole, neighbours, connected parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from graphstudio.document.model import Choice, Document, Phase
from graphstudio.ir.datacheck import DataView
from graphstudio.ir.diagnostics import Diagnostic, Severity
from graphstudio.ir.evaluate import NodeState
from graphstudio.ir.topology import Topology
from graphstudio.nodes.optimizers import optimizers
from graphstudio.nodes.spec import params_of
from graphstudio.nodes.types import Message, SetParam, SkipProducer

States = Mapping[str, NodeState]


def project_problems(document: Document, data: DataView, states: States) -> Iterator[Diagnostic]:
    """Problems of the data and of the training specification."""
    if data.problem is not None:
        hint = Message("With no node selected, the inspector has the project's data.")
        yield _project("data", data.problem, hint)
    phases = document.training.phases
    if len(phases) != 1:
        yield _project(
            "phases",
            Message("training in {count} phases is not supported yet", {"count": len(phases)}),
            Message("Keep one phase."),
        )
    for phase in phases:
        yield from _phase_problems(phase, states)
    if not 0 <= document.training.seed <= MAX_SEED:
        yield _project(
            "seed",
            Message(
                "the seed must be from 0 to {high}, not {seed}",
                {"high": MAX_SEED, "seed": document.training.seed},
            ),
        )
    if document.training.batch_size < 1:
        yield _project(
            "batch-size",
            Message(
                "the batch size must be at least 1, not {size}",
                {"size": document.training.batch_size},
            ),
        )
    elif document.training.batch_size == 1 and any(map(_normalises_one_value, states.values())):
        yield _project(
            "batch-of-one",
            Message("a batch of one sample has no variance for BatchNorm to work with"),
            Message("Choose a larger batch size."),
            severity="warning",
        )


MAX_SEED = 2**32 - 1
"""The largest that NumPy's older generator takes, which Keras seeds too."""


def _normalises_one_value(state: NodeState) -> bool:
    """True for a BatchNorm that gets one number a channel of each sample, as after a Dense."""
    if state.record.type != "layer.batch_norm" or state.record.bypass or not state.input_types:
        return False
    x = state.input_types[0]
    return x is not None and all(size == 1 for size in x.shape[2:])


def _phase_problems(phase: Phase, states: States) -> Iterator[Diagnostic]:
    yield from _optimizer_problems(phase.optimizer)
    if phase.schedule is not None:
        yield _project(
            "schedule",
            Message("learning rate schedules are not supported yet"),
            Message("Remove the schedule '{kind}'.", {"kind": phase.schedule.kind}),
        )
    if phase.steps_per_batch != 1:
        yield _project(
            "steps-per-batch", Message("more than one step per batch is not supported yet")
        )
    if phase.epochs < 1:
        yield _project(
            "epochs",
            Message(
                "the number of epochs must be at least 1, not {epochs}", {"epochs": phase.epochs}
            ),
        )
    for node_id in phase.losses:
        state = states.get(node_id)
        if state is None or state.spec.role != "loss":
            yield _project(
                "phase-loss",
                Message(
                    "the training refers to a loss '{node}' that does not exist", {"node": node_id}
                ),
                Message("Choose the losses of the training again."),
            )
    for node_id in phase.frozen:
        if node_id not in states:
            yield _project(
                "phase-frozen",
                Message(
                    "the training freezes a node '{node}' that does not exist", {"node": node_id}
                ),
                severity="warning",
            )


def _optimizer_problems(choice: Choice) -> Iterator[Diagnostic]:
    cls = optimizers().get(choice.kind)
    if cls is None:
        yield _project(
            "optimizer",
            Message(
                "there is no optimiser '{kind}'; choose one of {known}",
                {"kind": choice.kind, "known": ", ".join(optimizers())},
            ),
        )
        return
    specs = {p.name: p for p in params_of(cls)}
    values = {}
    for name, value in choice.params.items():
        if name not in specs:
            yield _project(
                "optimizer-param",
                Message(
                    "the optimiser {optimizer} has no parameter '{name}'",
                    {"optimizer": Message(cls.label), "name": name},
                ),
                severity="warning",
            )
        elif (problem := specs[name].problem(value)) is not None:
            yield _project("optimizer-param", problem)
        else:
            values[name] = specs[name].coerce(value)
    if (problem := cls(**values).check_params()) is not None:
        yield _project("optimizer-param", problem)


def model_problems(
    states: States,
    topology: Topology,
    members: set[str],
    phases: Sequence[Phase],
    wrong: bool,
) -> Iterator[Diagnostic]:
    """What the model as a whole lacks.

    Parameters
    ----------
    phases : sequence of Phase
        They say which losses drive the training and which nodes do not move.
    members : set of str
        Nodes that are part of the model: those joined to a loss.
    wrong : bool
        True if there are errors on nodes: sizes are not known then.
    """
    losses = {n for n in members if states[n].spec.role == "loss"}
    if not losses:
        yield _project(
            "no-loss",
            Message("the graph has no loss, so there is nothing to train towards"),
            Message("Add a CrossEntropy or MSE node and wire a prediction and a Target to it."),
        )
        return
    if wrong:
        return
    trainable = {n for n in members if states[n].spec.trainable and not states[n].record.bypass}
    if not trainable:
        yield _project(
            "nothing-to-train",
            Message("the model has no trainable parameters"),
            Message("Add a layer such as Dense or Conv2D."),
        )
        return
    for phase in phases:
        driving = losses & phase.losses.keys() if phase.losses else losses
        reached = trainable & topology.reach(driving, forward=False)
        if driving and not reached.difference(phase.frozen):
            yield _project(
                "nothing-to-train",
                Message(
                    "no loss moves any weight: the layers it depends on have no weights or are "
                    "frozen"
                ),
                Message("Wire the loss to what a trainable layer gives, or let one of them move."),
            )


def neighbour_warnings(node_id: str, topology: Topology, states: States) -> tuple[Diagnostic, ...]:
    """Warnings about a node and what it is wired to."""
    state = states[node_id]
    node = state.spec.node
    if node is None or state.record.bypass:
        return ()
    if node.type_id == "loss.cross_entropy":
        return _softmax_before_loss(node_id, state, topology, states)
    if getattr(node, "use_bias", False):
        return _bias_before_norm(node_id, state, topology, states)
    return ()


def _bias_before_norm(
    node_id: str, state: NodeState, topology: Topology, states: States
) -> tuple[Diagnostic, ...]:
    consumers = [states[c] for c in topology.consumers(node_id) if c in states]
    norms = [c for c in consumers if c.record.type == "layer.batch_norm" and not c.record.bypass]
    if not norms or len(norms) != len(consumers):
        return ()
    return (
        Diagnostic(
            code="bias-before-norm",
            severity="warning",
            node=node_id,
            param="use_bias",
            message=Message(
                "the bias of '{node}' has no effect, because '{norm}' takes the mean away; its "
                "gradient is rounding noise that some optimisers turn into full steps",
                {"node": state.record.label, "norm": norms[0].record.label},
            ),
            hint=Message("Switch the bias off."),
            fixes=(SetParam(Message("Switch the bias off"), "use_bias", False),),
        ),
    )


def _softmax_before_loss(
    node_id: str, state: NodeState, topology: Topology, states: States
) -> tuple[Diagnostic, ...]:
    wire = topology.inputs[node_id].get("prediction")
    source = states.get(wire.source) if wire is not None else None
    if source is None or source.record.type != "act.softmax" or source.record.bypass:
        return ()
    return (
        Diagnostic(
            code="softmax-before-loss",
            severity="warning",
            node=node_id,
            port="prediction",
            message=Message(
                "'{node}' takes scores before any Softmax, but '{softmax}' feeds it; the model "
                "would learn slowly and badly",
                {"node": state.record.label, "softmax": source.record.label},
            ),
            hint=Message("Wire the loss to what feeds the Softmax."),
            fixes=(SkipProducer(Message("Wire the loss to what feeds the Softmax"), "prediction"),),
        ),
    )


def model_members(parts: Sequence[Sequence[str]], states: States) -> set[str]:
    """Nodes of all connected parts that hold a loss; without any loss, every connected node."""
    with_loss = [p for p in parts if any(states[n].spec.role == "loss" for n in p)]
    return set().union(*(with_loss or parts))


def part_warnings(
    parts: Sequence[Sequence[str]],
    topology: Topology,
    states: States,
    members: set[str],
    place: Mapping[str, int],
) -> dict[str, tuple[Diagnostic, ...]]:
    """Warnings about parts that are left out, and about layers that no loss reaches.

    Parameters
    ----------
    place : mapping
        Node id to its place in the order in which nodes run.
    """
    found: dict[str, tuple[Diagnostic, ...]] = {}
    for part in parts:
        if part[0] in members:
            continue
        first = min(part, key=place.__getitem__)
        found[first] = (
            _warning(
                first,
                "island",
                Message(
                    "'{node}' and the nodes joined to it are not joined to any loss and are left "
                    "out of the model",
                    {"node": states[first].record.label},
                ),
            ),
        )
    losses = [n for n in members if states[n].spec.role == "loss"]
    if losses:
        trained = topology.reach(losses, forward=False)
        for n in members - trained:
            if states[n].spec.trainable:
                found[n] = (
                    *found.get(n, ()),
                    _warning(
                        n,
                        "untrained",
                        Message(
                            "no loss depends on '{node}', so its weights will not be trained",
                            {"node": states[n].record.label},
                        ),
                    ),
                )
    return found


def cycle_problem(state: NodeState) -> Diagnostic:
    """The complaint about a node that lies on a cycle or behind one."""
    return Diagnostic(
        code="cycle",
        severity="error",
        node=state.record.id,
        message=Message(
            "'{node}' lies on a cycle of wires, or behind one", {"node": state.record.label}
        ),
        hint=Message("Remove one of the wires of the cycle."),
    )


def errors(diagnostics: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Those that keep the graph from being trained."""
    return (d for d in diagnostics if d.severity == "error")


def _project(
    code: str, message: Message, hint: Message | None = None, severity: Severity = "error"
) -> Diagnostic:
    return Diagnostic(code=code, severity=severity, message=message, hint=hint)


def _warning(node_id: str, code: str, message: Message) -> Diagnostic:
    return Diagnostic(code=code, severity="warning", node=node_id, message=message)
