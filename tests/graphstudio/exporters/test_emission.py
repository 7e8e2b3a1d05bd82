"""Names, layouts and refusals, read from the exported text."""

from __future__ import annotations

import ast
import dataclasses
import re
from typing import Any

import pytest

from graphstudio.document.model import Choice, Phase, Training
from graphstudio.exporters import TARGETS, ExportError, export
from graphstudio.exporters.keras import KerasEmission
from graphstudio.ir.graph import Source
from graphstudio.ir.names import RESERVED
from graphstudio.nodes.emit import RESERVED_NAMES

CNN = (
    ("conv", "layer.conv2d", {"filters": 4}),
    ("relu", "act.relu", {}),
    ("pool", "layer.max_pool2d", {}),
    ("flat", "shape.flatten", {}),
    ("dense", "layer.dense", {"units": 10}),
)


def model_of(graph: Any, target: str, loader: str) -> str:
    return export(graph, target, data_loader=loader).files["model.py"]


def body_of(text: str, function: str) -> list[str]:
    tree = ast.parse(text)
    found = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == function)
    return [ast.unparse(n) for n in found.body]


def test_a_chain_is_written_over_one_name(graphs: Any) -> None:
    text = model_of(graphs.chain(*CNN), "pytorch", graphs.loader)
    assert body_of(text, "forward") == [
        "x = self.conv(image)",
        "x = F.relu(x)",
        "x = F.max_pool2d(x, kernel_size=2, stride=2, padding=0)",
        "x = torch.flatten(x, start_dim=1)",
        "x = self.dense(x)",
        "return x",
    ]


def test_a_value_that_is_read_twice_has_the_name_of_its_node(graphs: Any) -> None:
    rows = [
        ("image", "io.input", {"shape": [6]}, []),
        ("fork", "act.relu", {}, ["image"]),
        ("left", "layer.dense", {"units": 6}, ["fork"]),
        ("joined", "merge.add", {}, ["left", "fork"]),
        ("label", "io.target", {"num_classes": 6}, []),
        ("cost", "loss.cross_entropy", {}, ["joined", "label"]),
    ]
    text = model_of(graphs.graph(rows), "pytorch", graphs.loader)
    assert body_of(text, "forward") == [
        "fork = F.relu(image)",
        "x = self.left(fork)",
        "x = x + fork",
        "return x",
    ]


def test_a_flatten_before_a_dense_layer_permutes_its_rows_not_the_values(graphs: Any) -> None:
    exported = export(graphs.chain(*CNN), "keras", data_loader=graphs.loader)
    assert "Permute" not in exported.files["model.py"]
    assert "split=(10, 4, 4, 4)" in exported.files["weights.py"]


def test_a_flatten_whose_order_matters_is_permuted(graphs: Any) -> None:
    graph = graphs.chain(
        *CNN[:3],
        ("flat", "shape.flatten", {}),
        ("soft", "act.softmax", {}),
        ("back", "shape.reshape", {"shape": [8, 8]}),
        ("out", "shape.flatten", {}),
        ("dense", "layer.dense", {"units": 10}),
    )
    exported = export(graph, "keras", data_loader=graphs.loader)
    assert "layers.Permute((3, 1, 2)" in exported.files["model.py"]
    assert "split" not in exported.files["weights.py"].partition("WEIGHTS = {")[2].partition("}")[0]


def test_a_chain_of_layers_is_sequential_and_a_function_makes_it_functional(graphs: Any) -> None:
    plain = graphs.chain(*CNN)
    assert "keras.Sequential(" in model_of(plain, "keras", graphs.loader)
    gelu = graphs.chain(("act", "act.gelu", {"approximate": "tanh"}), *CNN)
    assert "keras.Model(" in model_of(gelu, "keras", graphs.loader)


@pytest.mark.parametrize("target", TARGETS)
def test_every_node_with_a_line_is_in_the_line_map(graphs: Any, target: str) -> None:
    graph = graphs.chain(*CNN)
    exported = export(graph, target, data_loader=graphs.loader)
    for node in graph.nodes:
        if node.role == "target":
            continue
        places = exported.line_map[node.id]
        for file, first, last in places:
            lines = exported.files[file].split("\n")[first - 1 : last]
            assert lines
            assert all(line.strip() for line in lines)
    conv = [exported.files[f].split("\n")[first - 1] for f, first, _ in exported.line_map["conv"]]
    assert any("Conv2" in line for line in conv)


