"""Plans with native programs: training, determinism, errors, memory."""

import tracemalloc

import numpy as np
import pytest

import engine
from engine.errors import EngineError
from engine.plan import plan as plan_module


def train(plan, batch, steps=8):
    return [plan.train_step(batch)["loss"] for _ in range(steps)]


def same_weights(a, b, tolerance):
    for name, expected in a.state_dict().items():
        found = b.state_dict()[name]
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale, err_msg=name)


OPTIMIZERS = [
    engine.optim.SGD(0.1),
    engine.optim.SGD(0.1, weight_decay=0.01),
    engine.optim.SGD(0.1, momentum=0.9),
    engine.optim.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    engine.optim.Adam(3e-3),
    engine.optim.Adam(3e-3, beta1=0.8, beta2=0.99, epsilon=1e-6, weight_decay=0.01),
    engine.optim.AdamW(3e-3, weight_decay=0.1),
    engine.optim.RMSprop(1e-3),
    engine.optim.RMSprop(1e-3, rho=0.9, momentum=0.9, weight_decay=0.01),
    engine.optim.RMSprop(1e-3, epsilon=1e-2, centered=True, momentum=0.5),
    engine.optim.Adagrad(1e-2),
    engine.optim.Adagrad(1e-2, initial_accumulator=0.1, weight_decay=0.01),
    engine.optim.Adadelta(1.0),
    engine.optim.Adadelta(0.5, rho=0.8, epsilon=1e-5, weight_decay=0.01),
    engine.optim.Adamax(2e-3),
    engine.optim.Adamax(2e-3, beta1=0.8, beta2=0.9, epsilon=1e-5, weight_decay=0.01),
    engine.optim.Nadam(2e-3),
    engine.optim.Nadam(2e-3, beta1=0.8, beta2=0.9, weight_decay=0.01, momentum_decay=0.1),
    engine.optim.Lion(1e-3),
    engine.optim.Lion(1e-3, weight_decay=0.1),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: type(o).__name__)
def test_training_agrees_with_numpy_kernels(mlp, batch_for, optimizer):
    reference, native = mlp(optimizer=optimizer), mlp(optimizer=optimizer)
    batch = batch_for(native, 16)
    assert native.prepare(16)
    native.learning_rate = reference.learning_rate = 0.5 * reference.learning_rate
    assert train(native, batch) == pytest.approx(train(reference, batch), rel=1e-4)
    same_weights(reference, native, 1e-5)
    assert native.optimizer_state_dict()["num_steps"] == 8
    assert native._compiled("train", True, 16).program.updates


def test_batch_norm_state_follows_the_numpy_kernels(cnn, batch_for):
    options = {"norm": True, "optimizer": engine.optim.SGD(0.01)}
    reference, native = cnn(**options), cnn(**options)
    batch = batch_for(native, 8)
    native.prepare(8, ("train", "evaluate", "forward"))
    assert train(native, batch, 3) == pytest.approx(train(reference, batch, 3), rel=1e-4)
    same_weights(reference, native, 1e-5)
    assert native.evaluate(batch) == pytest.approx(reference.evaluate(batch), rel=1e-4)
    np.testing.assert_allclose(
        native.forward(batch)["logits"], reference.forward(batch)["logits"], atol=1e-4
    )


LIMITS = [
    {"clip_norm": 0.1},
    {"clip_norm": 1e9},
    {"clip_value": 0.01},
    {"clip_norm": 0.5, "clip_value": 0.02},
    {"accumulate": 2},
    {"accumulate": 3, "clip_norm": 0.1},
]


@pytest.mark.parametrize("limit", LIMITS, ids=str)
@pytest.mark.parametrize("threads", [1, 2])
def test_limits_on_gradients_hold_in_native_programs(mlp, batch_for, limit, threads):
    options = {"optimizer": engine.optim.Adagrad(1e-2), "num_threads": threads, **limit}
    reference, native = mlp(**options), mlp(**options)
    batch = batch_for(native, 16)
    native.prepare(16)
    assert train(native, batch) == pytest.approx(train(reference, batch), rel=1e-4)
    same_weights(reference, native, 1e-5)
    if "clip_norm" in limit:
        assert native.gradient_norm == pytest.approx(reference.gradient_norm, rel=1e-4)
    assert native.optimizer_state_dict()["num_steps"] == 8 // limit.get("accumulate", 1)


def test_gradients_of_several_batches_are_applied_in_one_native_call(mlp, batch_for, monkeypatch):
    plan = mlp(optimizer=engine.optim.Adam(1e-2), accumulate=2)
    plan.prepare(16)
    monkeypatch.setattr(plan._compiled("train", True, 16), "update", None)  # what NumPy would do
    batch = batch_for(plan, 16)
    before = plan.state_dict()["d1.weight"]
    plan.train_step(batch)
    assert (plan.state_dict()["d1.weight"] == before).all()
    plan.train_step(batch)
    assert (plan.state_dict()["d1.weight"] != before).any()


