"""Compares Input and Target nodes with the fields of the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphstudio.document.model import Node
from graphstudio.ir.diagnostics import Diagnostic
from graphstudio.ir.graph import DataField
from graphstudio.nodes.spec import NodeType
from graphstudio.nodes.types import Fix, Message, SetParam, TensorType


@dataclass(frozen=True)
class DataView:
    """What is known of the data without loading it."""

    fields: tuple[DataField, ...] = ()
    problem: Message | None = None
    """Why there are no fields; Input and Target nodes are then not compared."""

    def find(self, name: str) -> DataField | None:
        """The field of this name."""
        return next((f for f in self.fields if f.name == name), None)


def params_from_data(cls: type[NodeType], data: DataView) -> dict[str, Any]:
    """Parameters with which a new Input or Target node reads the data as they are, if known."""
    if cls.role not in ("input", "target"):
        return {}
    wanted = "float32" if cls.role == "input" else "int64"
    field = next((f for f in data.fields if f.type.dtype == wanted), None)
    if field is None:
        return {}
    params: dict[str, Any] = {"field": field.name, "shape": tuple(field.type.sample_shape)}
    if cls.role == "target" and field.type.classes is not None:
        params["num_classes"] = field.type.classes
    defaults = cls()
    return {name: value for name, value in params.items() if getattr(defaults, name) != value}


def input_problems(
    record: Node, node: NodeType, declared: TensorType, data: DataView
) -> tuple[Diagnostic, ...]:
    """Where an Input or Target node disagrees with the field that it names."""
    if data.problem is not None or not data.fields:
        return ()
    name: str = getattr(node, "field")  # noqa: B009  # NodeType itself does not declare it
    field = data.find(name)
    if field is None:
        return (_no_field(record, node, name, data),)
    if node.role == "input":
        return _compare_input(record, declared, field)
    return _compare_target(record, declared, field)


def _no_field(record: Node, node: NodeType, name: str, data: DataView) -> Diagnostic:
    wanted = [f.name for f in data.fields if (f.type.dtype == "float32") == (node.role == "input")]
    return Diagnostic(
        code="data-field",
        severity="error",
        node=record.id,
        param="field",
        message=Message(
            "'{node}' reads the data field '{field}', but the data has {fields}",
            {
                "node": record.label,
                "field": name,
                "fields": ", ".join(f"'{f.name}'" for f in data.fields),
            },
        ),
        hint=Message("Choose one of the data's fields."),
        fixes=tuple(
            SetParam(Message("Read the field '{field}'", {"field": other}), "field", other)
            for other in wanted
        ),
    )


def _compare_input(record: Node, declared: TensorType, field: DataField) -> tuple[Diagnostic, ...]:
    if field.type.dtype != "float32":
        return (
            _wrong(
                record,
                "field",
                Message(
                    "'{node}' reads '{field}', which holds class ids, not numbers to learn from",
                    {"node": record.label, "field": field.name},
                ),
                Message("Use a Target node for class ids."),
            ),
        )
    return _compare_shape(record, declared, field)


def _compare_target(record: Node, declared: TensorType, field: DataField) -> tuple[Diagnostic, ...]:
    args = {"node": record.label, "field": field.name}
    if field.type.dtype != declared.dtype:
        kind = "classes" if field.type.dtype == "int64" else "values"
        message = (
            Message("'{node}' expects values, but the field '{field}' holds class ids", args)
            if kind == "classes"
            else Message("'{node}' expects class ids, but the field '{field}' holds values", args)
        )
        fix = SetParam(Message("Set the kind to '{kind}'", {"kind": kind}), "kind", kind)
        return (_wrong(record, "kind", message, None, fix),)
    classes = field.type.classes
    if classes is not None and declared.classes is not None and classes != declared.classes:
        title = Message("Set the number of classes to {classes}", {"classes": classes})
        message = Message(
            "'{node}' expects {expected} classes, but the field '{field}' has {found}",
            {**args, "expected": declared.classes, "found": classes},
        )
        return (
            _wrong(record, "num_classes", message, None, SetParam(title, "num_classes", classes)),
            *_compare_shape(record, declared, field),
        )
    return _compare_shape(record, declared, field)


def _compare_shape(record: Node, declared: TensorType, field: DataField) -> tuple[Diagnostic, ...]:
    found = field.type.sample_shape
    if declared.sample_shape == found:
        return ()
    message = Message(
        "'{node}' expects samples of shape {expected}, but the field '{field}' has {found}",
        {
            "node": record.label,
            "expected": declared.sample_shape,
            "field": field.name,
            "found": found,
        },
    )
    title = Message("Set the shape to {shape}", {"shape": found})
    return (_wrong(record, "shape", message, None, SetParam(title, "shape", found)),)


def _wrong(
    record: Node, param: str, message: Message, hint: Message | None, *fixes: Fix
) -> Diagnostic:
    extra: dict[str, Any] = {"hint": hint} if hint is not None else {}
    return Diagnostic(
        code=f"data-{param.replace('_', '-')}",
        severity="error",
        node=record.id,
        param=param,
        message=message,
        fixes=fixes,
        **extra,
    )
