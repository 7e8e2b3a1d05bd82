"""The checker: types on every wire and all problems, kept up to date edit by edit."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Callable, Iterable
from typing import Any

from graphstudio.document.model import MAIN, ChangeSet, DataSpec, Document, Phase
from graphstudio.ir import build, datacheck, rules, trace, wiring
from graphstudio.ir.datacheck import DataView
from graphstudio.ir.diagnostics import Diagnostic
from graphstudio.ir.evaluate import NodeState, evaluate, make_spec
from graphstudio.ir.graph import DataField, Graph
from graphstudio.ir.result import CheckResult, NodeReport
from graphstudio.ir.topology import Topology
from graphstudio.nodes.spec import find_type
from graphstudio.nodes.types import Fix, InsertNode, Message, SetProducerSize

Describe = Callable[[DataSpec], tuple[tuple[DataField, ...], Message | None]]


class CheckFailed(Exception):  # noqa: N818  # says what happened, as callers read it
    """The graph has errors and cannot be frozen."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        self.diagnostics = diagnostics
        super().__init__("; ".join(str(d.message) for d in diagnostics) or "the graph has errors")


class Checker:
    """Checks the main graph of a document; after an edit only what the edit reaches.

    Parameters
    ----------
    document : Document
        Read, never changed.
    describe : callable
        Fields of the data without loading it, or why there are none.
    """

    def __init__(self, document: Document, describe: Describe) -> None:
        self._document = document
        self._describe = describe
        self._topology = Topology()
        self._states: dict[str, NodeState] = {}
        self._reports: dict[str, NodeReport] = {}
        self._data = DataView()
        self._order: list[str] = []
        self._place: dict[str, int] = {}
        self._cyclic: set[str] = set()
        self._members: set[str] = set()
        self._part_warnings: dict[str, tuple[Diagnostic, ...]] = {}
        self._neighbour_warnings: dict[str, tuple[Diagnostic, ...]] = {}
        self._flawed: set[str] = set()
        """Nodes that have any diagnostic of their own."""
        self._parts_stale = True
        """True once something has changed on which the warnings about parts depend."""
        self._lacks: dict[bool, tuple[tuple[Phase, ...], tuple[Diagnostic, ...]]] = {}
        """What the model as a whole lacks, with errors on nodes or without, for these phases."""
        self._result: CheckResult | None = None

    def check(self) -> CheckResult:
        """Check everything from the start."""
        graph = self._document.main
        self._topology = Topology.of(graph)
        self._states.clear()
        self._reports.clear()
        self._flawed.clear()
        self._neighbour_warnings.clear()
        self._data = self._look_at_data()
        for record in graph.nodes.values():
            self._put_state(record.id, NodeState(record, make_spec(record)))
        self._sort()
        self._propagate(graph.nodes)
        self._warn_neighbours(graph.nodes)
        self._look_at_parts()
        return self._conclude()

    def update(self, changes: ChangeSet) -> CheckResult:
        """Check what the changes reach and return the new result."""
        if self._result is None or MAIN in changes.graphs:
            return self.check()
        dirty, structure = self._take_in(changes)
        if changes.data:
            self._data = self._look_at_data()
            dirty |= {
                n
                for n, s in self._states.items()
                if s.spec.node is not None and s.spec.node.role in ("input", "target")
            }
        if structure:
            self._sort()
        if dirty:
            self._propagate(dirty)
            self._warn_neighbours(self._neighbourhood(dirty))
        if structure or self._parts_stale:
            self._look_at_parts()
        if not (dirty or structure or changes.data or changes.training):
            return self._result
        return self._conclude()

    def freeze(self, name: str = "model") -> Graph:
        """The checked graph for the compiler and the exporters.

        Raises
        ------
        CheckFailed
            If the last check found errors.
        """
        result = self._result or self.check()
        errors = tuple(rules.errors(result.diagnostics))
        if errors:
            raise CheckFailed(errors)
        order = [n for n in self._order if n in self._members]
        return build.freeze(name, self._document, order, self._topology, self._states)

    def refusal(
        self, source: str, source_port: str, target: str, target_port: str
    ) -> Message | None:
        """Why this wire cannot be drawn (a cycle, the wrong kind of node), or None.

        A wire whose shapes do not fit can be drawn, so that the fix can be offered: ``concern``
        says what would be wrong. A wire that is there already may be replaced.
        """
        ends = (source, source_port), (target, target_port)
        return wiring.refusal(*ends, self._topology, self._states)

    def concern(
        self, source: str, source_port: str, target: str, target_port: str
    ) -> Message | None:
        """What would be wrong with the shapes if this wire were drawn, and how to mend it."""
        ends = (source, source_port), (target, target_port)
        return wiring.concern(*ends, self._topology, self._states)

    def legal_targets(self, source: str, source_port: str) -> set[tuple[str, str]]:
        """Every (node, input port) that this output may feed."""
        return wiring.legal_targets((source, source_port), self._topology, self._states)

    def legal_sources(self, target: str, target_port: str) -> set[tuple[str, str]]:
        """Every (node, output port) that may feed this input."""
        return wiring.legal_sources((target, target_port), self._topology, self._states)

    def params_for(self, type_id: str) -> dict[str, Any]:
        """Parameters that suit the data, for a new node of this type."""
        cls = find_type(type_id)
        return datacheck.params_from_data(cls, self._data) if cls is not None else {}

    def _look_at_data(self) -> DataView:
        spec = self._document.data
        if not spec.source:
            return DataView((), Message("no data source is chosen yet"))
        fields, problem = self._describe(spec)
        return DataView(tuple(fields), problem)

    def _take_in(self, changes: ChangeSet) -> tuple[set[str], bool]:
        """Bring records and wires up to date.

        Returns
        -------
        dirty : set of str
            Nodes to evaluate again.
        structure : bool
            True if nodes came or went, wires changed, or a label did (it ranks the order).
        """
        graph, topology = self._document.main, self._topology
        dirty: set[str] = set()
        structure = False
        for graph_id, node_id in changes.nodes:
            if graph_id != MAIN:
                continue
            record, state = graph.nodes.get(node_id), self._states.get(node_id)
            if record is None:
                if state is not None:
                    dirty.update(topology.consumers(node_id))
                    dirty.update(w.source for w in topology.inputs[node_id].values())
                    topology.remove_node(node_id)
                    self._drop_state(node_id)
                    structure = True
                continue
            if state is None:
                topology.add_node(node_id)
                structure = True
            elif state.record.label != record.label:
                structure = True
            same_type = (
                state is not None
                and state.record.type == record.type
                and state.record.label == record.label
                and state.record.params == record.params
            )
            spec = state.spec if state is not None and same_type else make_spec(record)
            self._put_state(
                node_id,
                dataclasses.replace(state, record=record, spec=spec)
                if state is not None
                else NodeState(record, spec),
            )
            dirty.add(node_id)
        for graph_id, key in changes.wires:
            if graph_id != MAIN:
                continue
            old, changed = topology.put_wire(key, graph.wires.get(key))
            if not changed:
                continue
            structure = True
            ends = {key[0], *((old.source,) if old is not None else ())}
            if (wire := graph.wires.get(key)) is not None:
                ends.add(wire.source)
            # a first or last wire decides whether its ends are part of the model at all
            dirty |= ends
        dirty &= self._states.keys()
        return dirty, structure

    def _put_state(self, node_id: str, state: NodeState) -> None:
        old = self._states.get(node_id)
        if old is None or _part_played(old) != _part_played(state):
            self._parts_stale = True
        self._states[node_id] = state
        self._reports[node_id] = state.report
        if state.diagnostics:
            self._flawed.add(node_id)
        else:
            self._flawed.discard(node_id)

    def _drop_state(self, node_id: str) -> None:
        del self._states[node_id]
        del self._reports[node_id]
        self._flawed.discard(node_id)
        self._neighbour_warnings.pop(node_id, None)

    def _sort(self) -> None:
        nodes = self._document.main.nodes

        def rank(node_id: str) -> tuple[Any, str]:
            return _natural(nodes[node_id].label), node_id

        self._order, self._cyclic = self._topology.order(rank)
        self._place = {n: i for i, n in enumerate(self._order)}

    def _propagate(self, dirty: Iterable[str]) -> None:
        """Evaluate nodes in order, and those behind a node whose outcome has changed."""
        states, reports, flawed = self._states, self._reports, self._flawed
        inputs, outputs = self._topology.inputs, self._topology.outputs
        pending = set(dirty)
        first = min((self._place[n] for n in pending), default=0)
        for node_id in itertools.islice(self._order, first, None):
            if not pending:
                break
            if node_id not in pending:
                continue
            pending.remove(node_id)
            old = states[node_id]
            wires, leaving = inputs[node_id], outputs[node_id]
            if node_id in self._cyclic:
                cause = (node_id, old.record.label)
                new = NodeState(
                    old.record, old.spec, cause=cause, diagnostics=(rules.cycle_problem(old),)
                )
            else:
                new = evaluate(
                    old.record,
                    old.spec,
                    wires,
                    states,
                    self._data,
                    connected=bool(wires or leaving),
                )
            states[node_id] = new  # as ``_put_state`` does, less what only another spec changes
            reports[node_id] = new.report
            if new.diagnostics:
                flawed.add(node_id)
            elif old.diagnostics:
                flawed.discard(node_id)
            if new.cause != old.cause or new.output_types != old.output_types:
                for target, _ in leaving:
                    pending.add(target)

    def _neighbourhood(self, nodes: Iterable[str]) -> set[str]:
        around = set(nodes)
        for n in nodes:
            around.update(self._topology.consumers(n))
            around.update(w.source for w in self._topology.inputs[n].values())
        return around

    def _warn_neighbours(self, nodes: Iterable[str]) -> None:
        for n in nodes:
            warnings = rules.neighbour_warnings(n, self._topology, self._states)
            if warnings:
                self._neighbour_warnings[n] = warnings
            else:
                self._neighbour_warnings.pop(n, None)

    def _look_at_parts(self) -> None:
        parts = self._topology.parts()
        self._members = rules.model_members(parts, self._states)
        self._part_warnings = rules.part_warnings(
            parts, self._topology, self._states, self._members, self._place
        )
        self._parts_stale = False
        self._lacks.clear()

    def _look_at_model(self, wrong: bool) -> tuple[Diagnostic, ...]:
        """What the model as a whole lacks; ``wrong`` if there are errors on nodes."""
        phases = self._document.training.phases
        known = self._lacks.get(wrong)
        if known is not None and known[0] is phases:
            return known[1]
        found = tuple(
            rules.model_problems(self._states, self._topology, self._members, phases, wrong)
        )
        self._lacks[wrong] = (phases, found)
        return found

    def _conclude(self) -> CheckResult:
        wrong: list[Diagnostic] = []
        warned: list[Diagnostic] = []
        blocked: list[Diagnostic] = []
        marked = self._flawed | self._part_warnings.keys() | self._neighbour_warnings.keys()
        for node_id in sorted(marked, key=self._place.__getitem__):
            for d in (
                *self._states[node_id].diagnostics,
                *self._neighbour_warnings.get(node_id, ()),
                *self._part_warnings.get(node_id, ()),
            ):
                if d.severity == "error":
                    wrong.append(self._explain(d))
                elif d.severity == "warning":
                    warned.append(d)
                else:
                    blocked.append(d)
        project = [
            *self._look_at_model(bool(wrong)),
            *rules.project_problems(self._document, self._data, self._states),
        ]
        wrong += [d for d in project if d.severity == "error"]
        warned += [d for d in project if d.severity == "warning"]
        self._result = CheckResult((*wrong, *warned, *blocked), dict(self._reports))
        return self._result

    def _explain(self, d: Diagnostic) -> Diagnostic:
        """Add the chain of nodes that made the shape, and turn fixes that have no one to act on."""
        if d.port is None or d.node is None:
            return d
        fixes: list[Fix] = []
        for fix in d.fixes:
            if isinstance(fix, SetProducerSize) and (
                trace.producer(self._document.main, d.node, fix.port) is None
            ):
                title = Message("Insert a Dense of {size} units", {"size": fix.size})
                fixes.append(InsertNode(title, fix.port, "layer.dense", {"units": fix.size}))
            else:
                fixes.append(fix)
        chain = trace.chain(d.node, d.port, self._topology, self._states)
        return dataclasses.replace(d, chain=chain, fixes=tuple(fixes))


def _part_played(state: NodeState) -> tuple[str, bool, bool]:
    """What of a node decides about the model as a whole, its wires apart."""
    return state.spec.role, state.spec.trainable, state.record.bypass


@functools.lru_cache(maxsize=65_536)
def _natural(label: str) -> tuple[tuple[int, str], ...]:
    """Sort key that puts ``Dense 2`` before ``Dense 10``."""
    return tuple(
        (len(digits), digits) if (digits := part.lstrip("0")).isdecimal() else (-1, part)
        for part in re.split(r"(\d+)", label)
    )
