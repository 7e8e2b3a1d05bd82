"""What a warp does with a line: softmax, standardisation, the losses; and noise by place."""

import math

import numpy as np
import pytest

from engine.cuda.emit import LANES
from engine.cuda.program import lower
from engine.cuda.sums import CHUNK, FEWEST_ROWS, MOST_PARTS
from tests.engine.cuda.conftest import make_step

SIZES = [1, 2, 5, LANES - 1, LANES, LANES + 1, 3 * LANES + 7, 1000]


def _agree(found, expected, rtol=2e-6, atol=1e-6):
    for mine, real in zip(found, expected, strict=True):
        assert mine.dtype == real.dtype
        np.testing.assert_allclose(mine, real, rtol=rtol, atol=atol)


def _normal(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_lines_of_any_length(run_step, rng, name, size):
    x = 5 * _normal(rng, 9, size)
    x[2, size // 2] = np.nan
    x[3, :] = -np.inf
    x[4, -1] = 300.0
    _agree(*run_step(name, x, axis=1))
    _agree(*run_step(name, x[4:], axis=1, in_place=True))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("order", [None, (1, 2, 0)], ids=str)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_along_any_axis_of_any_memory(run_step, rng, name, axis, order):
    x = _normal(rng, 6, 40, 5)
    x = x if order is None else np.ascontiguousarray(x.transpose(order)).transpose(2, 0, 1)
    assert x.shape == (6, 40, 5)
    _agree(*run_step(name, x, axis=axis, order=order))


@pytest.mark.parametrize("size", SIZES)
def test_the_gradient_of_softmax(run_step, rng, size):
    y = rng.dirichlet(np.ones(size), 9).astype(np.float32)
    _agree(*run_step("softmax_gradient", _normal(rng, 9, size), y, axis=1))
    _agree(*run_step("softmax_gradient", _normal(rng, size, 4), y[:4].T.copy(), axis=0))


@pytest.mark.parametrize("size", SIZES)
def test_standardisation_and_its_gradient(run_step, rng, size):
    x = 100.0 + _normal(rng, 9, size)
    found, expected = run_step("standardize", x, epsilon=1e-5)
    # The deviation around a mean of 100 keeps as many digits as float32 sums do.
    _agree(found, expected, rtol=2e-5 if size > 1 else 2e-6, atol=2e-4)
    y, inverse = expected
    _agree(*run_step("standardize_gradient", _normal(rng, 9, size), y, inverse), atol=2e-5)


@pytest.mark.parametrize("order", [None, (1, 0)], ids=str)
def test_products_of_all_others(run_step, rng, order):
    _agree(*run_step("prod_of_others", _normal(rng, 7, 9), axis=1, order=order))


MANY = FEWEST_ROWS * MOST_PARTS + 5
HEIGHTS = [1, 2, FEWEST_ROWS, FEWEST_ROWS + 1, 5 * FEWEST_ROWS + 7]


@pytest.mark.parametrize("columns", [1, 2, LANES, LANES + 1, 100])
def test_sums_of_rows(run_steps, rng, columns):
    shapes = [(rows, columns) for rows in HEIGHTS]
    if columns == 2:
        shapes.append((MANY, columns))
    steps = [make_step("sum", _normal(rng, *s), axes=(0,), keepdims=False) for s in shapes]
    for step, (found, _) in zip(steps, run_steps(steps), strict=True):
        exact = step.inputs[0].host.astype(np.float64)
        # A sum is as exact as its terms are great.
        bound = 1e-6 * np.abs(exact).sum(axis=0)
        assert (np.abs(found[0] - exact.sum(axis=0)) <= bound).all()


@pytest.mark.parametrize("size", [1, 31, CHUNK, CHUNK + 1, CHUNK * CHUNK + 3])
def test_the_sum_of_everything(run_step, rng, size):
    x = _normal(rng, size)
    found, _ = run_step("sum", x, axes=(0,), keepdims=False)
    assert found[0] == np.float32(x.sum(dtype=np.float64))


@pytest.mark.parametrize("shape", [(4, 3), (3, 33, 5, 4), (70, 7, 3, 3)], ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
def test_batch_norm_and_its_gradient(run_step, rng, shape, channels_last):
    order = (0, *range(2, len(shape)), 1) if channels_last else None

    def laid(x):
        return (
            x
            if order is None
            else np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
        )

    x, g = laid(3.0 + _normal(rng, *shape)), laid(_normal(rng, *shape))
    gamma, beta = _normal(rng, shape[1]), _normal(rng, shape[1])
    found, expected = run_step("batch_norm_training", x, gamma, beta, epsilon=1e-5, order=order)
    _agree(found, expected, rtol=1e-5, atol=1e-5)
    _, mean, var = expected
    _agree(
        *run_step("batch_norm_gradient", x, gamma, mean, var, g, epsilon=1e-5, order=order),
        rtol=2e-5,
        atol=2e-5,
    )


KEY = np.array([7, 2**32 - 5], np.uint32)


@pytest.mark.parametrize("mask_shape", [(6, 5, 7), (6, 1, 7), (1, 5, 1)], ids=str)
@pytest.mark.parametrize("order", [None, (0, 2, 1)], ids=str)
def test_dropout_draws_what_the_cpu_draws(run_step, rng, mask_shape, order):
    x = _normal(rng, 6, 5, 7)
    x = x if order is None else np.ascontiguousarray(x.transpose(order)).transpose(order)
    found, expected = run_step("dropout", x, KEY, rate=0.3, mask_shape=mask_shape, order=order)
    np.testing.assert_array_equal(found[0], expected[0])
    assert 0.1 < np.mean(found[0] == 0) < 0.6


def test_random_arrays_are_the_cpus(run_step):
    found, expected = run_step("random_uniform", KEY, shape=(33, 70), dtype="float32")
    np.testing.assert_array_equal(found[0], expected[0])
    _agree(*run_step("random_normal", KEY, shape=(33, 70), dtype="float32"), atol=4e-6)


def _logits(rng, shape, kind, ignore):
    """Logits with their labels, some of which are to be ignored."""
    logits = 3 * _normal(rng, *shape)
    labels = rng.integers(0, shape[1], (shape[0], *shape[2:])).astype(kind)
    labels[rng.random(labels.shape) < 0.3] = ignore
    labels.flat[0] = 0
    return logits, labels


ROWS = [(1, 1), (4, 3), (64, 10), (5, LANES), (7, 1000), (CHUNK, 3), (CHUNK + 1, 2), (3, 4, 5, 6)]
FORMS = [("int64", -100, 0.0), ("int32", 0, 0.0), ("uint8", 2, 0.1), ("int64", -1, 0.25)]


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("shape", ROWS, ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
def test_cross_entropy_and_its_gradient(run_step, rng, shape, form, channels_last):
    kind, ignore, smoothing = form
    logits, labels = _logits(rng, shape, kind, ignore)
    order = None
    if channels_last:
        order = (0, *range(2, len(shape)), 1)
        logits = np.ascontiguousarray(logits.transpose(order)).transpose(np.argsort(order))
    attrs = {"label_smoothing": smoothing, "ignore_index": ignore}
    found, expected = run_step("cross_entropy", logits, labels, **attrs)
    _agree(found, expected)
    assert math.isfinite(found[0])
    slope = np.float32(0.7)
    for in_place in (False, True):
        found, real = run_step(
            "cross_entropy_gradient",
            np.ascontiguousarray(expected[1]) if order is None else logits,
            labels,
            slope,
            in_place=in_place,
            order=order,
            **attrs,
        )
        _agree(found, real)


def test_a_batch_of_ignored_labels_loses_nothing(run_step, rng):
    attrs = {"label_smoothing": 0.0, "ignore_index": -100}
    labels = np.full(9, -100)
    found, expected = run_step("cross_entropy", _normal(rng, 9, 4), labels, **attrs)
    assert found[0] == expected[0] == 0.0
    p = rng.dirichlet(np.ones(4), 9).astype(np.float32)
    found, _ = run_step("cross_entropy_gradient", p, labels, np.float32(1.0), **attrs)
    assert not found[0].any()


def test_a_label_out_of_range_reads_nothing_outside_its_row(driver, rng):
    """It is told by who runs the program; the numbers do not matter, but memory does."""
    logits, labels = _normal(rng, 3, 4), np.array([0, 2**40, -7])
    attrs = {"label_smoothing": 0.0, "ignore_index": -100}
    step = make_step("cross_entropy", logits, labels, **attrs)
    for call in lower([step])[0]:
        call()
    lost, p = (array.host for array in step.outputs)
    assert np.isfinite(lost)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-6)


def test_accuracy_with_ties_and_numbers_that_are_none(run_step, rng):
    logits = rng.integers(0, 3, (3 * CHUNK, 5)).astype(np.float32)
    logits[rng.random(logits.shape) < 0.1] = np.nan
    labels = rng.integers(-1, 6, 3 * CHUNK)
    for rows in (1, 37, CHUNK, CHUNK + 1, CHUNK + 9, 3 * CHUNK):
        found, expected = run_step("accuracy", logits[:rows], labels[:rows])
        assert found[0] == expected[0]
