"""Schedules against PyTorch's, step by step."""

import pytest

from engine.errors import EngineError
from engine.optim import schedules

STEPS = 40


def _torch_factors(make):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = make(torch.optim.lr_scheduler, optimizer)
    factors = []
    for _ in range(STEPS):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return factors


CASES = {
    "step": (schedules.StepDecay(7, 0.5), lambda s, o: s.StepLR(o, 7, 0.5)),
    "multi-step": (schedules.MultiStep((5, 20), 0.3), lambda s, o: s.MultiStepLR(o, [5, 20], 0.3)),
    "exponential": (schedules.Exponential(0.9), lambda s, o: s.ExponentialLR(o, 0.9)),
    "cosine": (schedules.Cosine(STEPS, 0.1), lambda s, o: s.CosineAnnealingLR(o, STEPS, 0.1)),
    "polynomial": (schedules.Polynomial(30, 2.0), lambda s, o: s.PolynomialLR(o, 30, 2.0)),
    "warm-up": (
        schedules.WarmUp(10, schedules.Cosine(30), 0.1),
        lambda s, o: s.SequentialLR(
            o, [s.LinearLR(o, 0.1, 1.0, 10), s.CosineAnnealingLR(o, 30)], [10]
        ),
    ),
    "one-cycle": (
        schedules.OneCycle(STEPS + 1, 0.25),
        lambda s, o: s.OneCycleLR(o, 1.0, STEPS + 1, pct_start=0.25, cycle_momentum=False),
    ),
}


@pytest.mark.torch
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:The epoch parameter")
def test_schedule_equals_torch(name):
    ours, make = CASES[name]
    found = [ours(step) for step in range(STEPS)]
    assert found == pytest.approx(_torch_factors(make), rel=1e-9, abs=1e-12)


def test_cosine_stays_at_its_floor():
    assert schedules.Cosine(10, 0.2)(10_000) == 0.2


@pytest.mark.torch
@pytest.mark.parametrize("cooldown", [0, 2])
def test_plateau_equals_torch(cooldown):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=2, threshold=0.1, threshold_mode="abs", cooldown=cooldown
    )
    ours = schedules.Plateau(0.5, patience=2, min_delta=0.1, cooldown=cooldown)
    for value in [3, 2, 1.95, 1.94, 1.93, 1.92, 1.0, 1, 1, 1, 1, 1, 1, 1, 1]:
        theirs.step(value)
        assert ours.update(value) == pytest.approx(optimizer.param_groups[0]["lr"])


def test_plateau_goes_on_from_its_state():
    first, second = schedules.Plateau(patience=1), schedules.Plateau(patience=1)
    for value in (1.0, 2.0):
        first.update(value)
    second.load_state_dict(first.state_dict())
    assert first.update(2.0) == second.update(2.0) == 0.1


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.Cosine(0),
        lambda: schedules.Cosine(5, float("nan")),
        lambda: schedules.StepDecay(0),
        lambda: schedules.StepDecay(3, float("inf")),
        lambda: schedules.MultiStep((3,), -1.0),
        lambda: schedules.Exponential(0.0),
        lambda: schedules.Polynomial(5, float("nan")),
        lambda: schedules.WarmUp(5, start=2.0),
        lambda: schedules.OneCycle(5, rise=1.5),
        lambda: schedules.OneCycle(5, start_divisor=0.0),
        lambda: schedules.Plateau(1.5),
        lambda: schedules.Plateau(patience=-1),
        lambda: schedules.Plateau(min_delta=float("nan")),
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(EngineError, match="expected"):
        make()
