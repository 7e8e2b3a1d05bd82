"""What is said about names that a reader of PyTorch expects and that do not exist."""

from __future__ import annotations

import copy
import re
from operator import attrgetter
from types import SimpleNamespace

import pytest

import engine
from engine.other_names import NAMES

OWNERS = {
    "Module": engine.nn.ReLU(),
    "Tensor": engine.tensor([1.0]),
    "engine": engine,
    "engine.losses": engine.losses,
    "engine.nn": engine.nn,
    "engine.ops": engine.ops,
    "engine.optim": engine.optim,
}
KNOWN = [(where, name, text) for where, names in NAMES.items() for name, text in names.items()]


def _exists(where: str, path: str) -> bool:
    """Whether it can be reached from the owner, from the operations, or from the top."""
    for owner in (OWNERS[where], engine.ops, SimpleNamespace(engine=engine, nn=engine.nn)):
        try:
            attrgetter(path)(owner)
        except AttributeError:
            continue
        return True
    return False


@pytest.mark.parametrize(("where", "name", "text"), KNOWN)
def test_the_name_is_missing_and_what_is_named_instead_exists(where, name, text):
    with pytest.raises(AttributeError) as caught:
        getattr(OWNERS[where], name)
    assert text in str(caught.value)
    path = re.match(r"([A-Za-z_][\w.]*)(\(|,|$)", text)
    if path:  # the others are an expression or a sentence
        assert _exists(where, path[1]), text


def test_operations_are_found_from_a_tensor_and_from_the_top():
    with pytest.raises(AttributeError, match=r"Tensor has no 'softmax'; use engine.ops.softmax."):
        engine.tensor([1.0]).softmax(0)
    with pytest.raises(AttributeError, match=r"engine has no 'where'; use engine.ops.where."):
        engine.where  # noqa: B018
    with pytest.raises(AttributeError, match=r"'add_': tensors are not changed in place"):
        engine.tensor([1.0]).add_(1.0)
    with pytest.raises(AttributeError, match=r"engine.nn has no 'Nonsense'\."):
        engine.nn.Nonsense  # noqa: B018
    assert not hasattr(engine.tensor([1.0]), "__array_interface__")


def test_names_of_operations_and_the_owner_s_own_name_are_said():
    with pytest.raises(AttributeError, match=r"engine has no 'cat'; use engine.ops.concatenate\."):
        engine.cat  # noqa: B018
    with pytest.raises(AttributeError, match=r"Sequential has no 'cuda'; use to"):
        engine.nn.Sequential().cuda()
    with pytest.raises(AttributeError, match=r"Linear has no 'wieght'\."):
        engine.nn.Linear(2, 2).wieght  # noqa: B018
    assert copy.deepcopy(engine.nn.Linear(2, 2)).weight.shape == (2, 2)


def test_a_keyword_that_is_none_is_answered_with_those_there_are():
    with pytest.raises(TypeError, match="'dim'") as caught:
        engine.ops.softmax(engine.tensor([1.0]), dim=0)
    assert caught.value.__notes__ == ["It takes x, axis."]


def test_a_tensor_is_made_of_an_array():
    with pytest.raises(engine.EngineError, match=r"Tensor found a list; .* engine.tensor makes"):
        engine.Tensor([1.0])
