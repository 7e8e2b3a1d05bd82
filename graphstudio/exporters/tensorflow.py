"""TensorFlow: a tf.Module over named variables, tf.data, a traced training step, a SavedModel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from graphstudio.exporters.base import Emission, optimizer_of
from graphstudio.exporters.judging import judge_lines
from graphstudio.exporters.naming import named_values
from graphstudio.exporters.project import (
    ExportedProject,
    Files,
    class_name,
    data_module,
    feed_arrays,
    finished,
    frozen_nodes,
    requirements,
    snippets_module,
    weights_module,
)
from graphstudio.exporters.readme import readme
from graphstudio.exporters.values import Layer, Stored, Value
from graphstudio.exporters.writer import Bracket, Tree, Writer, call, literal
from graphstudio.ir.graph import Graph
from graphstudio.nodes.emit import Code, Emitted, Snippet

_TF = "import tensorflow as tf"

_GLOROT_UNIFORM = Snippet(
    "glorot_uniform",
    '''
def glorot_uniform(shape):
    """Uniform numbers of variance 2 / (fan_in + fan_out), for (..., in, out)."""
    pixels = math.prod(shape[:-2])
    limit = math.sqrt(6.0 / (pixels * (shape[-2] + shape[-1])))
    return tf.random.uniform(shape, -limit, limit)
''',
    imports=("import math", _TF),
)
_GLOROT_NORMAL = Snippet(
    "glorot_normal",
    '''
def glorot_normal(shape):
    """Normal numbers of variance 2 / (fan_in + fan_out), for (..., in, out)."""
    pixels = math.prod(shape[:-2])
    scale = math.sqrt(2.0 / (pixels * (shape[-2] + shape[-1])))
    return tf.random.normal(shape, stddev=scale)
''',
    imports=("import math", _TF),
)
_HE_UNIFORM = Snippet(
    "he_uniform",
    '''
def he_uniform(shape):
    """Uniform numbers of variance 2 / fan_in, for a kernel (..., in, out)."""
    limit = math.sqrt(6.0 / math.prod(shape[:-1]))
    return tf.random.uniform(shape, -limit, limit)
''',
    imports=("import math", _TF),
)
_HE_NORMAL = Snippet(
    "he_normal",
    '''
def he_normal(shape):
    """Normal numbers of variance 2 / fan_in, for a kernel (..., in, out)."""
    return tf.random.normal(shape, stddev=math.sqrt(2.0 / math.prod(shape[:-1])))
''',
    imports=("import math", _TF),
)
_INITS = {s.name: s for s in (_GLOROT_UNIFORM, _GLOROT_NORMAL, _HE_UNIFORM, _HE_NORMAL)}


class TensorFlowEmission(Emission):
    """Layers are small modules of ``layers.py``, applied in ``__call__``."""

    target = "tensorflow"
    title = "TensorFlow"
    prefixes: ClassVar[Mapping[str, str]] = {"tf": _TF}
    physical_images = True

    def apply_tree(self, layer: Layer, xs: Sequence[Emitted], named: Mapping[str, Any]) -> Tree:
        options = {k: self._tree(v) for k, v in named.items()}
        return call(f"self.{layer.name}", [self._tree(x) for x in xs], options)

    def transposed(self, x: Value, axes: tuple[int, ...]) -> Value:
        return self.call("tf.transpose", x, axes)

    def layer_options(self, name: str, inits: Sequence[tuple[str, Stored]]) -> Mapping[str, Any]:
        options: dict[str, Any] = {}
        for variable, stored in inits:
            if stored.init in _INITS:
                options[f"{variable}_initializer"] = Code(self._function(_INITS[stored.init]))
        return {**options, "name": name}


def export(graph: Graph, data_loader: str) -> ExportedProject:
    """The folder's files but for the weights."""
    emission: TensorFlowEmission = TensorFlowEmission.of(graph)
    files = Files()
    cls = class_name(graph.name, emission.snippets)
    _model(files, emission, cls)
    if emission.snippets:
        title = "The layers of the network, over named variables."
        snippets_module(files, "layers.py", title, emission.snippets.values())
    _data(files, emission, data_loader)
    _train(files, emission, cls)
    weights_module(
        files,
        emission,
        "getattr(getattr(model, entry.layer), entry.variable)",
        {_TF},
        model="tf.Module",
        variable_type="tf.Variable",
    )
    own = {"numpy": ">=1.26", "safetensors": ">=0.4.3", "tensorflow": ">=2.16"}
    files.text("requirements.txt", requirements(data_loader, own))
    files.text("README.md", readme(emission, cls, set(files.texts)))
    return finished(emission, files)


