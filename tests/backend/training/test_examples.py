"""Which tokens are learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.backend.training.examples import (
    Example,
    chat_example,
    completion_example,
    read_examples,
    read_pairs,
)
from helpers.base.chat_format import DEFAULT_SYSTEM
from helpers.base.tokens import LocalTokenizer, local_tokenizer
from tests.backend.training.tiny import write_gguf


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> LocalTokenizer:
    return local_tokenizer(write_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf"))


def text(example: Example, tokenizer: LocalTokenizer) -> str:
    return tokenizer.decode(example.ids)


def learned(example: Example, tokenizer: LocalTokenizer) -> str:
    pairs = zip(example.ids, example.targets, strict=True)
    return tokenizer.decode([token for token, target in pairs if target])


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def test_only_the_answer_and_its_end_are_learned(tokenizer: LocalTokenizer) -> None:
    messages = [said("system", "Be brief."), said("user", "hi"), said("assistant", "hello")]
    example = chat_example(1, messages, tokenizer)
    assert learned(example, tokenizer) == "hello<|im_end|>"
    assert text(example, tokenizer) == tokenizer.chat(messages, add_generation_prompt=False)[:-1]


def test_the_askers_words_are_marked_and_nothing_of_the_template(
    tokenizer: LocalTokenizer,
) -> None:
    turns = [said("system", "S"), said("user", "the abc"), said("assistant", "yo")]
    example = chat_example(1, [*turns, *turns[1:]], tokenizer)
    marked = [token for token, asked in zip(example.ids, example.prompt, strict=True) if asked]
    assert tokenizer.decode(marked) == "the abcthe abc"
    old = completion_example(1, "Q: hi", " yo", tokenizer)
    assert old.prompt == tuple(not target for target in old.targets)


def test_without_a_system_message_the_template_puts_its_own(tokenizer: LocalTokenizer) -> None:
    example = chat_example(1, [said("user", "hi"), said("assistant", "yo")], tokenizer)
    assert text(example, tokenizer).startswith(f"<|im_start|>system\n{DEFAULT_SYSTEM}<|im_end|>")


def test_every_answer_of_a_conversation_is_learned_but_those_of_weight_0(
    tokenizer: LocalTokenizer,
) -> None:
    turns = [
        said("user", "1"),
        said("assistant", "one", weight=0),
        said("user", "2"),
        said("assistant", "two", weight=1),
        said("user", "3"),
        said("assistant", "three"),
    ]
    example = chat_example(1, turns, tokenizer)
    assert learned(example, tokenizer) == "two<|im_end|>three<|im_end|>"


def test_tool_messages_are_context_and_tool_calls_are_answers(tokenizer: LocalTokenizer) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        said("developer", "Use tools."),
        said("user", "do"),
        said("assistant", None, tool_calls=[call]),
        said("tool", "42", tool_call_id="c"),
        said("assistant", "It is 42."),
    ]
    example = chat_example(1, turns, tokenizer)
    wanted = json.dumps([call["function"]]) + "<|im_end|>It is 42.<|im_end|>"
    assert learned(example, tokenizer) == wanted
    assert "<|im_start|>system\nUse tools." in text(example, tokenizer)
    assert "<|im_start|>tool\n42<|im_end|>" in text(example, tokenizer)


def test_the_tokens_before_an_answer_are_those_of_a_prompt(tokenizer: LocalTokenizer) -> None:
    asked = [said("system", "\n S "), said("user", " the abc\n")]
    example = chat_example(1, [*asked, said("assistant", " ab")], tokenizer)
    prompt = tokenizer.encode_chat(asked)
    assert list(example.ids[: len(prompt)]) == prompt
    assert not any(example.targets[: len(prompt)])


def test_prompt_and_completion_need_no_template(tokenizer: LocalTokenizer) -> None:
    example = completion_example(1, "Q: hi\nA:", " yo", tokenizer)
    assert text(example, tokenizer) == "Q: hi\nA: yo<|im_end|>"
    assert learned(example, tokenizer) == " yo<|im_end|>"


def test_a_long_example_is_cut_at_its_end_and_dropped_if_nothing_is_left_to_learn(
    tokenizer: LocalTokenizer, tmp_path: Path
) -> None:
    path = tmp_path / "t.jsonl"
    rows = [
        {"messages": [said("user", "u" * length), said("assistant", "answer")]}
        for length in (5, 500)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", encoding="utf-8-sig")
    whole = read_examples(path, tokenizer, max_tokens=10_000)
    assert [example.line for example in whole] == [1, 2]
    limit = len(whole[0].ids) - 2
    assert [(e.line, len(e.ids)) for e in read_examples(path, tokenizer, max_tokens=limit)] == [
        (1, limit)
    ]


def test_a_preference_compares_the_last_answers_alone(
    tokenizer: LocalTokenizer, tmp_path: Path
) -> None:
    asked = [said("user", "a"), said("assistant", "b"), said("user", "c")]
    row = {
        "input": {"messages": asked},
        "preferred_output": [said("assistant", "good")],
        "non_preferred_output": [said("assistant", "bad")],
    }
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    (pair,) = read_pairs(path, tokenizer, max_tokens=1000)
    assert learned(pair.preferred, tokenizer) == "good<|im_end|>"
    assert learned(pair.other, tokenizer) == "bad<|im_end|>"
