"""What the commands print: results on standard output, progress and problems on standard error."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from graphstudio.i18n import render, sentence, tr
from graphstudio.nodes.types import Message

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

OK, PROBLEMS, USAGE = 0, 1, 2
"""Exit codes: every part held; problems found or a part failed; the call was wrong."""


class Output:
    """Where a command writes. With ``as_json`` standard output gets one object, at the end."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.report: dict[str, Any] = {}
        """What the JSON object will hold."""
        self._err: Console | None = None

    @property
    def err(self) -> Console:
        """Console on standard error, made when first needed: rich takes a while to import."""
        if self._err is None:
            from rich.console import Console

            self._err = Console(stderr=True, highlight=False, soft_wrap=True)
        return self._err

    def result(self, text: str) -> None:
        """A line of the result; beside a JSON object it goes to standard error."""
        if self.as_json:
            self.note(text)
        else:
            print(harmless(text), flush=True)

    def note(self, text: str, style: str = "") -> None:
        """A line about what is going on."""
        self.err.print(harmless(text), style=style or None, markup=False)

    def problem(self, message: Message | str, hint: Message | str | None = None) -> None:
        """An error, with how to mend it; also noted in the report."""
        said = render(message) if isinstance(message, Message) else message
        self.note(tr("Error: {message}", message=said), style="bold red")
        told = render(hint) if isinstance(hint, Message) else hint or ""
        if told:
            self.note("  " + told)
        self.report.setdefault("error", {"message": said, "hint": told})

    def failure(self, error: Exception) -> None:
        """An exception of a service, in the words that it brings along if it does."""
        for message, hint in told(error):
            self.problem(message, hint)

    def progress(self) -> Progress:
        """Progress bars on standard error."""
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            console=self.err,
            transient=False,
        )

    def finish(self, code: int) -> int:
        """Print the JSON object if one is wanted; returns ``code``."""
        if self.as_json:
            sys.stdout.flush()
            text = json.dumps(plain(self.report), ensure_ascii=False, allow_nan=False)
            print(text.translate(_ESCAPED))
        sys.stdout.flush()
        return code


def told(error: Exception) -> Iterator[tuple[Message | str, Message | None]]:
    """What an exception says, and how to mend it: in its own messages if it brings any."""
    for problem in getattr(error, "problems", None) or (error,):
        message = problem if isinstance(problem, Message) else getattr(problem, "message", None)
        hint = getattr(problem, "hint", None)
        said = message if isinstance(message, Message) else str(problem)
        yield said or type(problem).__name__, hint if isinstance(hint, Message) else None


def in_words(error: Exception) -> str:
    """All of that as sentences in the active language."""
    parts = (part for pair in told(error) for part in pair if part is not None)
    return " ".join(sentence(p) if isinstance(p, Message) else p for p in parts)


_ESCAPED = {n: f"\\u{n:04x}" for n in range(0x7F, 0xA0)}
"""Controls that JSON need not escape and some terminals obey."""
_CONTROLS = {n: "\ufffd" for n in (*range(32), *range(0x7F, 0xA0)) if chr(n) not in "\n\t"}


def harmless(text: str) -> str:
    """The text without what a terminal would obey: a project's labels may hold anything."""
    return text.translate(_CONTROLS)


def plain(value: Any) -> Any:
    """The value as strict JSON can carry it; NaN and infinity become words."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def figures(values: Iterable[tuple[str, float]]) -> str:
    """Named numbers on one line, such as ``loss 0.0312   accuracy 0.9917``."""
    return "   ".join(f"{name} {value:.4f}" for name, value in values)
