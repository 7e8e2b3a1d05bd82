"""PyTorch: an nn.Module, a DataLoader a split, and a plain training loop."""

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
    finished,
    frozen_nodes,
    requirements,
)
from graphstudio.exporters.readme import readme
from graphstudio.exporters.values import Layer, Value
from graphstudio.exporters.writer import Bracket, Tree, Writer, call, literal
from graphstudio.ir.graph import Graph
from graphstudio.nodes.emit import Call, Emitted

_RELU: Mapping[str, Tree] = {"nonlinearity": '"relu"'}
_INITS: Mapping[str, tuple[str, Mapping[str, Tree]]] = {
    "zeros": ("nn.init.zeros_", {}),
    "ones": ("nn.init.ones_", {}),
    "glorot_uniform": ("nn.init.xavier_uniform_", {}),
    "glorot_normal": ("nn.init.xavier_normal_", {}),
    "he_uniform": ("nn.init.kaiming_uniform_", _RELU),
    "he_normal": ("nn.init.kaiming_normal_", _RELU),
}


class PyTorchEmission(Emission):
    """Layers are attributes of the module, applied in ``forward``."""

    target = "pytorch"
    title = "PyTorch"
    prefixes: ClassVar[Mapping[str, str]] = {
        "F": "import torch.nn.functional as F",
        "nn": "from torch import nn",
        "torch": "import torch",
    }

    def apply_tree(self, layer: Layer, xs: Sequence[Emitted], named: Mapping[str, Any]) -> Tree:
        return call(f"self.{layer.name}", [self._tree(x) for x in xs])

    def transposed(self, x: Value, axes: tuple[int, ...]) -> Value:
        return self.call("torch.permute", x, axes)

    def axis(self, x: Emitted, logical: int) -> int:
        return logical

    def channels_last(self, x: Emitted) -> Value:
        return self.logical(x)


def export(graph: Graph, data_loader: str) -> ExportedProject:
    """The folder's files but for the weights."""
    emission: PyTorchEmission = PyTorchEmission.of(graph)
    files = Files()
    cls = class_name(graph.name)
    _model(files, emission, cls)
    _data(files, emission, data_loader)
    _train(files, emission, cls)
    own = {"numpy": ">=1.26", "safetensors": ">=0.4.3", "torch": ">=2.6"}
    files.text("requirements.txt", requirements(data_loader, own))
    files.text("README.md", readme(emission, cls))
    return finished(emission, files)


def _model(files: Files, e: PyTorchEmission, cls: str) -> None:
    inputs = e.model_inputs
    given = {e.values[n.id].key: n.name for n in inputs}
    results = [v.key for v in e.outputs.values()]
    names = named_values(e.model, given, results, e.unique)
    w = Writer()
    w.put(f"class {cls}(nn.Module):")
    with w.indented():
        w.text('"""The network. Images have their channels first: (N, C, H, W)."""')
        w.blank()
        w.put("def __init__(self) -> None:")
        with w.indented():
            w.put("super().__init__()")
            for layer in e.layers:
                if layer.node.role == "layer":
                    w.put((f"self.{layer.name} = ", layer.constructor), node=layer.node.id)
            drawn = [x for x in e.layers if _initialisers(x)]
            if drawn:
                w.put("self.reset_parameters()")
        w.blank()
        if drawn:
            w.put("def reset_parameters(self) -> None:")
            with w.indented():
                w.text('"""Draw new weights from the distributions that the project names."""')
                for layer in drawn:
                    for line in _initialisers(layer):
                        w.put(line, node=layer.node.id)
            w.blank()
        arguments: list[Tree] = ["self", *(f"{n.name}: torch.Tensor" for n in inputs)]
        count = len(results)
        returned = "torch.Tensor" if count == 1 else f"tuple[{', '.join(['torch.Tensor'] * count)}]"
        first = len(w.lines) + 1
        w.put(("def forward", Bracket("(", tuple(arguments), ")"), f" -> {returned}:"))
        for n in inputs:
            w.mark(n.id, first, len(w.lines))
        with w.indented():
            for s in e.model.statements:
                tree: Tree = (f"{names[s.value.key]} = ", s.tree)
                w.put(tree, node=s.node.id, name_of=names.__getitem__)
            w.put(f"return {', '.join(names[k] for k in results)}")
    imports = e.imports(e.model) | {"import torch", "from torch import nn"}
    files.module("model.py", "The network as a PyTorch module.", imports, w)


