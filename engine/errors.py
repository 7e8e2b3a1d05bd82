"""What the engine raises when it is asked for something that cannot be."""

from __future__ import annotations


class EngineError(ValueError):
    """Base of all errors that the engine raises for a wrong request."""


class ShapeError(EngineError):
    """Shapes that do not fit: says what was found, what was expected and how to mend it."""


class DTypeError(ShapeError):
    """Element types that do not fit. The engine never promotes silently."""


class NotDifferentiableError(EngineError):
    """A gradient was asked of an operation that has none."""


class PlanError(EngineError):
    """A plan was described or fed wrongly: unknown name, missing input, wrong batch."""
