"""Averages of weights against their formulas and PyTorch's."""

import numpy as np
import pytest

import engine
from engine import nn, optim
from engine.errors import EngineError


def _moved(model, step):
    for p in model.parameters():
        p.data += np.float32(0.1 * step) * np.ones_like(p.data)


@pytest.mark.torch
@pytest.mark.parametrize("decay", [None, 0.8])
def test_averages_equal_pytorch_s(decay):
    import torch
    from torch.optim import swa_utils

    engine.manual_seed(0)
    model, twin = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    twin.load_state_dict({k: torch.from_numpy(v) for k, v in model.state_dict().items()})
    average = optim.AveragedWeights(model, decay)
    mean = None if decay is None else swa_utils.get_ema_multi_avg_fn(decay)
    theirs = swa_utils.AveragedModel(twin, multi_avg_fn=mean)
    for step in range(6):
        _moved(model, step)
        with torch.no_grad():
            for p in twin.parameters():
                p += 0.1 * step
        average.update()
        theirs.update_parameters(twin)
    trained = model.state_dict()
    with average.applied():
        for name, p in theirs.module.named_parameters():
            np.testing.assert_allclose(
                model.state_dict()[name], p.detach().numpy(), rtol=1e-5, atol=1e-6
            )
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, trained[name])


def test_an_average_goes_on_from_its_saved_state():
    engine.manual_seed(0)
    model = nn.Linear(3, 2)
    first, second = (optim.AveragedWeights(model, 0.9) for _ in range(2))
    for step in range(3):
        _moved(model, step)
        first.update()
    second.load_state_dict(first.state_dict())
    _moved(model, 7)
    for average in (first, second):
        average.update()
    for name, array in first.state_dict()["arrays"].items():
        np.testing.assert_array_equal(array, second.state_dict()["arrays"][name])


def test_the_weights_come_back_after_an_error_and_frozen_ones_stay_in_it():
    model = nn.Linear(3, 2)
    average = optim.AveragedWeights(model)
    average.update()
    model.freeze()
    _moved(model, 1)
    trained = model.state_dict()
    with pytest.raises(RuntimeError), average.applied():
        raise RuntimeError
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, trained[name])


def test_a_state_of_another_model_is_refused():
    average = optim.AveragedWeights(nn.Linear(3, 2))
    other = optim.AveragedWeights(nn.Linear(4, 2)).state_dict()
    with pytest.raises(EngineError, match=r"found \(2, 4\) for 'weight'; expected \(2, 3\)"):
        average.load_state_dict(other)
    del other["arrays"]["bias"]
    with pytest.raises(EngineError, match="found nothing for 'bias'"):
        average.load_state_dict(other)
