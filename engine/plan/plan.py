"""Plan: a model compiled for training and inference."""

from __future__ import annotations

import copy
import gc
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backend import Array, address, assign, carved, to_numpy
from engine.cuda import enabled as cuda_enabled
from engine.errors import PlanError, ShapeError
from engine.native import enabled as native_enabled
from engine.ops.windows import channels_last
from engine.optim.base import Optimizer, require
from engine.optim.clipping import clip_flat, clip_on_device
from engine.plan.arrays import check_names, make_arrays, zeros
from engine.plan.builder import BATCH, PlanBuilder, Tracer, listed
from engine.plan.graph import StaticGraph, StaticValue
from engine.plan.program import Arena, NamedStep, Program
from engine.plan.saving import keep_in_half
from engine.plan.transfer import Block, Exchange, Item, Key
from engine.random import RandomState
from engine.value import Value

if TYPE_CHECKING:
    from engine.cuda.writer import DeviceWriter
    from engine.native.runtime import Team
    from engine.native.writer import Scratch, Writer

TOTAL = "loss"
NUMBERS: Key = ("numbers", "")
NORM: Key = ("norm", "")
PROGRAMS = ("train", "gradients", "evaluate", "forward")
MAX_PROGRAMS = 24
"""Programs kept at a time; the one unused for longest goes first."""


class _Compiled:
    """A program with the arrays through which batches enter and results leave.

    ``exchange`` moves them to a GPU and back; it is None on the CPU, where ``scalars`` lie where
    the program leaves them.
    """

    def __init__(self, program: Program, feed: Block, exchange: Exchange | None) -> None:
        self.program, self.feed, self.exchange = program, feed, exchange
        self.inputs = {name: a for (kind, name), a in feed.host.items() if kind == "input"}
        self.keys = [a for (kind, _), a in feed.host.items() if kind == "key"]
        roots = program.roots
        self.outputs = {k[2:]: v for k, v in roots.items() if k.startswith("o:")}
        self.scalars = {k[2:]: v for k, v in roots.items() if k.startswith("s:")}
        if exchange is not None:
            self.scalars = {k: exchange.results.host["scalar", k] for k in self.scalars}
        self.update: Callable[[], None] | None = None
        """The optimiser's step, by the numbers that are fed; on a GPU it limits gradients too."""


