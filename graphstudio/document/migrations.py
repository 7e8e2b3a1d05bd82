"""Brings projects of older formats up to date, one function a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphstudio.document.limits import FormatError
from graphstudio.document.model import FORMAT
from graphstudio.nodes.types import Message

Step = Callable[[dict[str, Any]], dict[str, Any]]

STEPS: Mapping[int, Step] = {}
"""Format number to the function that turns a project of it into one of the next format."""


def migrate(
    body: dict[str, Any], *, steps: Mapping[int, Step] = STEPS, newest: int = FORMAT
) -> dict[str, Any]:
    """The project in the newest format; ``body`` itself if it is in that format already.

    Raises
    ------
    FormatError
        If the format is missing, newer than this version, or too old for it.
    """
    number = body.get("format")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise FormatError(
            [
                Message(
                    "format: expected the number of a format, 1 to {newest}; this is not a project",
                    {"newest": newest},
                )
            ]
        )
    if number > newest:
        raise FormatError(
            [
                Message(
                    "the project was saved by a newer version of graphstudio (format {found}, this "
                    "version reads up to {newest}); update graphstudio to open it",
                    {"found": str(number)[:20], "newest": newest},
                )
            ]
        )
    while number < newest:
        if number not in steps:
            raise FormatError(
                [
                    Message(
                        "format {found} is too old for this version of graphstudio",
                        {"found": number},
                    )
                ]
            )
        body = steps[number](body)
        number += 1
        body["format"] = number
    return body
