from __future__ import annotations

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.base.tokens import openai_tokenizer
from helpers.datasets import token_counts

NAMES = ("cl100k_base", "o200k_base")


@functools.cache
def counter(name: str) -> token_counts.OpenAICounter:
    return token_counts.OpenAICounter(name)


@given(
    st.text(st.characters(exclude_categories=["Cs"])) | st.text("abc DE'1 23,.\n\t-_é👍日"),
    st.sampled_from(NAMES),
)
def test_counts_are_tiktokens(text: str, name: str) -> None:
    assert counter(name)(text) == len(openai_tokenizer(name).encode_ordinary(text))


@pytest.mark.parametrize("text", ["", "<|endoftext|>", "I'M sure we'll", "x" * 5000, "  \n\n x"])
def test_special_texts_count_alike(text: str) -> None:
    count = counter("o200k_base")
    assert count(text) == len(openai_tokenizer().encode_ordinary(text))


def test_remembered_words_are_dropped_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_counts, "RENEWED", 10)
    made: list[str] = []
    ready = counter("o200k_base")._tokenizer
    monkeypatch.setattr(
        token_counts, "_tokenizer", lambda path, scheme: made.append(scheme) or ready
    )
    count = token_counts.OpenAICounter()
    assert [count("How are you?") for _ in range(3)] == [4, 4, 4]
    assert len(made) == 1 + 3