class Plan:
    """A model with its parameters, compiled once for each batch size it meets.

    Made by ``PlanBuilder.build``. All trainable parameters lie in one array, and so do their
    gradients, so that the optimiser is one pass over them.
    """

    def __init__(
        self,
        builder: PlanBuilder,
        optimizer: Optimizer | None,
        seed: int | None,
        frozen: tuple[str, ...],
        num_threads: int,
        max_threads: int,
        limits: tuple[float | None, float | None] = (None, None),
        accumulate: int = 1,
        device: str = "cpu",
        kept_as: str = "float32",
    ) -> None:
        self.device, self.kept_as = device, kept_as
        self._records = tuple(builder.records)
        self._outputs, self._losses = dict(builder.outputs), dict(builder.losses)
        self._metrics = dict(builder.metrics)
        self._leaves = dict(builder.leaves)
        self.seed = secrets.randbits(32) if seed is None else int(seed)
        self.num_threads, self.max_threads = int(num_threads), int(max_threads)
        for name in frozen:
            if name not in self._leaves or self._leaves[name].kind != "parameter":
                raise PlanError(f"frozen found '{name}', which is no parameter of this plan.")
        self._frozen = frozenset(frozen)
        self._channels_last = builder.convolved
        self._reached = builder.reached
        self._random = RandomState(self.seed)
        self._arena = Arena(device)
        self._programs: dict[tuple[Any, ...], _Compiled] = {}
        self._teams: dict[int, Team] = {}
        self._pool: Scratch | None = None
        self._native: set[tuple[Any, ...]] = set()
        made = make_arrays(self._leaves, self._trained(), self._order, self.seed, device)
        self._weights, self._gradients = made.weights, made.gradients
        self._parameters, self._states, self._slots = made.parameters, made.states, made.slots
        self._optimizer = copy.copy(optimizer)
        self._optimizer_state: dict[str, Array] = {}
        self._scratch = zeros(0, device)
        if self._optimizer is not None:
            self._optimizer.parameters = []
            self._optimizer_state = self._optimizer.new_state(self._weights)
            self._scratch = zeros(2 * self._weights.size, device).reshape(2, self._weights.size)
        self._limits, self._accumulate = limits, accumulate
        self._pending = 0
        self._sum = zeros(self._weights.size if accumulate > 1 else 0, device)
        self._norm = np.zeros(1)
        self._native_update: Callable[[], None] | None = None
        self.gradient_norm: float | None = None
        """Norm of all gradients at the last step, if ``clip_norm`` is set."""

    # Arrays ------------------------------------------------------------------------------

    def _order(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        if name in self._channels_last and len(shape) > 2:
            return channels_last(len(shape))
        return tuple(range(len(shape)))

    def _trained(self) -> list[str]:
        """Parameters that are not frozen and to which some loss sends a gradient.

        The others have no gradient, so an optimiser must not touch them, not even to decay them.
        """
        return [
            k
            for k, v in self._leaves.items()
            if v.kind == "parameter" and k not in self._frozen and k in self._reached
        ]

    @property
    def parameters(self) -> Mapping[str, Array]:
        """Views of all parameters by name; writing to them changes the model.

        They are CuPy's arrays in a plan on the GPU.
        """
        return dict(self._parameters)

    @property
    def state(self) -> Mapping[str, Array]:
        """Views of all states by name, as of ``parameters``."""
        return dict(self._states)

    @property
    def num_parameters(self) -> int:
        """Number of elements of all parameters, the frozen ones included."""
        return sum(a.size for a in self._parameters.values())

    @property
    def inputs(self) -> dict[str, tuple[tuple[int | str, ...], str]]:
        """Shape and element type of each array that a batch must bring."""
        return {k: (v.shape, v.dtype.name) for k, v in self._leaves.items() if v.kind == "input"}

    @property
    def learning_rate(self) -> float:
        """Of the optimiser; may be set between steps."""
        return self._require_optimizer().learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._require_optimizer().learning_rate = require("learning_rate", value)

    def _require_optimizer(self) -> Optimizer:
        if self._optimizer is None:
            raise PlanError("The plan was built without an optimizer; pass one to build().")
        return self._optimizer

    # Saving ------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Array]:
        """Copies of parameters and states by name, row-major."""
        return {k: _copied(v) for k, v in {**self._parameters, **self._states}.items()}

    def load_state_dict(self, arrays: Mapping[str, Array]) -> None:
        """Take over parameters and states.

        Raises
        ------
        PlanError
            If a name is missing or unknown, or a shape differs. Nothing is changed then.
        """
        own = {**self._parameters, **self._states}
        check_names("weights", arrays, own)
        for name, array in own.items():
            assign(array, arrays[name])

    def optimizer_state_dict(self) -> dict[str, Any]:
        """Copies of what the optimiser needs to go on: plain numbers, and arrays by name."""
        optimizer = self._require_optimizer()
        arrays = {
            f"{name}.{slot}": _copied(self._within(whole, name))
            for slot, whole in self._optimizer_state.items()
            for name in self._slots
        }
        return {
            "num_steps": optimizer.num_steps,
            "learning_rate": optimizer.learning_rate,
            "arrays": arrays,
        }

    def load_optimizer_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what ``optimizer_state_dict`` returned."""
        optimizer = self._require_optimizer()
        own = {
            f"{name}.{slot}": self._within(whole, name)
            for slot, whole in self._optimizer_state.items()
            for name in self._slots
        }
        for key in ("num_steps", "learning_rate", "arrays"):
            if key not in state:
                raise PlanError(
                    f"The optimizer state lacks '{key}'; expected what optimizer_state_dict gives."
                )
        check_names("optimizer state", state["arrays"], own)
        for name, array in own.items():
            assign(array, state["arrays"][name])
        optimizer.num_steps = int(state["num_steps"])
        optimizer.learning_rate = float(state["learning_rate"])

    def _within(self, whole: Array, name: str) -> Array:
        """The part of a flat array that belongs to one parameter, in that parameter's shape."""
        slot = self._slots[name]
        start = address(slot) - address(self._gradients)
        return carved(whole, slot.shape, whole.dtype, start, slot.strides)

    @property
    def random_state(self) -> dict[str, int]:
        """What decides all further random numbers, as plain numbers; may be set."""
        return self._random.state_dict()

    @random_state.setter
    def random_state(self, state: Mapping[str, Any]) -> None:
        self._random.load_state_dict(state)

    # Preparing ---------------------------------------------------------------------------

    def prepare(
        self,
        batch_size: int,
        what: str | Sequence[str] = ("train",),
        progress: Callable[[int, int], None] | None = None,
    ) -> bool:
        """Have machine code generated for programs of this batch size; False if there is none.

        The code is made once for a model and a processor and then kept on disk. Results agree
        with those of the NumPy kernels to float32 rounding, so prepare before the first step if
        a run is to be repeated exactly. What is not prepared runs on NumPy kernels, and so does
        everything without llvmlite or with ``ENGINE_NATIVE=off``. On the GPU it is kernels for
        CUDA that are generated, and CuPy's that they replace.

        Parameters
        ----------
        what : str or sequence of str
            "train", "gradients", "evaluate", "forward".
        progress : callable, optional
            ``progress(done, total)`` while kernels are compiled.
        """
        if not (cuda_enabled() if self.device == "gpu" else native_enabled()):
            return False
        for name in listed("prepare", "what", what):
            key = (name, name in ("train", "gradients"), batch_size)
            compiled = self._compiled(*key)
            if key not in self._native:
                self._make_native(name, compiled, progress)
                self._native.add(key)
        return True

    @property
    def native(self) -> frozenset[tuple[str, int]]:
        """Which programs run in machine code: ``("train", batch size)`` and so on."""
        return frozenset((what, size) for what, _, size in self._native)

    def _make_native(
        self, what: str, compiled: _Compiled, progress: Callable[[int, int], None] | None = None
    ) -> None:
        if self.device == "gpu":
            self._make_launches(compiled)
            return
        from engine.native.policy import usable_cores, worthwhile_threads
        from engine.native.program import lower_alone
        from engine.native.runtime import Team
        from engine.native.updates import lower_update
        from engine.native.writer import Scratch

        self._pool = self._pool or Scratch()
        most = min(self.max_threads or usable_cores(), usable_cores())
        count = self.num_threads or worthwhile_threads(compiled.program.steps, most)
        if count not in self._teams:
            self._teams[count] = Team(count)
        optimizer = self._optimizer
        finish = None
        if what == "train" and optimizer is not None:

            def update(w: Writer) -> bool:
                state, norm = self._optimizer_state, self._norm
                return lower_update(
                    w, optimizer, self._weights, self._gradients, state, self._limits, norm
                )

            if self._accumulate == 1:
                finish = update
            else:  # it does not follow every batch: a call of its own
                self._native_update = lower_alone(self._teams[count], update, self._pool)

        with _uncollected():
            compiled.program.make_native(self._teams[count], progress, finish, self._pool)

    def _make_launches(self, compiled: _Compiled) -> None:
        """Generated kernels for a GPU, that of the optimiser's step among them."""
        from engine.cuda.updates import lower_update
        from engine.cuda.writer import DeviceScratch

        self._pool = self._pool or DeviceScratch()
        optimizer, exchange = self._optimizer, compiled.exchange
        assert exchange is not None
        finish = None
        if compiled.update is not None:

            def finish(w: DeviceWriter) -> bool:
                assert optimizer is not None
                return lower_update(
                    w,
                    optimizer,
                    self._weights,
                    self._gradients,
                    self._optimizer_state,
                    _numbers(compiled.feed),
                    self._limits,
                    exchange.results.arrays[NORM],
                )

        with _uncollected():
            update = compiled.program.make_launches(finish, self._pool)
        compiled.update = update or compiled.update

    # Running -----------------------------------------------------------------------------

    def forward(self, batch: Mapping[str, Array], *, training: bool = False) -> dict[str, Array]:
        """Outputs by name. Needs only the inputs on which outputs depend; changes nothing."""
        compiled = self._feed("forward", training, batch)
        compiled.program.run()
        if compiled.exchange is not None:
            compiled.exchange.fetch()
        return {k: _copied(v) for k, v in compiled.outputs.items()}

    def evaluate(self, batch: Mapping[str, Array]) -> dict[str, float]:
        """``loss`` (the weighted total), each loss and each metric, in inference mode."""
        compiled = self._feed("evaluate", False, batch)
        compiled.program.run()
        if compiled.exchange is not None:
            compiled.exchange.fetch()
        return {k: float(v) for k, v in compiled.scalars.items()}

    def train_step(self, batch: Mapping[str, Array]) -> dict[str, float]:
        """One step of the optimiser; ``loss``, each loss and each metric as of before the step."""
        optimizer = self._require_optimizer()
        compiled = self._feed("train", True, batch)
        compiled.program.run()
        if not compiled.program.updates:
            with np.errstate(all="ignore"):
                self._step(optimizer, compiled)
        else:
            self._note_norm()
        self._random.advance()
        if compiled.exchange is not None:
            self._fetch_step(compiled.exchange)
        return {k: float(v) for k, v in compiled.scalars.items()}

    def _fetch_step(self, exchange: Exchange) -> None:
        """Wait for a training step on a GPU, and for the norm of its gradients."""
        exchange.fetch()
        if self._limits[0] is not None and not self._pending:
            self.gradient_norm = float(exchange.results.host[NORM])

    def _step(self, optimizer: Optimizer, compiled: _Compiled) -> None:
        """Accumulate, clip, update."""
        if self._accumulate > 1:
            np.add(self._sum, self._gradients, out=self._sum)
            self._pending += 1
            if self._pending < self._accumulate:
                return
            np.divide(self._sum, self._accumulate, out=self._gradients)
            self._sum.fill(0)
            self._pending = 0
        if self._native_update is not None:
            self._native_update()
            self._note_norm()
            return
        optimizer.num_steps += 1
        if compiled.exchange is None:
            if self._limits != (None, None):
                self.gradient_norm = clip_flat(self._gradients, self._scratch[0], *self._limits)
            compiled.feed.host[NUMBERS][...] = optimizer.numbers(optimizer.num_steps)
        assert compiled.update is not None
        compiled.update()

    def _note_norm(self) -> None:
        """Take over the norm that a native update has found."""
        if self._limits[0] is not None:
            self.gradient_norm = float(self._norm[0])

    def gradients(
        self, batch: Mapping[str, Array], *, training: bool = True
    ) -> tuple[dict[str, float], dict[str, Array]]:
        """Losses and metrics, and the gradient of each trained parameter. Changes nothing."""
        compiled = self._feed("gradients", training, batch)
        compiled.program.run()
        if compiled.exchange is not None:
            compiled.exchange.fetch()
        return (
            {k: float(v) for k, v in compiled.scalars.items()},
            {
                k: _copied(self._slots[k]) if k in self._slots else np.zeros(v.shape, v.dtype)
                for k, v in self._parameters.items()
                if k not in self._frozen
            },
        )

    def steps(self, batch_size: int, what: str = "train") -> Sequence[NamedStep]:
        """The kernel calls of a program, for a debugger that runs them one by one.

        ``what`` is "train", "gradients", "evaluate" or "forward".
        """
        training = what in ("train", "gradients")
        return tuple(self._compiled(what, training, batch_size).program.steps)

    def trace(self, batch: Mapping[str, Array], what: str = "train") -> Iterator[NamedStep]:
        """Run a program on a batch call by call, on no native code, and yield each that has run.

        A step's arrays are to be looked at then: later steps may lie in the same memory. Going on
        to the end of "train" ends with the optimiser's step, as ``train_step`` does; stopping
        before leaves the weights as they were.
        """
        if what == "train":
            self._require_optimizer()
        compiled = self._feed(what, what in ("train", "gradients"), batch)
        for step in compiled.program.steps:
            with np.errstate(all="ignore"):
                step.run()
            yield step
        if what == "train":
            with np.errstate(all="ignore"):
                self._step(self._require_optimizer(), compiled)
            self._random.advance()
            if compiled.exchange is not None:
                self._fetch_step(compiled.exchange)

    def memory(self, batch_size: int, what: str = "train") -> int:
        """Bytes that intermediate results of a program take."""
        return self._compiled(what, what in ("train", "gradients"), batch_size).program.num_bytes

    def _feed(self, what: str, training: bool, batch: Mapping[str, Array]) -> _Compiled:
        if not isinstance(batch, Mapping):
            raise PlanError(
                f"The batch is a {type(batch).__name__}; expected arrays by name: "
                f"{', '.join(self.inputs)}."
            )
        compiled = self._compiled(what, training, self._batch_size(batch))
        if compiled.exchange is not None:
            compiled.exchange.open()
        for name, target in compiled.inputs.items():
            if name not in batch:
                have = ", ".join(sorted(batch)) or "nothing"
                raise PlanError(f"The batch lacks '{name}'; it has {have}.")
            source = np.asarray(batch[name])
            if source.shape != target.shape:
                expected = self._leaves[name].shape
                raise ShapeError(
                    f"'{name}' found shape {source.shape}; expected {expected} with "
                    f"{BATCH} = {self._batch_size(batch)}."
                )
            if source.dtype != target.dtype and not np.can_cast(source.dtype, target.dtype, "safe"):
                raise PlanError(
                    f"'{name}' found element type {source.dtype.name}; expected "
                    f"{target.dtype.name}. Convert it before."
                )
            np.copyto(target, source)
        for number, key in enumerate(compiled.keys):
            key[...] = self._random.key(number)
        if compiled.exchange is not None:
            if compiled.update is not None:
                optimizer = self._require_optimizer()
                compiled.feed.host[NUMBERS][...] = optimizer.numbers(optimizer.num_steps + 1)
            compiled.exchange.send()
        return compiled

    def _batch_size(self, batch: Mapping[str, Array]) -> int:
        for name, leaf in self._leaves.items():
            if leaf.kind == "input" and BATCH in leaf.shape and name in batch:
                shape = np.shape(batch[name])
                if len(shape) != len(leaf.shape):
                    raise ShapeError(f"'{name}' found shape {shape}; expected {leaf.shape}.")
                size = shape[leaf.shape.index(BATCH)]
                if size == 0:
                    raise ShapeError(f"'{name}' found an empty batch; expected at least one row.")
                return int(size)
        return 1

    def _compiled(self, what: str, training: bool, batch_size: int) -> _Compiled:
        if what not in PROGRAMS:
            known = ", ".join(f"'{name}'" for name in PROGRAMS)
            raise PlanError(f"There is no program '{what}'; expected one of {known}.")
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise PlanError(f"batch_size found {batch_size!r}; expected a whole number above 0.")
        key = (what, training, batch_size)
        found = self._programs.pop(key, None)
        if found is None:
            with _uncollected():
                found = self._compile(what, training, batch_size)
            if key in self._native:  # forgotten meanwhile, for others that were used since
                self._make_native(what, found)
            while len(self._programs) >= MAX_PROGRAMS:
                self._programs.pop(next(iter(self._programs)))
        self._programs[key] = found  # last in the dictionary: used most recently
        return found

    def _compile(self, what: str, training: bool, batch_size: int) -> _Compiled:
        graph = StaticGraph(training)
        tracer = Tracer(graph, batch_size, self._frozen)
        tracer.play(self._records)
        graph.scope = ""
        scalars: dict[str, Value] = {}
        outputs: dict[str, Value] = {}
        forced: list[tuple[Value, Array]] = []
        late: list[tuple[Value, Array]] = []
        if what == "forward":
            outputs = {k: tracer.values[v.number] for k, v in self._outputs.items()}
        else:
            scalars = self._scalars(tracer)
        num_forward = len(graph.calls)
        if what in ("train", "gradients"):
            if TOTAL not in scalars:
                raise PlanError("The plan has no loss; add one with PlanBuilder.loss().")
            total = scalars[TOTAL]
            assert isinstance(total, StaticValue)
            names = list(self._slots)
            found = graph.gradients(total, [tracer.named[k] for k in names])
            self._gradients.fill(0)
            for name, grad in zip(names, found, strict=True):
                if grad is not None:
                    forced.append((grad, self._slots[name]))
        if what == "train":
            late = [(new, self._states[old.name]) for old, new in graph.effects.values()]
        roots = {
            **{f"o:{k}": v for k, v in outputs.items()},
            **{f"s:{k}": v for k, v in scalars.items()},
        }
        if self.kept_as != "float32" and len(graph.calls) > num_forward:
            stays = [*roots.values(), *(v for v, _ in late)]
            keep_in_half(graph, num_forward, stays, self.kept_as)
        calls = graph.needed([*roots.values(), *(v for v, _ in (*forced, *late))])
        used = {id(v) for call in calls for v in call.inputs} | {id(v) for v in roots.values()}
        fed = {
            (v.kind, v.name): v
            for v in graph.leaves
            if v.kind == "key" or (v.kind == "input" and id(v) in used)
        }
        items = {
            key: Item(v.shape, v.dtype, self._order(v.name, v.shape)) for key, v in fed.items()
        }
        if what == "train" and self._optimizer is not None:
            items[NUMBERS] = Item((len(self._optimizer.numbers(1)),), np.dtype(np.float32))
        feed, exchange = Block(items, self.device), None
        if self.device != "cpu":
            room = {NORM: Item((), np.dtype(np.float64))}
            room |= {("scalar", k): Item((), v.dtype) for k, v in scalars.items()}
            exchange = Exchange(feed, room, calls)
            forced += [(v, exchange.results.arrays["scalar", k]) for k, v in scalars.items()]
        fixed = {id(v): feed.arrays[key] for key, v in fed.items()}
        for value in graph.leaves:
            own = {"parameter": self._parameters, "state": self._states}.get(value.kind)
            if own is not None:
                fixed[id(value)] = own[value.name]
        program = Program(graph, roots, fixed, forced, late, self._arena, exchange)
        compiled = _Compiled(program, feed, exchange)
        if NUMBERS in items:
            compiled.update = self._bound_update(feed, exchange)
        return compiled

    def _bound_update(self, feed: Block, exchange: Exchange | None) -> Callable[[], None]:
        """The optimiser's step by the numbers in ``feed``, on a GPU with the limits before it."""
        assert self._optimizer is not None
        update = self._optimizer.prepare(
            self._weights,
            self._gradients,
            self._optimizer_state,
            self._scratch,
            _numbers(feed),
        )
        if exchange is None or self._limits == (None, None):
            return update
        norm = exchange.results.arrays[NORM]
        limit = clip_on_device(self._gradients, self._scratch[0], norm, *self._limits)

        def limited() -> None:
            limit()
            update()

        return limited

    def _scalars(self, tracer: Tracer) -> dict[str, Value]:
        """The weighted total, each loss and each metric."""
        result: dict[str, Value] = {}
        total: Any = None
        for name, (symbol, weight) in self._losses.items():
            value = tracer.values[symbol.number]
            result[name] = value
            part = value if weight == 1.0 else value * weight
            total = part if total is None else total + part
        for name, symbol in self._metrics.items():
            result[name] = tracer.values[symbol.number]
        return result if total is None else {**result, TOTAL: total}


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python's collector of cycles from starting inside a ``with`` block.

    A large graph is hundreds of thousands of objects, none of them garbage while it is compiled:
    the collector would walk them all again and again, and take most of the time.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _numbers(feed: Block) -> list[Array]:
    """The numbers of the optimiser's step where it reads them, without axes."""
    whole = feed.arrays[NUMBERS]
    return [whole[i, ...] for i in range(len(whole))]


def _copied(array: Array) -> Array:
    """A row-major copy on the host."""
    return np.array(to_numpy(array), order="C")
