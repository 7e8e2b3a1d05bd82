import itertools

import pytest

from graphstudio.nodes.shapes import same_pads, window_output
from graphstudio.nodes.spec import build, find_type
from graphstudio.nodes.types import InsertNode, SetParam, ShapeError, TensorType

FLOAT = "float32"


def infer(type_id: str, *shapes, dtypes=(), classes=None, **params):
    node, problems = build(find_type(type_id), params)
    assert node is not None, problems
    kinds = dtypes or (FLOAT,) * len(shapes)
    types = [
        TensorType(("N", *s), k, classes if k == "int64" else None)
        for s, k in zip(shapes, kinds, strict=True)
    ]
    return node.infer(*types)


def refused(*args, **kwargs) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        infer(*args, **kwargs)
    return caught.value


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation"),
    list(itertools.product((4, 5, 7, 8), (1, 2, 3, 5), (1, 2, 3), (1, 2))),
)
def test_same_padding_gives_the_rounded_up_quotient(size, kernel, stride, dilation):
    before, after = same_pads(size, kernel, stride=stride, dilation=dilation)
    positions = window_output(size, kernel, stride=stride, pads=(before, after), dilation=dilation)
    assert positions == -(-size // stride)
    assert 0 <= after - before <= 1  # the odd pixel is at the end


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pads", "dilation"),
    list(itertools.product((5, 8), (1, 2, 3), (1, 2), ((0, 0), (1, 2)), (1, 2))),
)
def test_window_positions_counted_one_by_one(size, kernel, stride, pads, dilation):
    total = size + sum(pads)
    reach = dilation * (kernel - 1) + 1
    counted = sum(1 for start in range(0, total, stride) if start + reach <= total)
    given = window_output(size, kernel, stride=stride, pads=pads, dilation=dilation)
    assert max(given, 0) == counted


@pytest.mark.tensorflow
@pytest.mark.parametrize("size", [7, 8])
def test_same_padding_is_tensorflow_s(size):
    import numpy as np

    from tests.graphstudio.nodes.frameworks import tensorflow_same_conv

    x = np.random.default_rng(0).normal(size=(1, 2, size, size)).astype(np.float32)
    w = np.random.default_rng(1).normal(size=(3, 2, 3, 3)).astype(np.float32)
    expected = tensorflow_same_conv(x, w, stride=2)
    from engine.plan import PlanBuilder

    b = PlanBuilder()
    pads = same_pads(size, 3, stride=2)
    value = b.input("x", ("N", 2, size, size))
    weight = b.parameter("w", (3, 2, 3, 3))
    b.output("y", b.call("conv2d", value, weight, stride=(2, 2), padding=(pads, pads)))
    plan = b.build()
    plan.load_state_dict({"w": w})
    np.testing.assert_allclose(plan.forward({"x": x})["y"], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 3, 4, 5)])
def test_dense_offers_flatten_for_images(shape):
    error = refused("layer.dense", shape)
    assert isinstance(error.fixes[0], InsertNode)
    assert error.fixes[0].type_id == "shape.flatten"


def test_dense_acts_on_the_last_axis():
    assert infer("layer.dense", (5, 16), units=3) == TensorType(("N", 5, 3))


@pytest.mark.parametrize(
    ("shape", "offered"),
    [((784,), (1, 28, 28)), ((28, 28), (1, 28, 28)), ((10,), None), ((), None)],
)
def test_an_image_layer_offers_the_reshape_that_suggests_itself(shape, offered):
    for type_id in ("layer.conv2d", "layer.max_pool2d", "layer.global_average_pool2d"):
        error = refused(type_id, shape)
        found = [f.params["shape"] for f in error.fixes]
        assert found == ([offered] if offered else [])


def test_a_window_larger_than_the_image_offers_padding():
    error = refused("layer.conv2d", (1, 4, 4), kernel_size=[5, 5], padding="valid")
    assert "(5, 5)" in str(error)
    assert error.fixes == (SetParam(error.fixes[0].title, "padding", "same"),)
    assert refused("layer.max_pool2d", (1, 1, 4)).code == "window"


