"""Every scalar rule as a kernel for CUDA, against NumPy's kernel, in all kinds of layouts."""

import numpy as np
import pytest

from engine.cuda.ptx import MOST_THREADS
from engine.native.lowerings import step_forms
from engine.native.lowerings.elementwise import INITIALS
from engine.native.lowerings.rules import MIXED, RULES  # where they are filled
from engine.ops.half import FORMATS
from tests.engine.cuda.conftest import make_step

EXTREMES = [0.0, -0.0, 1.0, -1.0, 1e-41, -1e-41, 3e38, -3e38, np.inf, -np.inf, np.nan, 88.7, -103.9]
NUMBERS = {
    "clip": {"low": -0.5, "high": 0.7},
    "clip_gradient": {"low": -0.5, "high": None},
    "elu": {"alpha": 0.8},
    "gelu": {"approximate": "none"},
    "hard_tanh": {"low": -1.0, "high": 1.0},
    "hard_tanh_gradient": {"low": -1.0, "high": 1.0},
    "leaky_relu": {"negative_slope": 0.1},
    "leaky_relu_gradient": {"negative_slope": 0.1},
}
"""What rules must be told."""
TWO = [
    "add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "less", "less_equal",
    "equal", "not_equal", "equal_share", "share_of_greater", "relu_gradient", "sigmoid_gradient",
    "tanh_gradient", "leaky_relu_gradient", "clip_gradient", "hard_tanh_gradient",
]  # fmt: skip
ONE = [
    "abs", "clip", "cos", "elu", "erf", "exp", "gelu", "hard_tanh", "leaky_relu", "log", "negative",
    "relu", "sigmoid", "sign", "silu", "sin", "softplus", "sqrt", "stop_gradient", "tanh",
]  # fmt: skip
ALIKE = ["equal_share", *(name for name in TWO if name.endswith("_gradient"))]
"""The first operand has the shape of the result."""
COPIES = ["broadcast_to", "reshape"]


TYPES = {initial: name for name, initial in INITIALS.items()}


def test_the_tests_cover_every_rule():
    step_forms()
    assert {*ONE, *TWO, *COPIES, "where", "cast", "to_half", "from_half"} == set(RULES)


def numbers(rng, shape):
    """Random numbers with extreme ones among them."""
    values = rng.normal(scale=3.0, size=shape).astype(np.float32)
    some = rng.random(shape) < 0.2
    values[some] = rng.choice(EXTREMES, size=int(some.sum()))
    return values


def _agree(found, expected, atol=1e-7):
    for mine, real in zip(found, expected, strict=True):
        assert mine.dtype == real.dtype
        np.testing.assert_allclose(mine, real, rtol=3e-6, atol=atol)


SHAPES = [(1,), (7,), (), (33, 5), (2, 3, 1, 9), (300, 41)]


@pytest.mark.parametrize("name", ONE)
def test_rules_of_one_number(run_steps, rng, name):
    attrs = NUMBERS.get(name, {})
    # Far below zero gelu is the small difference of numbers near 1, by two different ways.
    atol = 1e-6 if name == "gelu" else 1e-7
    for result in run_steps([make_step(name, numbers(rng, s), **attrs) for s in SHAPES]):
        _agree(*result, atol)


@pytest.mark.parametrize("form", FORMATS)
def test_numbers_in_16_bits(run_steps, rng, form):
    wide = [make_step("to_half", numbers(rng, s), format=form) for s in SHAPES]
    bits = [rng.integers(0, 2**16, s).astype(np.uint16) for s in SHAPES]
    for result in run_steps([*wide, *(make_step("from_half", b, format=form) for b in bits)]):
        _agree(*result)


@pytest.mark.parametrize("name", TWO)
def test_rules_of_twonumbers(run_steps, rng, name):
    attrs = NUMBERS.get(name, {})
    pairs = [(numbers(rng, s), numbers(rng, s)) for s in SHAPES]
    for result in run_steps([make_step(name, *pair, **attrs) for pair in pairs]):
        _agree(*result)


PAIRS = [
    ((5, 1, 7), (4, 1)),
    ((1,), (6, 5)),
    ((), (3, 2, 2)),
    ((3, 4, 5), (4, 5)),
    ((3, 4, 5), (3, 1, 1)),
    ((1, 1), (1, 1, 1)),
]


@pytest.mark.parametrize("name", [n for n in TWO if n not in ALIKE])
def test_operands_of_other_shapes_are_broadcast(run_steps, rng, name):
    pairs = [[numbers(rng, shape) for shape in pair] for pair in PAIRS]
    pairs += [pair[::-1] for pair in pairs]
    for result in run_steps([make_step(name, *pair) for pair in pairs]):
        _agree(*result)


@pytest.mark.parametrize("order", [None, (2, 0, 1), (0, 2, 1)], ids=str)
@pytest.mark.parametrize("name", ["exp", "negative"])
def test_any_order_of_axes_in_memory(run_step, rng, name, order):
    for x in (
        numbers(rng, (4, 5, 6)).transpose(2, 0, 1),
        numbers(rng, (7, 9, 8))[1:7, ::2, ::-3],
        np.broadcast_to(numbers(rng, (6, 1, 5)), (6, 4, 5)),
    ):
        _agree(*run_step(name, x, order=order))


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_results_may_lie_where_the_operand_did(run_step, rng, name):
    _agree(*run_step(name, numbers(rng, (33, 7)), in_place=True))


@pytest.mark.parametrize("size", [MOST_THREADS - 1, MOST_THREADS, 2 * MOST_THREADS + 777])
def test_more_elements_than_threads_are_taken_in_turns(run_step, size):
    x = np.arange(size, dtype=np.float32) % 1013
    _agree(*run_step("sqrt", x))


def test_where_and_its_types(run_step, rng):
    for form in MIXED["where"]:
        a, b = (rng.integers(0, 2, (6, 1, 5)).astype(TYPES[form[1]]) for _ in range(2))
        _agree(*run_step("where", rng.random((3, 5)) < 0.5, a, b))


def test_casts(run_step, rng):
    for start, end in (form.split("-") for form in MIXED["cast"]):
        x = rng.integers(0 if start == "u" else -3, 4, (5, 7)).astype(TYPES[start])
        _agree(*run_step("cast", x, dtype=TYPES[end]))


def test_whole_numbers_are_compared_in_all_their_bits(run_step):
    a = np.array([0, 2**53, 2**53 + 1, -1], np.int64)
    _agree(*run_step("equal", a, a[[0, 2, 2, 0]]))


@pytest.mark.parametrize("kind", ["float32", "bool", "int32", "int64"])
def test_copies_of_every_type(run_step, rng, kind):
    x = rng.integers(0, 2, (6, 4)).astype(kind)
    _agree(*run_step("reshape", x, shape=(3, 8)))
    _agree(*run_step("broadcast_to", x[:, None], shape=(6, 3, 4)))
    _agree(*run_step("transpose", x, axes=(1, 0)))
    _agree(*run_step("stop_gradient", x))
    _agree(*run_step("concatenate", x, x[:1], x[2:], axis=0))
    _agree(*run_step("slice", x, parts=((4, -1, -2), (1, 4, 2))))
