"""A program: a static graph bound to memory, as a flat list of kernel calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backend import Array, aligned, carved, placed, strided
from engine.function import PRIMITIVES, Call, Primitive, Step, ViewPrimitive
from engine.plan.graph import StaticGraph
from engine.plan.memory import ALIGNMENT, Place, plan_memory
from engine.value import Value

if TYPE_CHECKING:
    from engine.cuda.writer import DeviceWriter
    from engine.native.runtime import Team
    from engine.native.writer import Scratch, Writer
    from engine.plan.transfer import Exchange


@dataclass(frozen=True, slots=True)
class NamedStep:
    """One kernel call: which primitive, for which node of the model, and the arrays it touches.

    ``run`` is the kernel, bound to these arrays, which are CuPy's in a plan on the GPU. Everything
    is at hand with which another kernel can do the same in its place.
    """

    primitive: Primitive
    attrs: Mapping[str, Any]
    scope: str
    run: Step
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    scratch: tuple[Array, ...]

    @property
    def name(self) -> str:
        return self.primitive.name


class Arena:
    """Memory that programs share: they never run at the same time."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._memory = aligned(0, ALIGNMENT, device)

    def reserve(self, num_bytes: int) -> Array:
        """At least so many bytes, aligned; an earlier, smaller piece stays with its program."""
        if num_bytes > self._memory.size:
            self._memory = aligned(num_bytes, ALIGNMENT, self.device)
        return self._memory


class Program:
    """Steps that compute the roots of a graph from its leaves.

    Parameters
    ----------
    graph : StaticGraph
    roots : values by name
        What can be read after a run.
    fixed : arrays by ``id(value)``
        Where leaves lie.
    forced, late : (value, array)
        Where computed values must be written: as soon as they are known, or at the end.
    exchange : Exchange, optional
        Checks indices on a GPU in the place of the kernels.
    """

    def __init__(
        self,
        graph: StaticGraph,
        roots: Mapping[str, Value],
        fixed: Mapping[int, Array],
        forced: Sequence[tuple[Value, Array]],
        late: Sequence[tuple[Value, Array]],
        arena: Arena,
        exchange: Exchange | None = None,
    ) -> None:
        calls = graph.needed([*roots.values(), *(value for value, _ in (*forced, *late))])
        # What only new states need comes last: it would stand between calls that can be joined.
        first = graph.needed([*roots.values(), *(value for value, _ in forced)])
        known = {call.order for call in first}
        calls = [*first, *(call for call in calls if call.order not in known)]
        calls, targets = _land(graph, calls, forced, late)
        fixed = dict(fixed)
        for value in (*roots.values(), *(v for call in calls for v in call.inputs)):
            data = getattr(value, "data", None)
            if data is not None and id(value) not in fixed:
                fixed[id(value)] = placed(data, arena.device)
        layout = plan_memory(calls, fixed, targets, list(roots.values()))
        memory = arena.reserve(layout.num_bytes)
        self.num_bytes = layout.num_bytes
        self._memory = memory

        def array(place: Place) -> Array:
            if place.storage.fixed is not None:
                base = place.storage.fixed
                if (
                    place.offset == 0
                    and place.shape == base.shape
                    and place.strides == base.strides
                ):
                    return base
                return strided(base, place.shape, place.strides, place.offset)
            offset = place.storage.offset + place.offset
            if not place.storage.num_bytes:
                return carved(memory, place.shape, place.dtype, 0, place.strides)
            return carved(memory, place.shape, place.dtype, offset, place.strides)

        arrays: dict[int, Array] = {}
        for call in calls:
            for value in (*call.inputs, *call.outputs):
                if id(value) not in arrays:
                    arrays[id(value)] = array(layout.places[id(value)])
        self.steps: list[NamedStep] = []
        for call, scratch in zip(calls, layout.scratch, strict=True):
            if call.order in layout.aliased:
                continue
            inputs = tuple(arrays[id(v)] for v in call.inputs)
            outputs = tuple(arrays[id(v)] for v in call.outputs)
            room = tuple(array(place) for place in scratch)
            run = call.primitive.prepare(inputs, outputs, room, **call.attrs)
            if exchange is not None:
                run = exchange.around(call, inputs, run)
            self.steps.append(
                NamedStep(call.primitive, call.attrs, call.scope, run, inputs, outputs, room)
            )
        self.roots: dict[str, Array] = {}
        for name, value in roots.items():  # perhaps a leaf that nothing reads
            self.roots[name] = arrays[id(value)] if id(value) in arrays else fixed[id(value)]
        self._run: list[Callable[[], object]] = [s.run for s in self.steps]
        self.updates = False
        """True if a run ends with the optimiser's step."""

    @property
    def num_calls(self) -> int:
        """Calls that a run makes from Python: one a step, or few where they are native."""
        return len(self._run)

    def make_native(
        self,
        team: Team,
        progress: Callable[[int, int], None] | None = None,
        finish: Callable[[Writer], bool] | None = None,
        pool: Scratch | None = None,
    ) -> None:
        """Put generated machine code in the place of the NumPy kernels, wherever there is any."""
        from engine.native.program import lower  # needs llvmlite

        self._run, self.updates = lower(self.steps, team, progress, finish, pool)

    def make_launches(
        self,
        finish: Callable[[DeviceWriter], bool] | None = None,
        pool: Scratch | None = None,
    ) -> Callable[[], None] | None:
        """Put generated kernels in the place of CuPy's, wherever there are any.

        ``finish`` writes more launches, which are no part of a run: a call that does them comes
        back, or None if there are none.
        """
        from engine.cuda.program import lower  # needs llvmlite

        self._run, more = lower(self.steps, finish, pool)

        def do() -> None:
            for launch in more:
                launch()

        return do if more else None

    def run(self) -> None:
        """Compute everything once."""
        with np.errstate(all="ignore"):
            for step in self._run:
                step()


def _land(
    graph: StaticGraph,
    calls: list[Call],
    forced: Sequence[tuple[Value, Array]],
    late: Sequence[tuple[Value, Array]],
) -> tuple[list[Call], dict[int, Array]]:
    """Make every wanted value the output of exactly one call that can write into its array.

    A leaf, a view, or a value wanted in two places is copied there by a call of its own; so is
    what is due ``late``, because its array holds an old value that other calls still read.
    """
    targets: dict[int, Array] = {}
    result = list(calls)
    for value, array in forced:
        producer = value.producer
        if (
            producer is not None
            and not isinstance(producer.primitive, ViewPrimitive)
            and id(value) not in targets
        ):
            targets[id(value)] = array
        else:
            late = [*late, (value, array)]
    for value, array in late:
        copy = graph.record(PRIMITIVES["stop_gradient"], (value,), {})[0]
        assert copy.producer is not None
        result.append(copy.producer)
        targets[id(copy)] = array
    return result, targets
