"""The ways of splitting words are those that transformers knows under the same names."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.backend.bases.vocabulary import WORDS, words_of
from helpers.base.errors import BackendError


def file(*steps: dict[str, Any], **model: Any) -> dict[str, Any]:
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}, "model": model}


def split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}}


BYTES = {"type": "ByteLevel"}


def test_each_way_of_splitting_words_has_its_name() -> None:
    assert words_of(file(split(WORDS["qwen2"]), BYTES)) == "qwen2"
    assert words_of(file(split(WORDS["llama-bpe"]), BYTES, ignore_merges=True)) == "llama-bpe"
    assert words_of(file(split(WORDS["llama-bpe"]), BYTES)) == "dbrx"
    assert words_of(file({"type": "Digits", "individual_digits": True}, BYTES)) == "smollm"
    assert words_of({"pre_tokenizer": BYTES, "model": {}}) == "gpt-2"


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(BackendError, match="splits words"):
        words_of(file(split(r"\w+"), BYTES))


@pytest.mark.slow
def test_the_patterns_are_those_that_transformers_knows() -> None:
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    assert {name: GGUF_PRE_TOKENIZER_SPLITS[name] for name in WORDS} == WORDS
