"""Keras 3: a Sequential or functional model, compile and fit, a .keras file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from graphstudio.exporters.base import Emission, optimizer_of
from graphstudio.exporters.judging import judged, loss_weights
from graphstudio.exporters.naming import named_values
from graphstudio.exporters.project import (
    ExportedProject,
    Files,
    class_name,
    data_module,
    feed_array,
    finished,
    frozen_nodes,
    requirements,
    snake_name,
    snippets_module,
    weights_module,
)
from graphstudio.exporters.readme import readme
from graphstudio.exporters.values import ExportError, Layer, Problem, Statement, Stored, Value
from graphstudio.exporters.writer import Bracket, Tree, Writer, call, literal
from graphstudio.ir.graph import Graph, IRNode
from graphstudio.nodes.emit import Code, Emitted, Layout, Snippet
from graphstudio.nodes.types import Message

_SCALED = """
def {name}() -> keras.initializers.Initializer:
    {doc}
    return keras.initializers.VarianceScaling(
        scale={scale}, mode="{mode}", distribution="untruncated_normal"
    )
"""
# Functions, because one initialiser that two layers share gives both the same numbers.
_HE_NORMAL = Snippet(
    "he_normal",
    _SCALED.format(
        name="he_normal",
        doc='"""Normal, not cut off at two standard deviations as Keras\'s own of this name."""',
        scale=2.0,
        mode="fan_in",
    ),
)
_GLOROT_NORMAL = Snippet(
    "glorot_normal",
    _SCALED.format(
        name="glorot_normal",
        doc='"""Normal, not cut off at two standard deviations as Keras\'s own of this name."""',
        scale=1.0,
        mode="fan_avg",
    ),
)
_INITS: Mapping[str, str | Snippet] = {
    "glorot_uniform": "glorot_uniform",
    "glorot_normal": _GLOROT_NORMAL,
    "he_uniform": "he_uniform",
    "he_normal": _HE_NORMAL,
}


_CROSS_ENTROPY = "loss.cross_entropy"


class KerasEmission(Emission):
    """Layers are made where they are applied."""

    target = "keras"
    title = "Keras"
    prefixes: ClassVar[Mapping[str, str]] = {
        "keras": "import keras",
        "layers": "from keras import layers",
    }
    physical_images = True
    snippet_module = "losses"

    _REMEMBERS: ClassVar[frozenset[str]] = frozenset({"act.softmax", "act.sigmoid"})
    _HANDS_ON: ClassVar[frozenset[str]] = frozenset({"layer.dropout", "shape.flatten"})

    def __init__(self, graph: Graph, ordered: frozenset[str] = frozenset()) -> None:
        super().__init__(graph, ordered)
        self.initialisers: dict[str, Snippet] = {}
        """Functions that ``model.py`` defines."""

    def apply_tree(self, layer: Layer, xs: Sequence[Emitted], named: Mapping[str, Any]) -> Tree:
        return (layer.constructor, Bracket("(", tuple(self._tree(x) for x in xs), ")"))

    def transposed(self, x: Value, axes: tuple[int, ...]) -> Value:
        order = tuple(a for a in axes if a != 0)
        return self.layer("layers.Permute", order, suffix="permute")(x)

    def _as_output(self, node: IRNode, value: Value) -> Value:
        """The value as the model returns it, as something of its own where a loss needs that.

        What ``keras.activations.softmax`` and ``sigmoid`` return remembers the scores that they
        were given, and Keras's cross-entropies take those in its stead, whatever ``from_logits``
        says. So what is computed from it, be it the same numbers, must take its place.
        """
        output = super()._as_output(node, value)
        weights = loss_weights(self.graph)
        judges = (c for c in self.graph.consumers[node.id] if c.id in weights)
        if output.key != value.key or not any(c.spec.type_id == _CROSS_ENTROPY for c in judges):
            return output
        origin = node
        while origin.spec.type_id in self._HANDS_ON and origin.inputs[0] is not None:
            origin = self.graph.by_id[origin.inputs[0].node]
        if origin.spec.type_id not in self._REMEMBERS:
            return output
        scores = self.layer("layers.Rescaling", 1.0, suffix="scores")(output)
        return dataclasses.replace(scores, type=output.type, layout=output.layout)

    def _laid_out(self, x: Emitted, layout: Layout) -> Value:
        # Losses read what the model returns: it must turn the axes, the losses cannot.
        section, self._section = self._section, self.model
        try:
            turned = super()._laid_out(x, layout)
        finally:
            self._section = section
        if isinstance(x, Value) and turned.key != x.key:
            self._converted.setdefault((turned.key, x.layout), x)  # the way back needs no layer
        return turned

    def layer_options(self, name: str, inits: Sequence[tuple[str, Stored]]) -> Mapping[str, Any]:
        options: dict[str, Any] = {}
        for variable, stored in inits:
            init = _INITS.get(stored.init)
            if isinstance(init, Snippet):
                self.initialisers[init.name] = init
                options[f"{variable}_initializer"] = Code(f"{init.name}()")
            elif init is not None:
                options[f"{variable}_initializer"] = init
        return {**options, "name": name}


