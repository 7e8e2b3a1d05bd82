"""All operations, by name. The same functions work on tensors and inside a plan."""

from typing import TYPE_CHECKING, Any

from engine.ops.alpha_dropout import alpha_dropout
from engine.ops.arithmetic import add, divide, maximum, minimum, multiply, power, subtract
from engine.ops.attention import (
    multi_head_attention,
    scaled_dot_product_attention,
    sinusoidal_positions,
)
from engine.ops.batch_norm import batch_norm
from engine.ops.cells import gru_cell, lstm_cell, rnn_cell
from engine.ops.compare import (
    accuracy,
    argmax,
    argmin,
    cast,
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    not_equal,
    where,
)
from engine.ops.conv import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from engine.ops.ctc import ctc
from engine.ops.cumsum import cumsum
from engine.ops.dropout import drop_path, dropout, spatial_dropout
from engine.ops.einsum import einsum, norm, prod
from engine.ops.flip import flip, roll
from engine.ops.gather import embedding, gather, one_hot
from engine.ops.gru import gru
from engine.ops.gumbel import gumbel_softmax
from engine.ops.index import take
from engine.ops.local_response_norm import local_response_norm
from engine.ops.logic import all_ as all
from engine.ops.logic import any_ as any
from engine.ops.logic import logical_and, logical_not, logical_or
from engine.ops.loss import cross_entropy, mse
from engine.ops.lstm import lstm
from engine.ops.matmul import matmul
from engine.ops.noise import gaussian_noise, random_normal_like, random_uniform_like, reparameterize
from engine.ops.objectives import (
    binary_cross_entropy,
    contrastive,
    cosine_distance,
    cosine_embedding,
    dice,
    focal,
    hinge,
    huber,
    iou,
    kl_divergence,
    kl_normal,
    mae,
    triplet,
    weighted_cross_entropy,
)
from engine.ops.pad import pad
from engine.ops.piecewise import (
    glu,
    hard_sigmoid,
    hard_swish,
    hard_tanh,
    log_sigmoid,
    mish,
    prelu,
    relu6,
    selu,
    softsign,
    threshold,
)
from engine.ops.pool import (
    average_pool1d,
    average_pool2d,
    average_pool3d,
    global_average_pool,
    global_max_pool,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from engine.ops.reduce import broadcast_to, mean, var
from engine.ops.reduce import max_ as max
from engine.ops.reduce import min_ as min
from engine.ops.reduce import sum_ as sum
from engine.ops.relu import elu, leaky_relu, relu
from engine.ops.resize import (
    adaptive_average_pool1d,
    adaptive_average_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    pixel_shuffle,
    resize,
    upsample,
)
from engine.ops.rnn import rnn
from engine.ops.rope import rotary_positions
from engine.ops.scatter import scatter_add
from engine.ops.shape import (
    concatenate,
    flatten,
    reshape,
    split,
    squeeze,
    stack,
    swapaxes,
    tile,
    transpose,
    unsqueeze,
)
from engine.ops.shape import slice_ as slice
from engine.ops.sigmoid import gelu, sigmoid, silu, softplus, tanh
from engine.ops.softmax import log_softmax, logsumexp, softmax
from engine.ops.sort import argsort, sort, topk
from engine.ops.standardize import group_norm, instance_norm, l2_normalize, layer_norm, rms_norm
from engine.ops.std import std
from engine.ops.stop import stop_gradient
from engine.ops.unary import absolute as abs
from engine.ops.unary import clip, cos, exp, log, negative, sign, sin, sqrt, square
from engine.ops.unary import erf_function as erf
from engine.ops.unfold import fold, unfold

__all__ = [
    "abs",
    "accuracy",
    "adaptive_average_pool1d",
    "adaptive_average_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "add",
    "all",
    "alpha_dropout",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "average_pool1d",
    "average_pool2d",
    "average_pool3d",
    "batch_norm",
    "binary_cross_entropy",
    "broadcast_to",
    "cast",
    "clip",
    "concatenate",
    "contrastive",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cos",
    "cosine_distance",
    "cosine_embedding",
    "cross_entropy",
    "ctc",
    "cumsum",
    "dice",
    "divide",
    "drop_path",
    "dropout",
    "einsum",
    "elu",
    "embedding",
    "equal",
    "erf",
    "exp",
    "flatten",
    "flip",
    "focal",
    "fold",
    "gather",
    "gaussian_noise",
    "gelu",
    "global_average_pool",
    "global_max_pool",
    "glu",
    "greater",
    "greater_equal",
    "group_norm",
    "gru",
    "gru_cell",
    "gumbel_softmax",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "hinge",
    "huber",
    "instance_norm",
    "iou",
    "kl_divergence",
    "kl_normal",
    "l2_normalize",
    "layer_norm",
    "leaky_relu",
    "less",
    "less_equal",
    "local_response_norm",
    "log",
    "log_sigmoid",
    "log_softmax",
    "logical_and",
    "logical_not",
    "logical_or",
    "logsumexp",
    "lstm",
    "lstm_cell",
    "mae",
    "matmul",
    "max",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mish",
    "mse",
    "multi_head_attention",
    "multiply",
    "negative",
    "norm",
    "not_equal",
    "one_hot",
    "pad",
    "pixel_shuffle",
    "power",
    "prelu",
    "prod",
    "random_normal_like",
    "random_uniform_like",
    "relu",
    "relu6",
    "reparameterize",
    "reshape",
    "resize",
    "rms_norm",
    "rnn",
    "rnn_cell",
    "roll",
    "rotary_positions",
    "scaled_dot_product_attention",
    "scatter_add",
    "selu",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinusoidal_positions",
    "slice",
    "softmax",
    "softplus",
    "softsign",
    "sort",
    "spatial_dropout",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "stop_gradient",
    "subtract",
    "sum",
    "swapaxes",
    "take",
    "tanh",
    "threshold",
    "tile",
    "topk",
    "transpose",
    "triplet",
    "unfold",
    "unsqueeze",
    "upsample",
    "var",
    "weighted_cross_entropy",
    "where",
]

if not TYPE_CHECKING:  # which would take any name for one that exists

    def __getattr__(name: str) -> Any:
        from engine.other_names import explained

        raise AttributeError(explained(__name__, name), name=name)