def test_groups_must_divide_the_channels():
    error = refused("layer.conv2d", (3, 8, 8), filters=4, groups=2)
    assert error.fixes[0].value == 1


def test_pads_as_wide_as_the_window_are_refused():
    for type_id in ("layer.max_pool2d", "layer.average_pool2d"):
        node, problems = build(find_type(type_id), {"padding": "explicit", "pads": [2, 0, 0, 0]})
        assert node is None
        assert "smaller than the window" in str(problems[0][1])


@pytest.mark.parametrize(
    ("size", "shape", "expected"),
    [
        ((12,), [3, -1], (3, 4)),
        ((3, 4), [-1], (12,)),
        ((1,), [], ()),
        ((2, 6), [4, 3], (4, 3)),
    ],
)
def test_reshape(size, shape, expected):
    assert infer("shape.reshape", size, shape=shape).sample_shape == expected


@pytest.mark.parametrize("shape", [[5, -1], [11], []])
def test_reshape_that_does_not_fit_offers_one_that_does(shape):
    error = refused("shape.reshape", (12,), shape=shape)
    assert error.fixes[0].value == (12,)


@pytest.mark.parametrize("shape", [[0, 3], [-1, -1], [-2]])
def test_reshape_parameters_that_make_no_sense(shape):
    assert build(find_type("shape.reshape"), {"shape": shape})[0] is None


def test_merges_name_the_input_at_fault():
    error = refused("merge.add", (3,), (3,), (4,), num_inputs=3)
    assert error.port == "c"
    assert "(N, 3)" in str(error)
    assert "(N, 4)" in str(error)


def test_merges_of_different_ranks_offer_no_projection():
    assert refused("merge.add", (3, 8, 8), (3,)).fixes == ()


def test_a_shortcut_can_be_projected_only_to_fewer_pixels():
    error = refused("merge.add", (16, 8, 8), (32, 3, 3))
    assert [(f.port, f.params["stride"]) for f in error.fixes] == [("a", (3, 3))]
    error = refused("merge.add", (16, 9, 8), (16, 7, 8))
    assert error.fixes == ()  # no stride turns 9 rows into 7


def test_concatenate_joins_channels_or_the_last_axis():
    assert infer("merge.concatenate", (3, 4, 4), (5, 4, 4)).shape == ("N", 8, 4, 4)
    assert infer("merge.concatenate", (3, 4), (3, 2), axis="last").shape == ("N", 3, 6)
    assert refused("merge.concatenate", (3, 4, 4), (3, 2, 4)).code == "concatenate-shape"
    assert refused("merge.concatenate", (3,), (3, 2)).code == "concatenate-shape"
    # without its last axis the first one looks like the second
    assert refused("merge.concatenate", (3, 4), (3,), axis="last").port == "b"
    assert refused("merge.concatenate", (), ()).port == "a"


@pytest.mark.parametrize(
    ("prediction", "target", "fix"),
    [((7,), (), "SetProducerSize"), ((10, 4, 4), (), "InsertNode"), ((10, 4), (), None)],
)
def test_scores_must_fit_the_classes(prediction, target, fix):
    for type_id in ("loss.cross_entropy", "metric.accuracy"):
        error = refused(type_id, prediction, target, dtypes=(FLOAT, "int64"), classes=10)
        assert [type(f).__name__ for f in error.fixes] == ([fix] if fix else [])


def test_losses_refuse_targets_of_the_other_kind():
    assert refused("loss.cross_entropy", (3,), ()).code == "dtype"
    assert refused("loss.mse", (3,), (), dtypes=(FLOAT, "int64")).code == "dtype"


@pytest.mark.parametrize(
    "type_id",
    ["layer.dense", "layer.conv2d", "layer.batch_norm", "act.relu", "act.softmax", "layer.dropout"],
)
def test_layers_refuse_class_ids(type_id):
    assert refused(type_id, (3,), dtypes=("int64",), classes=5).code == "dtype"