def test_a_gradient_that_is_no_number_is_not_hidden_by_the_limit(mlp, batch_for):
    plan = mlp(optimizer=engine.optim.SGD(0.1), clip_norm=1.0)
    batch = batch_for(plan, 16)
    plan.prepare(16)
    batch["x"][0, 0] = np.nan
    plan.train_step(batch)
    assert np.isnan(plan.gradient_norm)
    assert np.isnan(plan.state_dict()["d2.bias"]).all()


def test_same_seed_gives_the_same_bytes(cnn, batch_for):
    options = {"norm": True, "rate": 0.3, "optimizer": engine.optim.Adam(1e-3), "num_threads": 2}
    states = []
    for _ in range(2):
        plan = cnn(**options)
        plan.prepare(8)
        train(plan, batch_for(plan, 8))
        states.append(b"".join(a.tobytes() for a in plan.state_dict().values()))
    assert states[0] == states[1]


def working_memory(plan):
    """Bytes that native kernels hold beside the intermediate results, by where they lie."""
    found = {}
    for compiled in plan._programs.values():
        for run in compiled.program._run:
            for array in run._memory:
                whole = array if array.base is None else array.base
                found[id(whole)] = whole.nbytes
    return found


def test_programs_take_turns_with_one_working_memory(cnn, batch_for):
    def build():
        return cnn(norm=True, stride=2, optimizer=engine.optim.Adam(1e-3), num_threads=2)

    sizes = (8, 24, 16)
    alone = [build() for _ in sizes]
    for plan, size in zip(alone, sizes, strict=True):
        plan.prepare(size, ("gradients", "evaluate"))
    shared = build()
    for size in sizes:
        shared.prepare(size, ("gradients", "evaluate"))
    large = {i for i, n in working_memory(shared).items() if n >= 2**20}
    assert len(large) == len({i for i, n in working_memory(alone[1]).items() if n >= 2**20})
    for plan, size in zip(alone, sizes, strict=True):
        batch = batch_for(plan, size)
        shared.load_state_dict(plan.state_dict())
        assert shared.evaluate(batch) == plan.evaluate(batch)
        expected = plan.gradients(batch)[1]
        for name, gradient in shared.gradients(batch)[1].items():
            np.testing.assert_array_equal(gradient, expected[name], err_msg=name)


def test_every_number_of_threads_agrees(cnn, batch_for):
    losses = []
    for count in (1, 2, 3):
        plan = cnn(norm=True, optimizer=engine.optim.SGD(0.01), num_threads=count)
        plan.prepare(5)
        losses.append(train(plan, batch_for(plan, 5), 4))
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert losses[2] == pytest.approx(losses[0], rel=1e-4)


def test_labels_out_of_range_are_refused_and_change_nothing(mlp, batch_for):
    plan = mlp(optimizer=engine.optim.Adam(1e-2))
    plan.prepare(16)
    batch = batch_for(plan, 16)
    before = plan.state_dict()
    with pytest.raises(EngineError, match="7"):
        plan.train_step({**batch, "t": np.full(16, 7)})
    assert all((before[k] == v).all() for k, v in plan.state_dict().items())
    assert plan.optimizer_state_dict()["num_steps"] == 0


def test_native_kernels_can_be_switched_off(mlp, batch_for, monkeypatch):
    monkeypatch.setenv("ENGINE_NATIVE", "off")
    plan = mlp(optimizer=engine.optim.Adam(1e-2))
    assert not plan.prepare(16)
    assert plan.native == frozenset()
    assert np.isfinite(train(plan, batch_for(plan, 16))).all()


def test_prepared_programs_stay_native_when_they_were_forgotten(mlp, batch_for, monkeypatch):
    monkeypatch.setattr(plan_module, "MAX_PROGRAMS", 2)
    plan = mlp(optimizer=engine.optim.SGD(0.1))
    plan.prepare(16)
    for size in (3, 4, 5):
        plan.train_step(batch_for(plan, size))
    plan.train_step(batch_for(plan, 16))
    assert plan.native == {("train", 16)}
    assert plan._compiled("train", True, 16).program.updates


def test_preparing_reports_progress_and_finds_its_code_again(mlp, batch_for, tmp_path, monkeypatch):
    from engine.native import jit

    monkeypatch.setenv("ENGINE_CACHE_DIR", str(tmp_path))
    seen = []
    for _ in range(2):
        jit.store.cache_clear()
        plan = mlp(optimizer=engine.optim.Adam(1e-3))
        plan.prepare(11, progress=lambda done, total: seen.append((done, total)))
        if jit.store().num_compiled:
            assert seen == [(i, len(seen)) for i in range(len(seen))]
    assert jit.store().num_compiled == 0
    # A damaged file is made anew rather than run.
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-7])
    jit.store.cache_clear()
    plan = mlp(optimizer=engine.optim.Adam(1e-3))
    plan.prepare(11)
    assert jit.store().num_compiled > 0
    assert np.isfinite(train(plan, batch_for(plan, 11))).all()


def test_a_step_allocates_nothing_that_stays_or_grows(mlp, batch_for):
    plan = mlp(optimizer=engine.optim.Adam(1e-3))
    plan.prepare(64)
    batch = batch_for(plan, 64)
    train(plan, batch, 5)
    tracemalloc.start()
    try:
        train(plan, batch, 3)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        train(plan, batch, 20)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 4096
    assert peak - before < 16_384
