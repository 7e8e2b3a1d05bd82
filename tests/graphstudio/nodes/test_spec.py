from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphstudio.nodes.spec import ParamSpec, UnaryNode, build, catalog, param, params_of, register
from graphstudio.nodes.types import Message, TensorType, format_shape

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
SPECS = [spec for cls in catalog().values() for spec in params_of(cls)]


@given(st.sampled_from(SPECS), anything)
def test_any_value_is_accepted_or_refused_with_a_sentence(spec: ParamSpec, value):
    problem = spec.problem(value)
    if problem is None:
        assert spec.problem(spec.coerce(value)) is None
        assert isinstance(spec.coerce(value), type(spec.default))
    else:
        assert 0 < len(str(problem)) < 400


@given(st.sampled_from(sorted(catalog())), st.dictionaries(st.text(max_size=8), anything))
def test_any_parameters_give_a_node_or_problems(type_id, params):
    cls = catalog()[type_id]
    named = dict(zip((p.name for p in params_of(cls)), params.values(), strict=False))
    node, problems = build(cls, params | named)
    assert (node is None) == bool(problems)


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), [1]])
def test_a_number_is_a_number(value):
    spec = ParamSpec("rate", "float", 0.5, "Doc.", "Rate", low=0.0, high=1.0)
    assert spec.problem(value) is not None


@pytest.mark.parametrize(("value", "fine"), [(0.0, False), (1e-9, True), (1.0, True), (1.1, False)])
def test_an_open_limit_excludes_itself(value, fine):
    spec = ParamSpec("rate", "float", 0.5, "Doc.", "Rate", low=0.0, low_open=True, high=1.0)
    assert (spec.problem(value) is None) == fine


def test_a_second_owner_of_an_id_is_refused():
    with pytest.raises(ValueError, match=r"layer\.dense.*dense"):

        @register
        @dataclass(frozen=True, kw_only=True)
        class Other(UnaryNode):
            """Takes another's name."""

            type_id = "layer.dense"
            label = "Other"
            category = "Layers"

            size: int = param(1, doc="Size.")

            def infer(self, x):
                return x

            def lower(self, b, x):
                return x


def test_messages_show_shapes_and_messages_in_them():
    inner = Message("rank {rank}", {"rank": 2})
    outer = Message("expected {what}, got {shape}", {"what": inner, "shape": ("N", 3)})
    assert str(outer) == "expected rank 2, got (N, 3)"


def test_braces_in_a_user_s_text_are_shown_as_they_are():
    assert str(Message("'{name}'", {"name": "{0.__class__}"})) == "'{0.__class__}'"
    assert str(Message("no {places}")) == "no {places}"


def test_shapes_are_written_as_readers_write_them():
    assert format_shape(("N",)) == "(N,)"
    assert format_shape(()) == "()"
    assert str(TensorType(("N", 3, 8, 8))) == "(N, 3, 8, 8)"


def test_sample_size_needs_known_sizes():
    assert TensorType(("N", 2, 3)).sample_size == 6
    assert TensorType(("N", "T", 3)).sample_size is None
    assert TensorType(()).sample_size == 1
