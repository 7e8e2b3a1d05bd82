"""Keeps an exception in a nested Qt override from ending the program."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")


def guarded(method: Callable[P, None]) -> Callable[P, None]:
    """Override that reports its exceptions through ``sys.excepthook`` instead of letting them out.

    Needed where Qt calls it from within another override's ``super()`` call, as it calls ``paint``
    from ``paintEvent``: PySide then hands the exception from one to the other, and up to 6.11 on
    Python 3.11 crashes if it is one that C code has raised and nobody has caught yet.
    """

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except Exception:
            sys.excepthook(*sys.exc_info())

    return call
