"""What a message says, whoever asks."""

from __future__ import annotations

import pytest

from helpers.backend.protocol.schemas import ChatMessage
from helpers.base.chat_format import DEFAULT_SYSTEM, chat_text, text_of, turns

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
WRITTEN = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'
SAID = [
    ({"content": "a"}, "a"),
    ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab"),
    ({"content": None, "refusal": "No."}, "No."),
    ({"refusal": "No."}, "No."),
    ({"content": "", "refusal": "No."}, "No."),
    ({"content": [{"type": "refusal", "refusal": "No."}]}, "No."),
    ({"content": "Sorry.", "refusal": "No."}, "Sorry.\nNo."),
    ({"content": None, "tool_calls": [CALL]}, WRITTEN),
    ({"content": None}, ""),
]


@pytest.mark.parametrize(("message", "text"), SAID)
def test_training_and_serving_read_a_message_alike(message, text) -> None:
    said = {"role": "assistant", **message}
    assert text_of(said) == text
    assert text_of(ChatMessage.model_validate(said).plain()) == text


def test_a_function_call_and_odd_parts_do_not_break_it() -> None:
    assert text_of({"function_call": {"name": "f"}}) == WRITTEN
    assert text_of({"content": [None, 3, {"type": "image_url"}, {"text": 5}]}) == ""


def test_the_template_puts_its_own_system_message_in_front() -> None:
    user = {"role": "user", "content": "Hi"}
    assert [turn.role for turn in turns([user])] == ["system", "user"]
    assert DEFAULT_SYSTEM in chat_text([user])
    assert DEFAULT_SYSTEM not in chat_text([{"role": "developer", "content": "Be brief."}, user])
    assert turns([]) == []