@dataclass
class Output:
    """One output of the model that is trained: its losses and metrics, and their target."""

    name: str
    prediction: IRNode
    value: Value
    """The prediction as the losses and metrics want its axes."""
    target: IRNode | None = None
    loss: IRNode | None = None
    metrics: list[IRNode] = field(default_factory=list)


def outputs_of(e: KerasEmission) -> list[Output]:
    """The model's outputs, one for each pair of prediction and target, at most one loss each.

    Where class ids want the axes of a prediction in another order than values do, each gets its own
    output as well.

    Raises
    ------
    ExportError
        If a loss compares with something that is not a field of the data.
    """
    found = [Output(e.graph.by_id[i].name, e.graph.by_id[i], v) for i, v in e.outputs.items()]
    read = {s.node.id: s.reads[-1] for s in e.judges.statements if s.layer is not None}
    given = (*(s.value for s in e.model.statements), *e.values.values(), *e.outputs.values())
    values = {v.key: v for v in given}
    problems: list[Problem] = []
    fields = {f.node.id for f in e.feeds}
    driving = loss_weights(e.graph)
    for node in judged(e.graph):
        if node.role == "loss" and node.id not in driving:
            continue  # Keras has no loss that is only watched
        prediction, target = (s.node if s is not None else "" for s in node.inputs)
        if prediction not in e.outputs or target not in fields:
            message = Message(
                "'{label}' does not compare a layer with a field of the data", {"label": node.label}
            )
            hint = Message(
                "Wire its prediction to a layer and its target to a Target or Input node, or "
                "export to PyTorch or TensorFlow."
            )
            problems.append(Problem(message, hint, node.id))
            continue
        wanted = e.graph.by_id[target]
        loss = node.role == "loss"
        value = values[read[node.id]]
        place = next(
            (
                o
                for o in found
                if o.prediction.id == prediction
                and o.value.key == value.key
                and o.target in (None, wanted)
                and not (loss and o.loss is not None)
            ),
            None,
        )
        if place is None:
            place = Output(e.unique(f"{node.name}_output"), e.graph.by_id[prediction], value)
            found.append(place)
        place.target = wanted
        if loss:
            place.loss = node
        else:
            place.metrics.append(node)
    if problems:
        raise ExportError(problems)
    return found


def export(graph: Graph, data_loader: str) -> ExportedProject:
    """The folder's files but for the weights."""
    emission: KerasEmission = KerasEmission.of(graph)
    files = Files()
    cls = class_name(graph.name)
    outputs = outputs_of(emission)
    _model(files, emission, snake_name(cls), outputs)
    _data(files, emission, data_loader, outputs)
    _train(files, emission, outputs)
    if emission.snippets:
        title = "Losses that Keras does not have."
        snippets_module(files, "losses.py", title, emission.snippets.values())
    weights_module(
        files,
        emission,
        "getattr(model.get_layer(entry.layer), entry.variable)",
        {"import keras"},
        model="keras.Model",
        variable_type="keras.Variable",
    )
    own = {"keras": ">=3.5", "numpy": ">=1.26", "safetensors": ">=0.4.3", "tensorflow": ">=2.16"}
    files.text("requirements.txt", requirements(data_loader, own))
    files.text("README.md", readme(emission, cls, set(files.texts)))
    return finished(emission, files)


def _model(files: Files, e: KerasEmission, name: str, outputs: list[Output]) -> None:
    w = Writer()
    for initialiser in e.initialisers.values():
        w.text(initialiser.source)
        w.blank(2)
    w.put("def build_model() -> keras.Model:")
    with w.indented():
        w.text('"""The network with new weights. Images have their channels last: (N, H, W, C)."""')
        if _is_chain(e, outputs):
            _sequential(w, e, name)
        else:
            _functional(w, e, name, outputs)
    needed = e.imports(e.model) | {"import keras"}
    if any(o.name != o.prediction.name for o in outputs):
        needed.add("from keras import layers")
    files.module("model.py", "The network as a Keras model.", needed, w)


def _inputs(e: KerasEmission) -> list[tuple[IRNode, Tree]]:
    made: list[tuple[IRNode, Tree]] = []
    for f in e.feeds:
        if f.node in e.model_inputs:
            shape = literal(f.layout.shape(f.type.shape)[1:])
            made.append((f.node, call("keras.Input", [shape], {"name": literal(f.name)})))
    return made