@pytest.mark.parametrize("target", TARGETS)
def test_the_export_is_the_same_every_time(graphs: Any, target: str) -> None:
    first, second = (
        export(graphs.chain(*CNN), target, data_loader=graphs.loader) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("target", TARGETS)
def test_frozen_weights_do_not_move(graphs: Any, target: str) -> None:
    training = Training(phases=(Phase(frozen=("dense",)),))
    exported = export(graphs.chain(*CNN, training=training), target, data_loader=graphs.loader)
    train = exported.files["train.py"]
    line = {
        "pytorch": "model.dense.requires_grad_(False)",
        "tensorflow": "frozen |= {v.ref() for v in model.dense.trainable_variables}",
        "keras": 'model.get_layer("dense").trainable = False',
    }
    assert line[target] in train
    assert re.search(r"requires_grad_|frozen|trainable = False", train)


@pytest.mark.parametrize("target", TARGETS)
def test_an_unknown_optimiser_is_refused(graphs: Any, target: str) -> None:
    graph = graphs.chain(*CNN)
    odd = Training(phases=(Phase(optimizer=Choice(kind="none such")),))
    changed = type(graph)(graph.name, graph.nodes, graph.data, odd)
    with pytest.raises(ExportError, match="none such"):
        export(changed, target, data_loader=graphs.loader)


def test_an_unknown_target_is_refused(graphs: Any) -> None:
    with pytest.raises(ExportError, match="pytorch, tensorflow, keras"):
        export(graphs.chain(*CNN), "caffe", data_loader=graphs.loader)


def test_keras_says_which_loss_it_cannot_compile(graphs: Any) -> None:
    rows = [
        ("image", "io.input", {"shape": [6]}, []),
        ("a", "layer.dense", {"units": 6}, ["image"]),
        ("b", "layer.dense", {"units": 6}, ["image"]),
        ("cost", "loss.mse", {}, ["a", "image"]),
        ("more", "loss.mse", {}, ["b", "image"]),
    ]
    graph = graphs.graph(rows)
    # The checker does not let a layer be a target today; the exporters do not rely on it.
    nodes = tuple(
        dataclasses.replace(n, inputs=(Source("a"), Source("b"))) if n.id == "cost" else n
        for n in graph.nodes
    )
    between_layers = dataclasses.replace(graph, nodes=nodes)
    with pytest.raises(ExportError, match="'cost' does not compare") as refused:
        export(between_layers, "keras", data_loader=graphs.loader)
    assert refused.value.problems[0].node == "cost"
    for target in ("pytorch", "tensorflow"):
        assert export(between_layers, target, data_loader=graphs.loader).files


def test_a_node_that_pytorch_lacks_is_named_with_a_way_out(graphs: Any) -> None:
    rows = [
        ("image", "io.input", {"shape": [2, 2, 2, 2, 2]}, []),
        ("norm", "layer.batch_norm", {}, ["image"]),
        ("flat", "shape.flatten", {}, ["norm"]),
        ("dense", "layer.dense", {"units": 10}, ["flat"]),
        ("label", "io.target", {}, []),
        ("cost", "loss.cross_entropy", {}, ["dense", "label"]),
    ]
    with pytest.raises(ExportError) as refused:
        export(graphs.graph(rows), "pytorch", data_loader=graphs.loader)
    (problem,) = refused.value.problems
    assert problem.node == "norm"
    assert problem.hint is not None
    assert "'norm'" in str(problem.hint)


def test_names_of_the_exported_code_are_kept_from_nodes() -> None:
    assert RESERVED_NAMES <= RESERVED
    assert {"x", "self", "training", "forward", "train", "layers", "torch"} <= RESERVED_NAMES


@pytest.mark.torch
def test_no_attribute_of_a_module_is_a_node_name() -> None:
    import torch

    names = {n for n in dir(torch.nn.Module()) if not n.startswith("_") and n.isidentifier()}
    assert {n for n in names if n.islower()} <= RESERVED


def test_bindings_cover_every_stored_array_of_every_target(graphs: Any) -> None:
    graph = graphs.chain(*CNN[:1], ("norm", "layer.batch_norm", {}), *CNN[1:])
    emission = KerasEmission.of(graph)
    stored = {b.stored for layer in emission.layers for b in layer.bindings}
    assert stored == {
        "conv.weight",
        "conv.bias",
        "norm.weight",
        "norm.bias",
        "norm.running_mean",
        "norm.running_var",
        "dense.weight",
        "dense.bias",
    }