def _model(files: Files, e: TensorFlowEmission, cls: str) -> None:
    inputs = [f for f in e.feeds if f.node in e.model_inputs]
    given = {e.values[f.node.id].key: f.name for f in inputs}
    results = [v.key for v in e.outputs.values()]
    names = named_values(e.model, given, results, e.unique)
    w = Writer()
    w.put(f"class {cls}(tf.Module):")
    with w.indented():
        w.text('"""The network. Images have their channels last: (N, H, W, C)."""')
        w.blank()
        w.put("def __init__(self):")
        with w.indented():
            w.put("super().__init__()")
            for layer in e.layers:
                if layer.node.role == "layer":
                    w.put((f"self.{layer.name} = ", layer.constructor), node=layer.node.id)
        w.blank()
        first = len(w.lines) + 1
        arguments = ("self", *(f.name for f in inputs), "training")
        w.put(("def __call__", Bracket("(", arguments, ")"), ":"))
        for f in inputs:
            w.mark(f.node.id, first, len(w.lines))
        with w.indented():
            for s in e.model.statements:
                tree: Tree = (f"{names[s.value.key]} = ", s.tree)
                w.put(tree, node=s.node.id, name_of=names.__getitem__)
            w.put(f"return {', '.join(names[k] for k in results)}")
        w.blank()
        specs: list[Tree] = [
            call(
                "tf.TensorSpec",
                [_signature_shape(f.layout.shape(f.type.shape)), "tf.float32"],
                {"name": literal(f.name)},
            )
            for f in inputs
        ]
        signature = Bracket("[", tuple(specs), "]")
        w.put(("@tf.function", Bracket("(", (("input_signature=", signature),), ")")))
        w.put(("def serve", Bracket("(", ("self", *(f.name for f in inputs)), ")"), ":"))
        with w.indented():
            w.text('"""The outputs by name, as a SavedModel gives them."""')
            outputs = [e.graph.by_id[i].name for i in e.outputs]
            called = call("self", [*(f.name for f in inputs), "training=False"])
            w.put((f"{', '.join(outputs)} = ", called))
            pairs: list[Tree] = [f"{literal(n)}: {n}" for n in outputs]
            w.put(("return ", Bracket("{", tuple(pairs), "}")))
    files.module("model.py", "The network as a TensorFlow module.", e.imports(e.model) | {_TF}, w)


def _signature_shape(shape: Sequence[object]) -> str:
    return literal([d if isinstance(d, int) else None for d in shape])


def _data(files: Files, e: TensorFlowEmission, loader: str) -> None:
    training = e.graph.training
    w = Writer()
    arguments = (
        f"batch_size: int = {literal(training.batch_size)}",
        f"seed: int = {literal(training.seed)}",
    )
    returned = " -> dict[str, tf.data.Dataset]:"
    w.put(("def make_datasets", Bracket("(", arguments, ")"), returned))
    with w.indented():
        w.text('"""A data set for each split that has samples, in batches of arrays."""')
        w.put("datasets = {}")
        w.put("for name, arrays in load_data().items():")
        with w.indented():
            w.put(("columns = ", feed_arrays(e)))
            w.put("if not len(columns[0]):")
            with w.indented():
                w.put("continue")
            w.put("dataset = tf.data.Dataset.from_tensor_slices(columns)")
            if training.shuffle:
                w.put('if name == "train":')
                with w.indented():
                    w.text("# The buffer holds all samples: a smaller one would shuffle less.")
                    w.put("dataset = dataset.shuffle(len(dataset), seed=seed)")
            w.put("datasets[name] = dataset.batch(batch_size).prefetch(tf.data.AUTOTUNE)")
        w.put("return datasets")
    data_module(files, loader, {_TF, "import numpy as np"}, w)