def _initialisers(layer: Layer) -> list[Tree]:
    """Lines that draw a layer's weights; PyTorch's own values of a batch norm are ours too."""
    lines: list[Tree] = []
    for variable, stored in layer.inits:
        if not stored.trainable or stored.init == "ones":
            continue
        if stored.init == "zeros" and any(s.init == "ones" for _, s in layer.inits):
            continue
        function, options = _INITS[stored.init]
        lines.append(call(function, [f"self.{layer.name}.{variable}"], options))
    return lines


def _data(files: Files, e: PyTorchEmission, loader: str) -> None:
    w = Writer()
    shuffle = 'name == "train"' if e.graph.training.shuffle else "False"
    # A batch norm over a vector needs two samples: it refuses a last batch of one.
    single = any(n.spec.type_id == "layer.batch_norm" for n in e.graph.nodes)
    batch = literal(e.graph.training.batch_size)
    seed = literal(e.graph.training.seed)
    fields = tuple(f.field for f in e.feeds)
    w.put(("FIELDS = ", literal_items(fields)))
    w.blank(2)
    arguments = (f"batch_size: int = {batch}", f"seed: int = {seed}")
    returned = " -> dict[str, DataLoader]:"
    w.put(("def make_loaders", Bracket("(", arguments, ")"), returned))
    with w.indented():
        w.text('"""A loader for each split; its batches are the arrays of FIELDS in order."""')
        w.put("loaders = {}")
        w.put("for name, arrays in load_data().items():")
        with w.indented():
            w.put("tensors = [torch.from_numpy(arrays[field]) for field in FIELDS]")
            w.put("loaders[name] = DataLoader(")
            with w.indented():
                w.put("TensorDataset(*tensors),")
                w.put("batch_size=batch_size,")
                w.put(f"shuffle={shuffle},")
                if single:
                    w.put("# A batch norm cannot train on a last batch of one sample.")
                    w.put('drop_last=name == "train" and len(tensors[0]) % batch_size == 1,')
                w.put("generator=torch.Generator().manual_seed(seed),")
                w.put("pin_memory=torch.cuda.is_available(),")
            w.put(")")
        w.put("return loaders")
    imports = {"import torch", "from torch.utils.data import DataLoader, TensorDataset"}
    data_module(files, loader, imports, w)


def literal_items(items: Sequence[Any]) -> Tree:
    """A tuple literal that may be broken over lines."""
    return Bracket("(", tuple(literal(i) for i in items), ")", single=len(items) == 1)


def _train(files: Files, e: PyTorchEmission, cls: str) -> None:
    training = e.graph.training
    phase = training.phases[0]
    frozen = [x for x in e.layers if x.node.name in frozen_nodes(e.graph) and x.bindings]
    w = Writer()
    w.put(f"EPOCHS = {literal(phase.epochs)}")
    w.put(f"BATCH_SIZE = {literal(training.batch_size)}")
    w.put(f"SEED = {literal(training.seed)}")
    w.put("FOLDER = Path(__file__).resolve().parent")
    w.blank(2)
    feeds = e.feeds
    arguments = ["model: nn.Module", *(f"{f.name}: torch.Tensor" for f in feeds)]
    bracket = Bracket("(", tuple(arguments), ")")
    w.put(("def compute_loss", bracket, " -> dict[str, torch.Tensor]:"))
    with w.indented():
        w.text('"""Loss and metrics of one batch, each a mean over its samples."""')
        judge_lines(w, e, "model")
    w.blank(2)
    w.put("def make_optimizer(model: nn.Module) -> torch.optim.Optimizer:")
    with w.indented():
        w.text('"""The optimizer of the project, over all weights that may move."""')
        for layer in frozen:
            w.put(f"model.{layer.name}.requires_grad_(False)", node=layer.node.id)
        optimizer = optimizer_of(e.graph).emit_pytorch()
        if frozen:
            w.put("weights = [p for p in model.parameters() if p.requires_grad]")
        w.put(("return ", _optimizer(optimizer, "weights" if frozen else "model.parameters()")))
    w.blank(2)
    w.text(_LOOP.replace("CLASS", cls))
    imports = {
        "import argparse",
        "from pathlib import Path",
        "import torch",
        "from torch import nn",
        "from torch.utils.data import DataLoader",
        "from safetensors.torch import load_file, save_file",
        "from data import make_loaders",
        f"from model import {cls}",
        *e.imports(e.judges),
    }
    docstring = "Trains the network, tells how it does on each split, and keeps its weights."
    files.module("train.py", docstring, imports, w)


