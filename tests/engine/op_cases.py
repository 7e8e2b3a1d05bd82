"""One call, or several, of every operation: what the tests that go over all of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Rng = np.random.Generator


@dataclass(frozen=True)
class Case:
    """A call of ``engine.ops.<op>``.

    ``make`` draws the operands; arrays whose place is in ``batched`` have the batch as first axis.
    """

    op: str
    make: Callable[[Rng], list[Any]]
    attrs: dict[str, Any] = field(default_factory=dict)
    batched: tuple[int, ...] = (0,)
    name: str = ""
    differentiable: bool = True
    random: bool = False
    """Draws random numbers: the same seed must give the same ones."""

    def __str__(self) -> str:
        return self.name or self.op


def normal(*shapes: tuple[int, ...]) -> Callable[[Rng], list[Any]]:
    """Normally distributed float64 arrays."""
    return lambda rng: [rng.normal(size=shape) for shape in shapes]


def positive(*shapes: tuple[int, ...]) -> Callable[[Rng], list[Any]]:
    """Arrays of numbers from 0.3 to 2."""
    return lambda rng: [rng.uniform(0.3, 2.0, size=shape) for shape in shapes]


def apart(*shapes: tuple[int, ...]) -> Callable[[Rng], list[Any]]:
    """Numbers all different and away from 0, 1, 3 and 6, where some slopes jump."""

    def draw(rng: Rng) -> list[Any]:
        made = []
        for shape in shapes:
            count = int(np.prod(shape))
            values = np.linspace(-2.9, 2.87, count) + 0.013
            made.append(rng.permutation(values).reshape(shape))
        return made

    return draw


def ids(high: int, *shape: int) -> Callable[[Rng], Any]:
    """Whole numbers below ``high``."""
    return lambda rng: rng.integers(0, high, shape)


def with_ids(arrays: Callable[[Rng], list[Any]], *numbers: Any) -> Callable[[Rng], list[Any]]:
    """Float arrays, then arrays of whole numbers."""
    return lambda rng: [*arrays(rng), *(draw(rng) for draw in numbers)]


IMAGE = (2, 4, 6, 5)
MAPS = normal(IMAGE)

CASES = [
    *(
        Case(op, apart((3, 4)))
        for op in (
            "abs", "cos", "elu", "erf", "exp", "gelu", "hard_sigmoid", "hard_swish", "hard_tanh",
            "leaky_relu", "log_sigmoid", "mish", "negative", "relu", "relu6", "selu", "sigmoid",
            "silu", "sin", "softplus", "softsign", "square", "tanh",
        )
    ),
    Case("gelu", apart((3, 4)), {"approximate": "tanh"}, name="gelu by tanh"),
    Case("log", positive((3, 4))),
    Case("sqrt", positive((3, 4))),
    Case("sign", apart((3, 4)), differentiable=False),
    Case("clip", apart((3, 4)), {"low": -0.7, "high": 1.1}),
    Case("threshold", apart((3, 4)), {"limit": 0.4, "value": -1.0}),
    Case("glu", normal((3, 6))),
    Case("prelu", apart((3, 4, 2), (4,))),
    *(
        Case(op, normal((3, 1, 4), (2, 4)))
        for op in ("add", "subtract", "multiply", "maximum", "minimum")
    ),
    Case("divide", positive((3, 4), (4,))),
    Case("power", positive((3, 4), (4,))),
    Case(
        "where",
        lambda rng: [rng.uniform(size=(3, 4)) < 0.5, *normal((3, 4), (4,))(rng)],
        batched=(0, 1),
    ),
    *(
        Case(
            op,
            lambda rng: [np.round(rng.normal(size=(3, 4))), np.array([0.0, 1.0, -1.0, np.nan])],
            differentiable=False,
        )
        for op in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
    ),
    *(
        Case(
            op,
            lambda rng, count=count: [
                rng.uniform(size=s) < 0.5 for s in ((3, 4, 2), (4, 1))[:count]
            ],
            differentiable=False,
        )
        for op, count in (("logical_and", 2), ("logical_or", 2), ("logical_not", 1))
    ),
    *(
        Case(
            op,
            lambda rng: [rng.uniform(size=(3, 4, 2)) < 0.7],
            {"axis": 2},
            differentiable=False,
        )
        for op in ("any", "all")
    ),
    Case("cast", normal((3, 4)), {"dtype": "int64"}, differentiable=False),
    Case("argmax", normal((3, 4)), {"axis": 1}, differentiable=False),
    Case("argmin", normal((3, 4)), {"axis": 1}, differentiable=False),
    *(
        Case(op, normal((3, 4, 2)), {"axis": (1, 2)})
        for op in ("sum", "mean", "var", "std", "logsumexp")
    ),
    *(Case(op, apart((3, 4, 2)), {"axis": (1, 2)}) for op in ("max", "min")),
    *(Case(op, normal((3, 4, 2)), {"axis": 1}) for op in ("softmax", "log_softmax")),
    Case("cumsum", normal((3, 4, 2)), {"axis": 1}),
    Case("argsort", apart((3, 4, 2)), {"axis": 1}, differentiable=False),
    Case("sort", apart((3, 4, 2)), {"axis": 1, "descending": True}),
    Case("topk", apart((3, 5, 2)), {"k": 2, "axis": 1}),
    Case("prod", normal((3, 4, 2)), {"axis": 1}),
    Case("norm", normal((3, 4, 2)), {"axis": (1, 2)}),
    Case("matmul", normal((3, 2, 4), (4, 5))),
    Case("matmul", normal((3, 4), (5, 4)), {"transpose_b": True}, name="matmul transposed"),
    Case("broadcast_to", normal((3, 1, 4)), {"shape": (3, 2, 4)}),
    Case("reshape", normal((3, 4)), {"shape": (-1, 2)}),
    Case("flatten", MAPS),
    Case("transpose", normal((3, 4, 2)), {"axes": (0, 2, 1)}),
    Case("swapaxes", lambda rng: [rng.normal(size=(3, 4, 2)), 1, 2]),
    Case("squeeze", normal((3, 1, 2)), {"axis": 1}),
    Case("unsqueeze", normal((3, 2)), {"axis": 1}),
    Case("slice", normal((3, 6)), {"key": (slice(None), slice(1, 6, 2))}),
    Case("concatenate", normal((3, 4), (3, 2)), batched=(0, 1)),
    Case("stack", normal((3, 4), (3, 4)), {"axis": 1}, batched=(0, 1)),
    Case("split", normal((3, 4)), {"sections": 2}),
    Case("pad", normal((3, 4)), {"padding": ((0, 0), (1, 2)), "value": 0.5}),
    *(
        Case("pad", normal((3, 4)), {"padding": ((0, 0), (1, 3)), "mode": mode}, name=f"pad {mode}")
        for mode in ("reflect", "edge", "wrap")
    ),
    Case("flip", normal((3, 4, 2)), {"axis": (1, 2)}),
    Case("roll", normal((3, 4, 2)), {"shift": (-1, 3), "axis": (1, 2)}),
    Case("tile", normal((3, 2)), {"repeats": (1, 3)}),
    Case("einsum", normal((3, 2, 4), (4, 5))),
    Case("embedding", lambda rng: [rng.integers(0, 4, (3, 2)), rng.normal(size=(4, 3))]),
    Case(
        "embedding",
        lambda rng: [rng.integers(0, 4, (3, 2)), rng.normal(size=(4, 3))],
        {"padding_idx": 1},
        name="embedding with a padding row",
    ),
    Case("gather", with_ids(normal((3, 4)), ids(4, 3, 2)), {"axis": 1}, batched=(0, 1)),
    Case(
        "scatter_add",
        lambda rng: [
            rng.normal(size=(3, 4, 2)), rng.integers(0, 4, (3, 5, 2)), rng.normal(size=(3, 5, 2)),
        ],
        {"axis": 1},
        batched=(0, 1, 2),
    ),
    Case("take", with_ids(normal((3, 4, 2)), ids(4, 2, 3)), {"axis": 1}),
    Case("one_hot", lambda rng: [rng.integers(0, 4, 3)], {"num_classes": 4}, differentiable=False),
    Case("stop_gradient", normal((3, 4)), differentiable=False),
    Case("conv1d", normal((2, 3, 7), (4, 3, 3), (4,)), {"stride": 2, "padding": 1}),
    Case("conv2d", normal(IMAGE, (6, 4, 3, 2), (6,)), {"stride": (2, 1), "padding": 1}),
    Case("conv2d", normal(IMAGE, (6, 2, 3, 3)), {"groups": 2}, name="conv2d in groups"),
    Case("conv2d", normal(IMAGE, (8, 1, 2, 3)), {"groups": 4}, name="conv2d depthwise"),
    Case("conv2d", normal(IMAGE, (3, 4, 2, 2)), {"dilation": 2}, name="conv2d dilated"),
    Case("conv2d", normal(IMAGE, (3, 4, 1, 1)), name="conv2d pointwise"),
    Case("conv3d", normal((2, 2, 3, 3, 4), (2, 2, 2, 2, 2)), {"padding": 1}),
    Case("conv_transpose1d", normal((2, 3, 4), (3, 2, 3)), {"stride": 2, "output_padding": 1}),
    Case(
        "conv_transpose2d",
        normal((2, 4, 3, 3), (4, 2, 3, 3), (4,)),
        {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2},
    ),
    Case("conv_transpose3d", normal((1, 2, 2, 2, 3), (2, 2, 2, 2, 2)), {"stride": 2}),
    Case("max_pool1d", normal((2, 3, 7)), {"kernel_size": 3, "stride": 2, "padding": 1}),
    Case("max_pool2d", MAPS, {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    Case("max_pool3d", normal((2, 2, 4, 3, 4)), {"kernel_size": 2, "stride": 1}),
    Case("average_pool1d", normal((2, 3, 7)), {"kernel_size": 3, "stride": 2, "padding": 1}),
    Case("average_pool2d", MAPS, {"kernel_size": 3, "stride": 2, "padding": 1}),
    Case(
        "average_pool2d",
        MAPS,
        {"kernel_size": 3, "padding": 1, "count_include_pad": False, "ceil_mode": True},
        name="average_pool2d without padding",
    ),
    Case(
        "average_pool2d",
        MAPS,
        {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
        name="average_pool2d beyond the padding",
    ),
    Case("average_pool3d", normal((2, 2, 4, 3, 4)), {"kernel_size": 2, "stride": 1}),
    Case("global_average_pool", MAPS),
    Case("global_max_pool", MAPS),
    Case("adaptive_average_pool1d", normal((2, 3, 7)), {"size": 3}),
    Case("adaptive_average_pool2d", MAPS, {"size": (4, 2)}),
    Case("adaptive_max_pool1d", normal((2, 3, 7)), {"size": 3}),
    Case("adaptive_max_pool2d", MAPS, {"size": (4, 2)}),
    Case("resize", MAPS, {"size": (4, 7), "mode": "bilinear"}),
    Case("resize", MAPS, {"size": (4, 7)}, name="resize to the nearest"),
    Case("upsample", MAPS, {"scale": 2}),
    Case("pixel_shuffle", MAPS, {"factor": 2}),
    Case("unfold", MAPS, {"kernel_size": (3, 2), "stride": 2, "padding": 1}),
    Case(
        "fold", normal((2, 12, 12)), {"size": (6, 5), "kernel_size": 2, "stride": 2, "padding": 1}
    ),
    Case(
        "batch_norm",
        lambda rng: [*normal(IMAGE, (4,), (4,))(rng), np.zeros(4), np.ones(4)],
        {"training": True},
    ),
    Case(
        "batch_norm",
        lambda rng: [*normal(IMAGE, (4,), (4,))(rng), rng.normal(size=4), np.ones(4)],
        {"training": False},
        name="batch_norm in inference",
    ),
    Case("layer_norm", normal((3, 2, 4), (2, 4), (2, 4)), {"num_axes": 2}),
    Case("group_norm", lambda rng: [rng.normal(size=IMAGE), 2, *normal((4,), (4,))(rng)]),
    Case("instance_norm", normal(IMAGE, (4,), (4,))),
    Case("rms_norm", normal((3, 4), (4,))),
    Case("l2_normalize", normal((3, 4))),
    Case("local_response_norm", MAPS, {"size": 3, "alpha": 0.5}),
    Case("rnn", normal((3, 4, 2), (3, 2), (3, 3), (3,))),
    Case("lstm", normal((3, 4, 2), (12, 2), (12, 3), (12,), (3, 3), (3, 3)), batched=(0, 4, 5)),
    Case("gru", normal((3, 4, 2), (9, 2), (9, 3), (9,), (9,), (3, 3)), batched=(0, 5)),
    Case(
        "lstm",
        lambda rng: [
            *normal((3, 4, 2), (12, 2), (12, 3))(rng), None, None, None, np.array([4, 1, 3])
        ],
        {"reverse": True},
        batched=(0, 6),
        name="lstm with lengths",
    ),
    Case(
        "gru",
        lambda rng: [
            *normal((3, 4, 2), (9, 2), (9, 3))(rng), None, None, None, np.array([4, 1, 3])
        ],
        batched=(0, 6),
        name="gru with lengths",
    ),
    Case("rnn_cell", normal((3, 4), (3, 2), (2, 4), (2, 2), (2,)), batched=(0, 1)),
    Case("lstm_cell", normal((3, 4), (3, 2), (3, 2), (8, 4), (8, 2), (8,)), batched=(0, 1, 2)),
    Case("gru_cell", normal((3, 4), (3, 2), (6, 4), (6, 2), (6,), (6,)), batched=(0, 1)),
    Case(
        "scaled_dot_product_attention",
        normal((2, 3, 4), (2, 3, 4), (2, 3, 2)),
        {"is_causal": True},
        batched=(0, 1, 2),
    ),
    Case(
        "multi_head_attention",
        lambda rng: [
            *normal((2, 3, 4), (2, 5, 4), (2, 5, 4), (12, 4), (12,), (4, 4), (4,))(rng), 2,
            np.tile(np.array([True, True, False, True, False]), (2, 1, 3, 1)),
        ],
        batched=(0, 1, 2, 8),
    ),
    Case("sinusoidal_positions", normal((2, 3, 4)), differentiable=False),
    Case("rotary_positions", normal((2, 3, 4))),
    Case("gumbel_softmax", normal((3, 4)), {"temperature": 0.7}, random=True),
    Case(
        "gumbel_softmax",
        normal((3, 4, 2)),
        {"axis": 1, "hard": True},
        random=True,
        differentiable=False,
        name="gumbel_softmax of one class",
    ),
    Case("alpha_dropout", normal((3, 40)), {"rate": 0.4, "training": True}, random=True),
    Case("dropout", normal((3, 40)), {"rate": 0.4, "training": True}, random=True),
    Case("drop_path", normal((40, 3)), {"rate": 0.4, "training": True}, random=True),
    Case("spatial_dropout", MAPS, {"rate": 0.4, "training": True}, random=True),
    Case("gaussian_noise", normal((3, 4)), {"std": 0.4, "training": True}, random=True),
    Case("reparameterize", normal((3, 4), (3, 4)), {"training": True}, (0, 1), random=True),
    Case("random_normal_like", normal((3, 4)), random=True, differentiable=False),
    Case("random_uniform_like", normal((3, 4)), random=True, differentiable=False),
    Case(
        "cross_entropy",
        with_ids(normal((3, 4, 2)), ids(4, 3, 2)),
        {"label_smoothing": 0.1},
        batched=(0, 1),
    ),
    Case(
        "weighted_cross_entropy",
        lambda rng: [rng.normal(size=(3, 4)), np.array([1, -100, 3]), rng.uniform(0.3, 2.0, 4)],
        {"label_smoothing": 0.1},
        batched=(0, 1),
    ),
    Case(
        "ctc",
        lambda rng: [
            rng.normal(size=(3, 5, 4)), np.array([[1, 1], [2, 3], [3, 0]]),
            np.array([5, 3, 4]), np.array([2, 2, 1]),
        ],
        batched=(0, 1, 2, 3),
    ),
    Case("accuracy", with_ids(normal((3, 4)), ids(4, 3)), batched=(0, 1), differentiable=False),
    *(
        Case(op, normal((3, 4), (3, 4)), batched=(0, 1))
        for op in ("mse", "mae", "huber", "hinge", "cosine_distance", "dice", "iou", "kl_normal")
    ),
    Case("binary_cross_entropy", normal((3, 4), (3, 4)), {"pos_weight": 2.0}, batched=(0, 1)),
    Case("kl_divergence", positive((3, 4), (3, 4)), batched=(0, 1)),
    Case(
        "contrastive",
        lambda rng: [*normal((3, 4), (3, 4))(rng), np.array([0.0, 1.0, 0.0])],
        {"margin": 4.0},
        batched=(0, 1, 2),
    ),
    Case(
        "cosine_embedding",
        lambda rng: [*normal((3, 4), (3, 4))(rng), np.array([0.0, 1.0, 0.0])],
        {"margin": -0.9},
        batched=(0, 1, 2),
    ),
    Case(
        "focal",
        lambda rng: [rng.normal(size=(3, 4)), rng.uniform(size=(3, 4))],
        {"gamma": 1.5, "alpha": 0.3},
        batched=(0, 1),
    ),
    Case("triplet", normal((3, 4), (3, 4), (3, 4)), {"margin": 4.0}, batched=(0, 1, 2)),
]  # fmt: skip


def operands(case: Case, arrays: list[Any], lift: Callable[[Any], Any]) -> list[Any]:
    """What to call the operation with: arrays lifted, the formula of an einsum put in front."""
    lifted = [lift(a) if isinstance(a, np.ndarray) else a for a in arrays]
    return ["bij,jk->bk", *lifted] if case.op == "einsum" else lifted


def parts(result: Any) -> list[Any]:
    """The results as a list."""
    return list(result) if isinstance(result, tuple) else [result]
