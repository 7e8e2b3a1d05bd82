import pytest

from graphstudio import i18n
from graphstudio.nodes.types import Message


def test_english_is_the_key_itself():
    assert i18n.tr("Insert Flatten") == "Insert Flatten"


def test_a_message_is_rendered_in_the_active_language():
    message = Message("expected {expected}, got {actual}", {"expected": "x", "actual": ("N", 3)})
    i18n.set_language("zh")
    assert i18n.render(message) == "应为 x，实际为 (N, 3)"
    assert str(message) == "expected x, got (N, 3)"


def test_messages_in_messages_are_translated_too():
    inner = Message("expected {expected}, got {actual}", {"expected": 1, "actual": 2})
    i18n.set_language("zh")
    text = i18n.render(Message("'{node}': {problem}", {"node": "Dense", "problem": inner}))
    assert text == "“Dense”：应为 1，实际为 2"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_name_from_a_file_does_not_turn_the_sentence_around_it(language):
    i18n.set_language(language)
    shown = i18n.tr("'{name}' cannot be opened", name="a\u202eb\u2066c")
    assert not {"\u202e", "\u2066"} & set(shown)
    assert "a\ufffdb\ufffdc" in shown
    i18n.set_language("en")


def test_what_has_no_translation_is_shown_in_english():
    i18n.set_language("zh")
    assert i18n.tr("no such sentence {n}", n=3) == "no such sentence 3"


def test_unknown_languages_are_refused():
    with pytest.raises(ValueError, match="xx"):
        i18n.set_language("xx")
    assert i18n.language() == "en"


@pytest.mark.parametrize(
    ("message", "language", "shown"),
    [
        (Message("the node is not there any more"), "en", "The node is not there any more."),
        (Message("the node is not there any more"), "zh", "该节点已不存在。"),
        (Message("Press Train to try again."), "en", "Press Train to try again."),
        (Message("{folder} lacks {files}", {"folder": "a", "files": "b"}), "en", "a lacks b."),
        (
            Message("{problem}. {hint}", {"problem": Message("the text is empty"), "hint": "So!"}),
            "en", "The text is empty. So!",
        ),
        (
            Message("no axis of {shape} may have size 0", {"shape": "x"}),
            "zh", "x 中任何轴的大小都不能为 0。",
        ),
        (Message("{text}", {"text": ""}), "en", ""),
    ],
)  # fmt: skip
def test_a_message_that_stands_alone_is_a_sentence(message, language, shown):
    i18n.set_language(language)
    assert i18n.sentence(message) == shown
