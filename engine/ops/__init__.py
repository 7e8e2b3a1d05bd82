"""All operations, by name. The same functions work on tensors and inside a plan."""

from engine.ops.arithmetic import add, divide, maximum, minimum, multiply, power, subtract
from engine.ops.attention import (
    multi_head_attention,
    scaled_dot_product_attention,
    sinusoidal_positions,
)
from engine.ops.compare import accuracy, argmax, cast, equal, greater, less, where
from engine.ops.conv import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d
from engine.ops.dropout import dropout, spatial_dropout
from engine.ops.gather import embedding, gather, one_hot
from engine.ops.loss import cross_entropy, mse
from engine.ops.matmul import matmul
from engine.ops.norm import batch_norm
from engine.ops.pool import (
    average_pool1d,
    average_pool2d,
    global_average_pool,
    global_max_pool,
    max_pool1d,
    max_pool2d,
)
from engine.ops.recurrent import gru, lstm, rnn
from engine.ops.reduce import broadcast_to, mean, var
from engine.ops.reduce import max_ as max
from engine.ops.reduce import min_ as min
from engine.ops.reduce import sum_ as sum
from engine.ops.relu import elu, leaky_relu, relu
from engine.ops.shape import (
    concatenate,
    flatten,
    pad,
    reshape,
    split,
    squeeze,
    stack,
    tile,
    transpose,
    unsqueeze,
)
from engine.ops.shape import slice_ as slice
from engine.ops.sigmoid import gelu, sigmoid, silu, softplus, tanh
from engine.ops.softmax import log_softmax, logsumexp, softmax
from engine.ops.standardize import group_norm, instance_norm, l2_normalize, layer_norm, rms_norm
from engine.ops.stop import stop_gradient
from engine.ops.unary import absolute as abs
from engine.ops.unary import clip, cos, exp, log, negative, sign, sin, sqrt, square
from engine.ops.unary import erf_function as erf

__all__ = [
    "abs",
    "accuracy",
    "add",
    "argmax",
    "average_pool1d",
    "average_pool2d",
    "batch_norm",
    "broadcast_to",
    "cast",
    "clip",
    "concatenate",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "cos",
    "cross_entropy",
    "divide",
    "dropout",
    "elu",
    "embedding",
    "equal",
    "erf",
    "exp",
    "flatten",
    "gather",
    "gelu",
    "global_average_pool",
    "global_max_pool",
    "greater",
    "group_norm",
    "gru",
    "instance_norm",
    "l2_normalize",
    "layer_norm",
    "leaky_relu",
    "less",
    "log",
    "log_softmax",
    "logsumexp",
    "lstm",
    "matmul",
    "max",
    "max_pool1d",
    "max_pool2d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mse",
    "multi_head_attention",
    "multiply",
    "negative",
    "one_hot",
    "pad",
    "power",
    "relu",
    "reshape",
    "rms_norm",
    "rnn",
    "scaled_dot_product_attention",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinusoidal_positions",
    "slice",
    "softmax",
    "softplus",
    "spatial_dropout",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "stop_gradient",
    "subtract",
    "sum",
    "tanh",
    "tile",
    "transpose",
    "unsqueeze",
    "var",
    "where",
]