def _optimizer(optimizer: Call, weights: str) -> Tree:
    assert isinstance(optimizer.function, str)
    arguments = {k: literal(v) for k, v in optimizer.arguments.items()}
    return call(optimizer.function, [weights], arguments)


_LOOP = '''
class Means:
    """Means of loss and metrics, weighted by the number of samples of each batch."""

    def __init__(self) -> None:
        self.totals: dict[str, torch.Tensor] = {}
        self.samples = 0

    def add(self, values: dict[str, torch.Tensor], samples: int) -> None:
        for name, value in values.items():
            self.totals[name] = self.totals.get(name, 0.0) + value.detach() * samples
        self.samples += samples

    def result(self) -> dict[str, float]:
        return {name: t.item() / self.samples for name, t in self.totals.items()}


def train_epoch(
    model: nn.Module,
    loader: DataLoader,
    optimizer: torch.optim.Optimizer,
    device: torch.device,
) -> dict[str, float]:
    """One pass over the training split; returns the means over it."""
    model.train()
    means = Means()
    for batch in loader:
        batch = [tensor.to(device, non_blocking=True) for tensor in batch]
        optimizer.zero_grad(set_to_none=True)
        values = compute_loss(model, *batch)
        values["loss"].backward()
        optimizer.step()
        means.add(values, len(batch[0]))
    return means.result()


@torch.inference_mode()
def evaluate(
    model: nn.Module, loader: DataLoader, device: torch.device
) -> dict[str, float]:
    """Means over a split, without training."""
    model.eval()
    means = Means()
    for batch in loader:
        batch = [tensor.to(device, non_blocking=True) for tensor in batch]
        means.add(compute_loss(model, *batch), len(batch[0]))
    return means.result()


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Fill the model from a weights file; names and shapes must agree exactly."""
    model.load_state_dict(load_file(path))


def save_weights(model: nn.Module, path: str | Path) -> None:
    """Write the model's weights so that every framework's script can read them."""
    arrays = model.state_dict()
    kept = {k: v for k, v in arrays.items() if not k.endswith("num_batches_tracked")}
    save_file(kept, path)


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

    torch.manual_seed(args.seed)
    if torch.accelerator.is_available():
        device = torch.accelerator.current_accelerator()
    else:
        device = torch.device("cpu")
    loaders = make_loaders(args.batch_size, args.seed)
    model = CLASS()
    weights = args.weights
    if weights is None and args.evaluate:
        weights = FOLDER / "weights.safetensors"
    if weights is not None:
        load_weights(model, weights)
    model.to(device)

    if not args.evaluate:
        optimizer = make_optimizer(model)
        for epoch in range(1, args.epochs + 1):
            show(
                f"epoch {epoch}/{args.epochs}",
                train_epoch(model, loaders["train"], optimizer, device),
            )
            if len(loaders["validation"]):
                show("  validation", evaluate(model, loaders["validation"], device))
        args.out.mkdir(parents=True, exist_ok=True)
        save_weights(model, args.out / "weights.safetensors")
        print(f"weights are in {args.out / 'weights.safetensors'}")
    if len(loaders["test"]):
        show("test", evaluate(model, loaders["test"], device))


if __name__ == "__main__":
    main()
'''