def _is_chain(e: KerasEmission, outputs: list[Output]) -> bool:
    """True if every statement applies a layer to the one before."""
    if len(e.model_inputs) != 1 or len(outputs) != 1:
        return False
    before = e.values[e.model_inputs[0].id].key
    for s in e.model.statements:
        # One value may be read twice, as in x + x, which no Sequential can say.
        if s.layer is None or s.reads != (before,) or len(s.node.inputs) != 1:
            return False
        before = s.value.key
    return outputs[0].value.key == before and bool(e.model.statements)


def _sequential(w: Writer, e: KerasEmission, name: str) -> None:
    w.put("return keras.Sequential(")
    with w.indented():
        w.put("[")
        with w.indented():
            for node, tree in _inputs(e):
                w.put((tree, ","), node=node.id)
            for s in e.model.statements:
                assert s.layer is not None  # as _is_chain has found
                w.put((s.layer.constructor, ","), node=s.node.id)
        w.put("],")
        w.put(f"name={literal(name)},")
    w.put(")")


def _functional(w: Writer, e: KerasEmission, name: str, outputs: list[Output]) -> None:
    given = {e.values[n.id].key: n.name for n in e.model_inputs}
    results = [o.value.key for o in outputs]
    names = named_values(e.model, given, results, e.unique)
    inputs = _inputs(e)
    for node, tree in inputs:
        w.put((f"{node.name} = ", tree), node=node.id)
    for s in e.model.statements:
        w.put((f"{names[s.value.key]} = ", s.tree), node=s.node.id, name_of=names.__getitem__)
    values: list[str] = []
    for o, key in zip(outputs, results, strict=True):
        value = names[key]
        if o.name != o.prediction.name:
            w.put(f"{o.name} = layers.Identity(name={literal(o.name)})({value})")
            value = o.name
        values.append(value)
    w.put(
        (
            "return ",
            call(
                "keras.Model",
                [
                    named_or_single([(n.name, n.name) for n, _ in inputs]),
                    named_or_single([(o.name, v) for o, v in zip(outputs, values, strict=True)]),
                ],
                {"name": literal(name)},
            ),
        )
    )


def named_or_single(pairs: Sequence[tuple[str, Tree]]) -> Tree:
    """The code of one value as it is, of several as a dict by name."""
    if len(pairs) == 1:
        return pairs[0][1]
    items = tuple((f"{literal(name)}: ", value) for name, value in pairs)
    return Bracket("{", items, "}")


def _data(files: Files, e: KerasEmission, loader: str, outputs: list[Output]) -> None:
    feeds = {f.node.id: f for f in e.feeds}
    x = named_or_single([(n.name, feed_array(feeds[n.id])) for n in e.model_inputs])
    # Keras wants an answer for every output, also where no loss and no metric reads it.
    spare = next(o.target for o in outputs if o.target is not None)
    pairs: list[tuple[str, Tree]] = [
        (o.name, feed_array(feeds[(o.target or spare).id])) for o in outputs
    ]
    y = named_or_single(pairs)
    first = feed_array(feeds[e.model_inputs[0].id])
    w = Writer()
    w.put("def load_arrays() -> dict[str, tuple]:")
    with w.indented():
        w.text('"""What the model reads and what it should answer, for each split with samples."""')
        w.put("splits = {}")
        w.put("for name, arrays in load_data().items():")
        with w.indented():
            w.put(("x = ", x))
            w.put(("y = ", y))
            w.put("if len(x):" if len(e.model_inputs) == 1 else f"if len({first}):")
            with w.indented():
                w.put("splits[name] = (x, y)")
        w.put("return splits")
    data_module(files, loader, {"import numpy as np"}, w)


def _train(files: Files, e: KerasEmission, outputs: list[Output]) -> None:
    training = e.graph.training
    w = Writer()
    w.put(f"EPOCHS = {literal(training.phases[0].epochs)}")
    w.put(f"BATCH_SIZE = {literal(training.batch_size)}")
    w.put(f"SEED = {literal(training.seed)}")
    w.put("FOLDER = Path(__file__).resolve().parent")
    w.blank(2)
    optimizer = optimizer_of(e.graph).emit_keras()
    imports = {
        "import argparse",
        "from pathlib import Path",
        "import keras",
        "from data import load_arrays",
        "from model import build_model",
        "from weights import load_weights, save_weights",
        *e.imports(e.judges),
    }
    function = optimizer.function
    if isinstance(function, Snippet):
        snippets_module(files, "optimizers.py", "The optimizer.", [function])
        imports.add(f"from optimizers import {function.name}")
        function = function.name
    w.put("def compile_model(model: keras.Model) -> None:")
    with w.indented():
        w.text('"""Give the model its optimizer, loss and metrics."""')
        _freeze(w, e)
        arguments = {k: literal(v) for k, v in optimizer.arguments.items()}
        w.put("model.compile(")
        with w.indented():
            w.put(("optimizer=", call(function, (), arguments), ","))
            _judges(w, e, outputs)
        w.put(")")
    w.blank(2)
    w.text(_LOOP.replace("SHUFFLE", literal(training.shuffle)))
    docstring = "Trains the network, tells how it does on each split, and keeps its weights."
    files.module("train.py", docstring, imports, w)