def _train(files: Files, e: TensorFlowEmission, cls: str) -> None:
    training = e.graph.training
    frozen = [x for x in e.layers if x.node.name in frozen_nodes(e.graph) and x.bindings]
    w = Writer()
    w.put(f"EPOCHS = {literal(training.phases[0].epochs)}")
    w.put(f"BATCH_SIZE = {literal(training.batch_size)}")
    w.put(f"SEED = {literal(training.seed)}")
    w.put("FOLDER = Path(__file__).resolve().parent")
    w.blank(2)
    arguments = ("model", *(f.name for f in e.feeds), "training")
    w.put(("def compute_loss", Bracket("(", arguments, ")"), ":"))
    with w.indented():
        w.text('"""Loss and metrics of one batch, each a mean over its samples."""')
        judge_lines(w, e, "model", training="training")
    w.blank(2)
    w.put("def make_optimizer(model):")
    optimizer = optimizer_of(e.graph).emit_tensorflow()
    assert isinstance(optimizer.function, Snippet)
    with w.indented():
        w.text('"""The optimizer of the project, over all weights that may move."""')
        weights = "model.trainable_variables"
        if frozen:
            w.put("frozen = set()")
            for layer in frozen:
                line = f"frozen |= {{v.ref() for v in model.{layer.name}.trainable_variables}}"
                w.put(line, node=layer.node.id)
            w.put("weights = [v for v in model.trainable_variables if v.ref() not in frozen]")
            weights = "weights"
        options = {k: literal(v) for k, v in optimizer.arguments.items()}
        w.put(("return ", call(optimizer.function.name, [weights], options)))
    w.blank(2)
    w.text(_LOOP.replace("CLASS", cls))
    title = "The optimizer."
    snippets_module(files, "optimizers.py", title, [optimizer.function])
    imports = {
        "import argparse",
        "from pathlib import Path",
        _TF,
        "from data import make_datasets",
        f"from model import {cls}",
        f"from optimizers import {optimizer.function.name}",
        "from weights import load_weights, save_weights",
        *e.imports(e.judges),
    }
    docstring = "Trains the network, tells how it does on each split, and keeps its weights."
    files.module("train.py", docstring, imports, w)


_LOOP = '''
@tf.function
def train_step(model, optimizer, batch):
    """Move the weights by one step; returns loss and metrics before it."""
    with tf.GradientTape() as tape:
        values = compute_loss(model, *batch, training=True)
    gradients = tape.gradient(
        values["loss"],
        optimizer.weights,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    optimizer.apply(gradients)
    return values


@tf.function
def evaluate_step(model, batch):
    """Loss and metrics of one batch, without training."""
    return compute_loss(model, *batch, training=False)


class Means:
    """Means of loss and metrics, weighted by the number of samples of each batch."""

    def __init__(self):
        self.totals = {}
        self.samples = 0

    def add(self, values, samples):
        for name, value in values.items():
            self.totals[name] = self.totals.get(name, 0.0) + value * samples
        self.samples += samples

    def result(self):
        return {name: float(t) / self.samples for name, t in self.totals.items()}


def train_epoch(model, dataset, optimizer):
    """One pass over the training split; returns the means over it."""
    means = Means()
    for batch in dataset:
        means.add(train_step(model, optimizer, batch), len(batch[0]))
    return means.result()


def evaluate(model, dataset):
    """Means over a split, without training."""
    means = Means()
    for batch in dataset:
        means.add(evaluate_step(model, batch), len(batch[0]))
    return means.result()


def show(title, values):
    """Print one line of results."""
    print(title, *(f"{name} {value:.4f}" for name, value in values.items()), sep="  ")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--weights", type=Path, help="start from this file, not anew")
    parser.add_argument(
        "--evaluate",
        action="store_true",
        help="do not train; evaluates weights.safetensors unless --weights is given",
    )
    parser.add_argument("--out", type=Path, default=FOLDER / "trained")
    args = parser.parse_args()

    tf.random.set_seed(args.seed)
    datasets = make_datasets(args.batch_size, args.seed)
    model = CLASS()
    weights = args.weights
    if weights is None and args.evaluate:
        weights = FOLDER / "weights.safetensors"
    if weights is not None:
        load_weights(model, weights)

    if not args.evaluate:
        optimizer = make_optimizer(model)
        for epoch in range(1, args.epochs + 1):
            means = train_epoch(model, datasets["train"], optimizer)
            show(f"epoch {epoch}/{args.epochs}", means)
            if "validation" in datasets:
                show("  validation", evaluate(model, datasets["validation"]))
        args.out.mkdir(parents=True, exist_ok=True)
        save_weights(model, args.out / "weights.safetensors")
        signatures = {"serving_default": model.serve}
        tf.saved_model.save(model, str(args.out / "saved_model"), signatures)
        print(f"weights and SavedModel are in {args.out}")
    if "test" in datasets:
        show("test", evaluate(model, datasets["test"]))


if __name__ == "__main__":
    main()
'''
