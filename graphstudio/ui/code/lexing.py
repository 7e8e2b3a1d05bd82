"""Python text to coloured spans. Qt-free and thread-safe: long files are lexed off the window."""

from __future__ import annotations

from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String, Token

Span = tuple[int, int, str]
"""First column, length in UTF-16 units, as Qt counts them, and theme token."""

# Order matters: the first type that contains a token's type names its colour.
_COLORS = (
    (String.Interpol, "code_number"),
    (String, "code_string"),
    (Comment, "code_comment"),
    (Number, "code_number"),
    (Operator.Word, "code_keyword"),
    (Keyword.Constant, "code_number"),
    (Keyword, "code_keyword"),
    (Name.Builtin.Pseudo, "code_builtin"),
    (Name.Builtin, "code_builtin"),
    (Name.Exception, "code_builtin"),
    (Name.Decorator, "code_keyword"),
    (Name.Function, "code_name"),
    (Name.Class, "code_name"),
    (Name.Namespace, "code_name"),
    (Token, ""),
)


def spans_of(text: str) -> list[list[Span]]:
    """Coloured spans of each line of a Python text."""
    lines: list[list[Span]] = [[]]
    column = 0
    lexer = PythonLexer(stripnl=False, ensurenl=False)
    for kind, value in lexer.get_tokens(text):
        color = next(name for token, name in _COLORS if kind in token)
        pieces = value.split("\n")
        for i, piece in enumerate(pieces):
            if i:
                lines.append([])
                column = 0
            length = utf16_length(piece)
            if color and length:
                lines[-1].append((column, length, color))
            column += length
    return lines


def utf16_length(text: str) -> int:
    """Length as Qt counts it: characters beyond U+FFFF count twice."""
    return len(text) + sum(c > "\uffff" for c in text)
