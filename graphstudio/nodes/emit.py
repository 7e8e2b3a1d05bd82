"""What the ``emit_*`` methods of a node may ask of an exporter.

A node's details stand in the node's file: which layer or function of a framework it is, with
which arguments, and how that layer's variables are filled from the stored weights. What is true of
a whole target (names, imports, memory layout, training loop) stands in its exporter. The methods
get one value an input port and return one value, or ``Unsupported``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from graphstudio.nodes.types import Message, Shape, TensorType


@dataclass(frozen=True)
class Layout:
    """How the logical axes of a value lie in emitted code.

    ``order`` lists the logical axes as they lie in memory; None: as in the graph. ``flattened`` is
    the logical sample shape ``(C, H, W)`` of a vector that was flattened from channels-last memory,
    so that its entries are permuted; the weights that read it are permuted alike.
    """

    order: tuple[int, ...] | None = None
    flattened: tuple[int, ...] = ()

    def axis(self, logical: int) -> int:
        """Where a logical axis (not negative) lies."""
        return logical if self.order is None else self.order.index(logical)

    def shape(self, shape: Shape) -> Shape:
        """A logical shape in this layout."""
        return shape if self.order is None else tuple(shape[i] for i in self.order)


LOGICAL = Layout()


def channels_last_layout(rank: int) -> Layout:
    """Batch, spatial axes, channels."""
    return Layout(order=(0, *range(2, rank), 1))


class Emitted(Protocol):
    """A tensor in emitted code. ``type`` is logical, as in the graph."""

    @property
    def type(self) -> TensorType: ...

    @property
    def layout(self) -> Layout: ...


@dataclass(frozen=True)
class Weight:
    """How a variable is filled from a stored array, which has PyTorch's name and layout.

    Parameters
    ----------
    name : str
        Local name, as ``lower`` gives it.
    axes : tuple of int
        Order of the stored axes in the variable; empty: as stored.
    split : tuple of int
        Shape in which the stored array is read before its axes are ordered; -1 is its first size.
    """

    name: str
    axes: tuple[int, ...] = ()
    split: tuple[int, ...] = ()


def matrix(name: str, x: Emitted) -> Weight:
    """The weight ``(out, in)`` of an affine map of ``x`` for a framework that stores (in, out)."""
    if x.layout.flattened:
        return Weight(name, (2, 3, 1, 0), (-1, *x.layout.flattened))
    return Weight(name, (1, 0))


def vector(name: str, x: Emitted) -> Weight:
    """A weight with one entry a channel of ``x``."""
    if x.layout.flattened:
        return Weight(name, (1, 2, 0), x.layout.flattened)
    return Weight(name)


def kernel(name: str) -> Weight:
    """The weight ``(out, in, kh, kw)`` of a convolution for frameworks with channels last."""
    return Weight(name, (2, 3, 1, 0))


@dataclass(frozen=True)
class Unsupported:
    """A target cannot express the node."""

    reason: Message
    suggestion: Message


@dataclass(frozen=True)
class Code:
    """A piece of code as an argument, instead of a value to be written as a literal.

    Only for text that stands in a node's file, never for anything a user has typed.
    """

    text: str


@dataclass(frozen=True)
class Call:
    """A call that makes a value which is no tensor, such as an optimiser or an initialiser."""

    function: str | Snippet
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Snippet:
    """A class or function that an export brings along because the framework has no such thing.

    ``source`` is complete Python without imports; ``imports`` are whole import statements.
    """

    name: str
    source: str
    imports: tuple[str, ...] = ()
    uses: tuple[Snippet, ...] = field(default=())


class Emitter(Protocol):
    """What an exporter offers. Names and imports are its affair.

    Values among the arguments (also inside a tuple) become names, everything else is written as a
    literal. A dotted name such as ``F.relu`` brings its import along. A result lies as the first
    value does, if it has the rank of the node's output, and in logical order otherwise.
    """

    def layer(
        self,
        cls: str | Snippet,
        *args: Any,
        weights: Mapping[str, str | Weight] = ...,
        suffix: str = "",
        **kwargs: Any,
    ) -> Callable[..., Emitted]:
        """A layer object, to be applied to values. ``weights``: its variable to the stored array.

        Only the node's main layer has no ``suffix``.
        """
        ...

    def call(self, function: str | Snippet, *args: Any, **kwargs: Any) -> Emitted:
        """The result of a function."""
        ...

    def expression(self, template: str, *args: Any) -> Emitted:
        """The result of an expression with ``{0}``, ``{1}``, ... for the arguments."""
        ...

    def axis(self, x: Emitted, logical: int) -> int:
        """Where a logical axis of ``x`` lies, the last one as -1."""
        ...

    def logical(self, x: Emitted) -> Emitted:
        """``x`` with its axes as in the graph."""
        ...

    def channels_last(self, x: Emitted) -> Emitted:
        """An image ``x`` with its channels last."""
        ...

    def aligned(self, *xs: Emitted) -> tuple[Emitted, ...]:
        """All values in one layout."""
        ...

    def flattenable(self, x: Emitted) -> Emitted:
        """``x`` as it may be flattened: in logical order, unless all that follows needs none."""
        ...

    def laid(self, y: Emitted, layout: Layout) -> Emitted:
        """The same value, known to lie otherwise than the rule above says."""
        ...


def pair(size: Sequence[int]) -> int | tuple[int, ...]:
    """``(3, 3)`` as frameworks write it: ``3``."""
    return size[0] if len(set(size)) == 1 else tuple(size)


def flattened(x: Emitted) -> Layout:
    """Layout of ``x`` after its axes were joined in the order in which they lie."""
    sample = x.type.sample_shape
    if x.layout.order is None or len(sample) != 3:
        return LOGICAL
    sizes = tuple(d for d in sample if isinstance(d, int))
    # With one channel or one pixel both orders are the same.
    if sizes[0] == 1 or math.prod(sizes[1:]) == 1:
        return LOGICAL
    return Layout(flattened=sizes)


_RESERVED = """
F Layout T_destination activity_regularizer add_loss add_metric add_module add_variable
add_weight apply args arrays autocast axes batch bfloat16 buffers build build_model call
call_super_init children cls compile compile_model compute_loss count_params cpu cuda data
dataclass dataset datasets device double dtype dump_patches entry epoch eval evaluate export
extra_repr fit forward frozen functools get_buffer get_config get_extra_state get_layer
get_parameter get_submodule half history identity image_data_format initializers inputs ipu
keepdims keras l2 label_smoothing layers load_arrays load_data load_state_dict load_weights
loaders loss losses main make_datasets make_loaders math metrics model modules mtia name
name_scope named_buffers named_children named_modules named_parameters nn
non_trainable_variables non_trainable_weights np numpy ops optimizer outputs parameters path
predict reduction register_backward_hook register_buffer register_forward_hook
register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
reset_parameters save save_weights seed self serve set_extra_state set_submodule share_memory
state_dict stateless_call submodules summary tape targets tf to to_empty torch train train_step
trainable trainable_variables trainable_weights training type values variables weights
with_name_scope x xpu zero_grad
"""

# Names that no node may have in exported code: what every script imports or binds, and what the
# frameworks' base classes define. PyTorch keeps a node's layer as an attribute of that name, and an
# attribute called "train" would take the place of the method.
RESERVED_NAMES: frozenset[str] = frozenset(_RESERVED.split())