def _freeze(w: Writer, e: KerasEmission) -> None:
    names = frozen_nodes(e.graph)
    for layer in e.layers:
        if layer.node.name not in names or not layer.bindings:
            continue
        found = f"model.get_layer({literal(layer.name)})"
        if any(not b.trainable for b in layer.bindings):
            # A frozen batch norm would stop using the statistics of the batch as well.
            trained = [b.variable for b in layer.bindings if b.trainable]
            w.put(f"for variable in {literal(trained)}:".replace("'", '"'), node=layer.node.id)
            with w.indented():
                w.put(f"getattr({found}, variable).trainable = False", node=layer.node.id)
        else:
            w.put(f"{found}.trainable = False", node=layer.node.id)


def _judges(w: Writer, e: KerasEmission, outputs: list[Output]) -> None:
    weights = loss_weights(e.graph)
    made = {s.node.id: s for s in e.judges.statements if s.layer is not None}

    def constructor(node: IRNode) -> Tree:
        statement: Statement = made[node.id]
        assert statement.layer is not None  # the filter above
        return statement.layer.constructor

    if len(outputs) == 1:
        only = outputs[0]
        assert only.loss is not None  # loss_weights has found one
        w.put(("loss=", constructor(only.loss), ","), node=only.loss.id)
        if weights[only.loss.id] != 1.0:
            w.put(f"loss_weights={literal(weights[only.loss.id])},")
        if only.metrics:
            _listed(w, "metrics=[", [(m, constructor(m)) for m in only.metrics], "],")
        return
    losses = [(o, o.loss) for o in outputs if o.loss is not None]
    w.put("loss={")
    with w.indented():
        for o, loss in losses:
            w.put((f"{literal(o.name)}: ", constructor(loss), ","), node=loss.id)
    w.put("},")
    if any(weights[loss.id] != 1.0 for _, loss in losses):
        items = tuple(f"{literal(o.name)}: {literal(weights[n.id])}" for o, n in losses)
        w.put(("loss_weights=", Bracket("{", items, "}"), ","))
    if any(o.metrics for o in outputs):
        w.put("metrics={")
        with w.indented():
            for o in outputs:
                if o.metrics:
                    metrics = [(m, constructor(m)) for m in o.metrics]
                    _listed(w, f"{literal(o.name)}: [", metrics, "],")
        w.put("},")


def _listed(w: Writer, left: str, items: Sequence[tuple[IRNode, Tree]], right: str) -> None:
    """Metrics in a list, on one line where one of them fits."""
    if len(items) == 1:
        node, tree = items[0]
        w.put((left[:-1], Bracket("[", (tree,), "]"), right[1:]), node=node.id)
        return
    w.put(left)
    with w.indented():
        for node, tree in items:
            w.put((tree, ","), node=node.id)
    w.put(right)


_LOOP = '''
def show(title: str, values: dict[str, float]) -> None:
    """Print one line of results."""
    print(title, *(f"{name} {value:.4f}" for name, value in values.items()), sep="  ")


def main() -> None:
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

    keras.utils.set_random_seed(args.seed)
    splits = load_arrays()
    model = build_model()
    compile_model(model)
    weights = args.weights
    if weights is None and args.evaluate:
        weights = FOLDER / "weights.safetensors"
    if weights is not None:
        load_weights(model, weights)

    if not args.evaluate:
        x, y = splits["train"]
        model.fit(
            x,
            y,
            batch_size=args.batch_size,
            epochs=args.epochs,
            validation_data=splits.get("validation"),
            shuffle=SHUFFLE,
            verbose=2,
        )
        args.out.mkdir(parents=True, exist_ok=True)
        save_weights(model, args.out / "weights.safetensors")
        model.save(args.out / "model.keras")
        print(f"weights and model are in {args.out}")
    if "test" in splits:
        x, y = splits["test"]
        values = model.evaluate(
            x, y, batch_size=args.batch_size, verbose=0, return_dict=True
        )
        show("test", values)


if __name__ == "__main__":
    main()
'''
