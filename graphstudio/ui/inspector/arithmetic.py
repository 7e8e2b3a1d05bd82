"""Numbers as they may be typed: ``128``, ``1e-3``, ``=3*64``. Nothing is ever executed."""

from __future__ import annotations

import ast
import operator

MAX_LENGTH = 100
MAX_POWER = 64
MAX_SIZE = 10**300

_BINARY = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY = {ast.UAdd: operator.pos, ast.USub: operator.neg}


def evaluate(text: str) -> int | float:
    """Value of a number or of arithmetic on numbers.

    Raises
    ------
    ValueError
        If the text is anything else: a name, a call, a division by zero.
    """
    text = text.strip().removeprefix("=").strip()
    if not text or len(text) > MAX_LENGTH:
        raise ValueError("no number")
    try:
        value = _value(ast.parse(text, mode="eval").body)
    except (SyntaxError, ArithmeticError, RecursionError, MemoryError) as error:
        raise ValueError("no number") from error
    if not abs(value) < MAX_SIZE:
        raise ValueError("too large")
    return value


def _value(tree: ast.expr) -> int | float:
    match tree:
        case ast.Constant(value=value) if type(value) in (int, float):
            return value
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return _UNARY[type(op)](_value(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            a, b = _value(left), _value(right)
            if isinstance(op, ast.Pow) and abs(b) > MAX_POWER:
                raise ValueError("power too large")
            result = _BINARY[type(op)](a, b)
            if isinstance(result, complex) or not abs(result) < MAX_SIZE:
                raise ValueError("no real number of a sensible size")
            return result
    raise ValueError("no number")
