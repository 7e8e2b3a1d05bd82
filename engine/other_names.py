"""What PyTorch's names are called here, for the errors about names that do not exist."""

from __future__ import annotations

from engine.value import Value

_LOSSES = {
    "l1": "mae",
    "mse": "mse",
    "smooth_l1": "huber",
    "huber": "huber",
    "cross_entropy": "cross_entropy, of logits",
    "nll": "cross_entropy, of logits",
    "binary_cross_entropy_with_logits": "binary_cross_entropy",
    "kl_div": "kl_divergence",
    "cosine_embedding": "cosine_embedding",
    "ctc": "ctc, of logits",
    "triplet_margin": "triplet",
}
_ELSEWHERE = "; compute it with NumPy, or give the tensor a new array: x.data[...] = values"
_OPS = {
    "addmm": "a @ b + c",
    "avg_pool1d": "average_pool1d",
    "avg_pool2d": "average_pool2d",
    "avg_pool3d": "average_pool3d",
    "adaptive_avg_pool2d": "adaptive_average_pool2d",
    "bmm": "matmul",
    "cat": "concatenate",
    "chunk": "split",
    "clamp": "clip",
    "detach": "stop_gradient",
    "div": "divide",
    "dropout2d": "spatial_dropout",
    "eq": "equal",
    "expand": "broadcast_to",
    "ge": "greater_equal",
    "gt": "greater",
    "index_select": "take",
    "interpolate": "resize",
    "le": "less_equal",
    "linear": "matmul(x, weight, transpose_b=True) + bias",
    "lt": "less",
    "masked_fill": "where(mask, value, x)",
    "mm": "matmul",
    "mul": "multiply",
    "multinomial": "argmax(gumbel_softmax(logits)), or NumPy's Generator.choice",
    "ne": "not_equal",
    "neg": "negative",
    "normalize": "l2_normalize",
    "permute": "transpose",
    "pow": "power",
    "msort": "sort",
    "repeat": "tile",
    "sub": "subtract",
    "tril": "where, with a mask of numpy.tri",
    "triu": "where, with a mask of numpy.tri",
    "view": "reshape",
    **{f"{name}_loss": text for name, text in _LOSSES.items()},
}
NAMES: dict[str, dict[str, str]] = {
    "Tensor": {
        "astype": "cast",
        "dot": "@",
        "bool": 'cast("bool")',
        "clone": "engine.tensor(x)",
        "contiguous": "x itself; the engine sees to it",
        "copy": "engine.tensor(x)",
        "cpu": 'to("cpu")',
        "cuda": 'to("gpu")',
        "dim": "ndim",
        "double": 'cast("float64")',
        "float": 'cast("float32")',
        "int": 'cast("int32")',
        "is_leaf": "producer is None",
        "long": 'cast("int64")',
        "mm": "@",
        "numel": "size",
        "requires_grad_": "x.requires_grad = True",
        "t": "T",
        "type": "cast",
        **{name: text for name, text in _OPS.items() if name != "detach"},
    },
    "engine": {
        "bool": '"bool"',
        "device": 'the names "cpu" and "gpu"',
        "empty": "engine.zeros",
        "float": '"float32"',
        "float32": '"float32"',
        "float64": '"float64"',
        "from_numpy": "engine.tensor",
        "int64": '"int64"',
        "load": "engine.checkpoint.load",
        "long": '"int64"',
        "rand": "engine.random_uniform",
        "randint": "engine.random_integers",
        "randn": "engine.random_normal",
        "save": "engine.checkpoint.save",
        "utils": "engine.data",
    },
    "engine.ops": _OPS,
    "engine.losses": {name: text for name, text in _LOSSES.items() if name != text.split(",")[0]},
    "engine.nn": {
        **{f"BatchNorm{n}d": "BatchNorm, for any number of axes" for n in (1, 2, 3)},
        **{f"InstanceNorm{n}d": "InstanceNorm, for any number of axes" for n in (1, 2, 3)},
        **{f"Dropout{n}d": "SpatialDropout" for n in (1, 2, 3)},
        "BCELoss": "engine.losses.binary_cross_entropy, of logits",
        "BCEWithLogitsLoss": "engine.losses.binary_cross_entropy",
        "Buffer": "a tensor, or nn.new_buffer",
        "CTCLoss": "engine.losses.ctc, of logits",
        "CosineEmbeddingLoss": "engine.losses.cosine_embedding",
        "CrossEntropyLoss": "engine.losses.cross_entropy",
        "HuberLoss": "engine.losses.huber",
        "KLDivLoss": "engine.losses.kl_divergence",
        "L1Loss": "engine.losses.mae",
        "MSELoss": "engine.losses.mse",
        "NLLLoss": "engine.losses.cross_entropy, of logits",
        "Bilinear": "engine.ops.einsum",
        "ConstantPad2d": "Pad",
        "CosineSimilarity": "engine.ops.l2_normalize of both, and a product",
        "ReflectionPad2d": 'Pad(..., "reflect")',
        "ReplicationPad2d": 'Pad(..., "edge")',
        "Transformer": "TransformerEncoder, and TransformerDecoder",
        "ZeroPad2d": "Pad",
        "Parameter": "engine.tensor(..., requires_grad=True), or nn.new_parameter",
        "ParameterList": "an attribute for each parameter",
        "SmoothL1Loss": "engine.losses.huber",
        "TripletMarginLoss": "engine.losses.triplet",
        "functional": "engine.ops",
        "init": "engine.init.fill",
        "clip_grad_norm_": "engine.optim.clip_norm",
        "spectral_norm": "SpectralNorm, around a layer",
        "weight_norm": "WeightNorm, around a layer",
        "utils": "engine.optim.clip_norm and clip_value",
    },
    "Module": {
        "add_module": "Python's setattr",
        "buffers": "named_tensors",
        "cpu": 'to("cpu")',
        "cuda": 'to("gpu")',
        "named_buffers": "named_tensors",
        "named_children": "children",
        "register_buffer": "an attribute that is a tensor",
        "register_module": "Python's setattr",
        "register_parameter": "an attribute that is a tensor with requires_grad=True",
        "requires_grad_": "freeze, or unfreeze",
        **dict.fromkeys(("double", "float", "half"), "parameters of float32"),
    },
    "engine.optim": {
        "NAdam": "Nadam",
        "lr_scheduler": "schedules",
        "swa_utils": "AveragedWeights",
    },
}


def explained(where: str, name: str, owner: str = "") -> str:
    """The words of an AttributeError about ``name``, with what it is called here if it is known."""
    text = f"{owner or where} has no '{name}'"
    known = NAMES[where].get(name)
    if known is None and where == "engine" and name in _OPS:
        known = f"engine.ops.{_OPS[name]}"
    if known is not None:
        return f"{text}; use {known}."
    if name in Value.functions and where in ("Tensor", "engine"):
        return f"{text}; use engine.ops.{name}."
    if where == "Tensor" and name.endswith("_") and not name.startswith("_"):
        return f"{text}: tensors are not changed in place{_ELSEWHERE}."
    return f"{text}."
