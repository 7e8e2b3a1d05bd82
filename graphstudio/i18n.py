"""Translations: English sentences are keys; one file a room in ``resources/i18n/<language>/``.

One catalogue serves the checker, the command line, the nodes and the windows, and needs no build
step, which is why it is not Qt's ``.ts``/``.qm``. Qt's own dialogs use Qt's own translation.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from graphstudio.nodes.types import Message
from graphstudio.resources import resource

LANGUAGES = {"en": "English", "zh": "中文"}


class _Active:
    language = "en"


def set_language(language: str) -> None:
    """Language of everything that is shown from now on; views then re-read their texts.

    Raises
    ------
    ValueError
        For a language without a catalogue.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r} is not one of {', '.join(LANGUAGES)}")
    _Active.language = language


def language() -> str:
    """Code of the active language."""
    return _Active.language


@functools.cache
def catalogue(language: str) -> dict[str, str]:
    """English text to translation, merged from every file of the language."""
    merged: dict[str, str] = {}
    folder = resource("i18n", language)
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        merged.update(json.loads(path.read_text(encoding="utf-8")))
    return merged


def tr(text: str, **args: Any) -> str:
    """``text`` in the active language, with ``{name}`` places filled from ``args``.

    Call it with a literal: a test collects the literals and checks that each is translated.
    """
    return render(Message(text, args))


def render(message: Message) -> str:
    """A message in the active language, the messages among its arguments included."""
    if _Active.language == "en":
        return message.render()
    translations = catalogue(_Active.language)
    args = {k: render(v) if isinstance(v, Message) else v for k, v in message.args.items()}
    text = translations.get(message.template, message.template)
    return Message(message.template, args).render(text)


def sentence(message: Message) -> str:
    """A message that stands alone: with a capital letter, and a full stop where it has none.

    Messages are written as parts, to follow a name or a colon. One that begins with an argument
    keeps its letter: the name of a file or a node has its own.
    """
    text = render(message)
    if text and _begins_with_words(message):
        text = text[0].upper() + text[1:]
    return text if not text or text[-1] in ".!?。！？" else text + _FULL_STOP[_Active.language]


_FULL_STOP = {"en": ".", "zh": "。"}


def _begins_with_words(message: Message) -> bool:
    template = message.template
    if _Active.language != "en":
        template = catalogue(_Active.language).get(template, template)
    if not template.startswith("{"):
        return True
    first = message.args.get(template[1:].partition("}")[0])
    return isinstance(first, Message) and _begins_with_words(first)
