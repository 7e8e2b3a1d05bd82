"""A program's calls on the GPU: launches of generated kernels, CuPy's own kernels elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.backend import address, kernels_of
from engine.cuda import loss
from engine.cuda.ptx import BLOCK, assemble
from engine.cuda.sums import column_sums, lower_sum
from engine.cuda.writer import DeviceScratch, DeviceWriter, outline
from engine.native.lowerings import Lowering, norm, norm_copied, step_forms
from engine.native.lowerings.elementwise import RULES
from engine.native.program import AHEAD
from engine.native.writer import ArrayType, Scratch, Writer
from engine.plan.transfer import Guarded

if TYPE_CHECKING:
    from engine.plan.program import NamedStep

COPIES = ("transpose", "slice", "slice_gradient", "pad", "concatenate")
NOISE = ("dropout", "random_uniform", "random_normal")
LINES = (
    "softmax",
    "softmax_gradient",
    "log_softmax",
    "standardize",
    "standardize_gradient",
    "prod_of_others",
)


Form = Callable[["Writer", "Sequence[NamedStep]", norm.Sums], int]


def _batch_norm(first: Form, second: Form) -> Lowering:
    """The native form with sums for the GPU, or that of copies."""
    return lambda w, steps: first(w, steps, column_sums) or second(w, steps, column_sums)


OWN: dict[str, Lowering] = {
    "sum": lower_sum,
    "batch_norm_training": _batch_norm(norm.lower_forward, norm_copied.lower_forward),
    "batch_norm_gradient": _batch_norm(norm.lower_gradient, norm_copied.lower_gradient),
    "cross_entropy": loss.lower_cross_entropy,
    "cross_entropy_gradient": loss.lower_cross_entropy_gradient,
    "accuracy": loss.lower_accuracy,
}
"""Forms for the GPU alone, or with sums of its own."""

Call = Callable[[], object]


class Launch:
    """A kernel with its arrays."""

    def __init__(
        self,
        name: str,
        function: Callable[..., None],
        blocks: int,
        arrays: Sequence[ArrayType],
        pool: Scratch,
    ) -> None:
        self.name = name
        self._pool = pool  # some of the arrays lie in its memory
        self._function = function
        self._size = (blocks,), (BLOCK,)
        self._addresses = tuple(np.uint64(address(array)) for array in arrays)

    def __call__(self) -> None:
        self._function(*self._size, self._addresses)


def lower(
    steps: Sequence[NamedStep],
    finish: Callable[[DeviceWriter], bool] | None = None,
    pool: Scratch | None = None,
) -> tuple[list[Call], list[Launch]]:
    """The program's calls: launches where a form for the GPU exists, CuPy's kernel elsewhere.

    Parameters
    ----------
    finish : callable, optional
        Writes launches that are no part of the program: the second result.
    pool : Scratch, optional
        Working memory of the kernels, which programs share that never run at the same time.
    """
    forms = _forms()
    writer = DeviceWriter(pool or DeviceScratch())
    outlined = [_outlined(step) for step in steps]
    calls: list[Call | int] = []
    at = 0
    while at < len(steps):
        writer.pool.release()
        name = steps[at].name
        written = len(writer.launches)
        done = forms[name](writer, outlined[at : at + AHEAD]) if name in forms else 0
        if writer.before:
            raise NotImplementedError(f"the native form of {name!r} has work for the host")
        if done:
            guarded = [s.run for s in steps[at : at + done] if isinstance(s.run, Guarded)]
            calls += [run.measure for run in guarded]
            calls += range(written, len(writer.launches))
        else:
            calls.append(steps[at].run)
        at += done or 1
    written = len(writer.launches)
    if finish is not None:
        finish(writer)
    launches = _launches(writer)
    found = [launches[call] if isinstance(call, int) else call for call in calls]
    return found, launches[written:]


def _forms() -> dict[str, Lowering]:
    """By primitive: native forms that hand out places and lines only, so that they serve any
    machine, and the GPU's own."""
    every = step_forms()
    return {name: every[name] for name in (*RULES, *COPIES, *NOISE, *LINES)} | OWN


def _outlined(step: NamedStep) -> NamedStep:
    inputs, outputs = (tuple(map(outline, arrays)) for arrays in (step.inputs, step.outputs))
    return dataclasses.replace(step, inputs=inputs, outputs=outputs, scratch=())


def _launches(writer: DeviceWriter) -> list[Launch]:
    """All that was written, as one module."""
    if not writer.launches:
        return []
    made = assemble(list(dict.fromkeys(kernel for kernel, _ in writer.launches)))
    function = kernels_of(made.text)
    return [
        Launch(kernel.name, function(kernel.name), made.blocks[kernel.name], arrays, writer.pool)
        for kernel, arrays in writer.launches
    ]
