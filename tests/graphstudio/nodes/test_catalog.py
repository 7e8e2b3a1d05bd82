"""What every node type promises, tried on each of its cases."""

import inspect
import json
import re
import typing

import numpy as np
import pytest

from graphstudio import i18n
from graphstudio.nodes.optimizers import optimizers
from graphstudio.nodes.spec import NodeType, build, catalog, find_type, params_of
from graphstudio.resources import resource
from tests.graphstudio.nodes.single import cases, make, name_of, single, types_of

ALL = list(catalog().values())
TYPES = [
    "io.input",
    "io.target",
    "layer.dense",
    "layer.conv2d",
    "layer.max_pool2d",
    "layer.average_pool2d",
    "layer.global_average_pool2d",
    "layer.batch_norm",
    "layer.dropout",
    "shape.flatten",
    "shape.reshape",
    "act.relu",
    "act.leaky_relu",
    "act.sigmoid",
    "act.tanh",
    "act.softmax",
    "act.gelu",
    "merge.add",
    "merge.multiply",
    "merge.concatenate",
    "loss.cross_entropy",
    "loss.mse",
    "metric.accuracy",
]
CATEGORIES = {
    "Inputs",
    "Layers",
    "Convolution",
    "Pooling",
    "Normalisation",
    "Regularisation",
    "Activations",
    "Merge",
    "Shape",
    "Losses",
    "Metrics",
}

each_type = pytest.mark.parametrize("cls", ALL, ids=name_of)
each_case = pytest.mark.parametrize(("cls", "case"), cases(), ids=name_of)


def test_the_catalogue_has_all_its_types():
    assert sorted(catalog()) == sorted(TYPES)


@each_type
def test_a_type_describes_itself(cls):
    assert cls.cases
    assert cls.category in CATEGORIES
    assert cls.role in typing.get_args(typing.get_type_hints(NodeType)["role"].__args__[0])
    doc = inspect.getdoc(cls)
    assert doc.splitlines()[0].endswith(".")
    for param in params_of(cls):
        assert param.doc.endswith(".")
        assert param.problem(param.default) is None
    assert resource("icons", "nodes", f"{cls.type_id}.svg").is_file()


@each_type
def test_chinese_users_can_read_and_find_it(cls):
    texts = [cls.label, cls.category, inspect.getdoc(cls).splitlines()[0]]
    texts += [text for p in params_of(cls) for text in (p.label, p.doc)]
    texts += [p.label for p in (*cls().input_ports(), *cls().output_ports())]
    known = i18n.catalogue("zh")
    assert [t for t in texts if t not in known] == []
    assert any(re.search("[\u4e00-\u9fff]", word) for word in cls.keywords)


def test_short_codes_belong_to_one_type_each():
    codes = [k for cls in ALL for k in cls.keywords if len(k) <= 3 and k.isascii()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(("cls", "case"), cases(fed=False), ids=name_of)
def test_parameters_survive_json(cls, case):
    node = make(cls, case)
    values = {p.name: getattr(node, p.name) for p in params_of(cls)}
    again, problems = build(cls, json.loads(json.dumps(values)))
    assert problems == []
    assert again == node
    assert hash(again) == hash(node)


@each_case
def test_inferred_type_is_the_engine_s(cls, case):
    one = single(cls, case)
    inferred = one.node.infer(*types_of(case))
    y = one.plan.forward(one.arrays)["y"]
    batch = case.inputs[0][0]
    assert y.shape == tuple(batch if d == "N" else d for d in inferred.shape)
    assert y.dtype == inferred.dtype
    assert np.isfinite(y).all()


@each_case
def test_declared_parameters_are_those_of_the_engine(cls, case):
    one = single(cls, case)
    declared = one.node.parameters(*types_of(case))
    assert {f"node.{name}": shape for name, shape in declared.items()} == one.shapes


@each_case
def test_a_case_gives_a_summary_and_a_cost(cls, case):
    node = make(cls, case)
    inputs = types_of(case)
    output = node.infer(*inputs)
    assert len(node.summary()) <= 24
    assert node.num_flops(inputs, [output]) >= 0
    assert len(node.input_ports()) == len(inputs)
    names = [p.name for p in (*node.input_ports(), *node.output_ports())]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("cls", "case"),
    [(cls, case) for cls, case in cases() if cls.role != "metric"],
    ids=name_of,
)
def test_gradients_agree_with_finite_differences(cls, case):
    one = single(cls, case, scaled=True)
    training = cls.type_id == "layer.batch_norm"  # dropout: only inference is not random
    _, gradients = one.plan.gradients(one.arrays, training=training)
    rng = np.random.default_rng(2)
    for name, gradient in gradients.items():
        assert np.isfinite(gradient).all()
        flat = gradient.reshape(-1)
        scale = max(np.abs(flat).max(), 1e-3)
        for index in rng.choice(flat.size, min(4, flat.size), replace=False):
            numeric = slope(one, name, index, training)
            assert abs(numeric - flat[index]) <= 0.03 * scale, (name, index)


def slope(one, name, index, training, step=1e-2):
    """Central difference of the loss along one weight."""
    start = {k: np.array(v) for k, v in one.plan.state_dict().items()}
    losses = []
    for sign in (1.0, -1.0):
        changed = {k: np.array(v) for k, v in start.items()}
        changed[name].reshape(-1)[index] += sign * step
        one.plan.load_state_dict(changed)
        losses.append(one.plan.gradients(one.arrays, training=training)[0]["loss"])
    one.plan.load_state_dict(start)
    return (losses[0] - losses[1]) / (2 * step)


@each_type
def test_a_type_is_found_by_its_id(cls):
    assert find_type(cls.type_id) is cls


def test_unknown_types_are_none():
    assert find_type("layer.warp") is None


@pytest.mark.parametrize("cls", list(optimizers().values()), ids=lambda c: c.kind)
def test_optimisers_are_those_of_the_engine(cls):
    import engine

    made = getattr(engine.optim, cls.engine_name)
    accepted = inspect.signature(made).parameters
    assert {p.name for p in params_of(cls)} <= accepted.keys()
    for param in params_of(cls):
        assert param.problem(param.default) is None
    known = i18n.catalogue("zh")
    assert [p.doc for p in params_of(cls) if p.doc not in known] == []
