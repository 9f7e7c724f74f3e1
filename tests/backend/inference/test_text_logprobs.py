"""Forced tokens are matched with what llama.cpp reports, parts of letters included."""

from __future__ import annotations

import functools
import re

import pytest

from helpers.backend.inference.text_logprobs import PIECE, score
from helpers.base.errors import BackendError
from helpers.base.tokens import local_tokenizer


class ForcedLlama:
    """Reports as llama.cpp does: nothing for a part of a letter, and it stops at an end."""

    def __init__(self) -> None:
        self.tokenizer = local_tokenizer()
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        forced = [int(token) for token in re.findall(r"<\[(\d+)\]>", request["grammar"])]
        every = self.every(request["n_probs"])
        content, held = [], b""
        for token in forced:
            held += self.tokenizer.bytes_of(token)
            try:
                held.decode()
            except UnicodeDecodeError:
                continue
            held = b""
            content.append(self.item(token) | {"top_logprobs": every})
            if token in self.tokenizer.end_ids:
                break
        return [{"choices": [{"logprobs": {"content": content}}]}]

    @functools.cache  # noqa: B019 - the whole vocabulary, asked for again with each request
    def every(self, n):
        return [self.item(token) for token in range(n)]

    def item(self, token):
        return {"id": token, "logprob": -token / 1000, "top_logprobs": []}


@pytest.mark.parametrize(
    "text", ["a cat", "Tea 漢 and 漢字", "one<|im_end|>two<|im_end|>", "x " * 300, "a"]
)
def test_each_token_but_the_first_has_its_own_probability_and_bytes(text):
    llama, tokenizer = ForcedLlama(), local_tokenizer()
    ids = tokenizer.encode(text)
    found = score(llama, tokenizer, ids, alternatives=2)
    assert [item.logprob for item in found] == [-token / 1000 for token in ids[1:]]
    assert (
        b"".join(bytes(item.bytes) for item in found)
        == text.encode()[len(tokenizer.bytes_of(ids[0])) :]
    )
    assert all(len(item.top) == 2 for item in found)
    assert all(request["n_predict"] <= PIECE for request in llama.requests)


def test_a_refusal_of_llama_is_an_error():
    refused = [{"error": {"message": "no room"}}]
    with pytest.raises(BackendError, match="no room"):
        score(lambda _: refused, local_tokenizer(), [1, 2], alternatives=1)


def test_every_token_has_its_bytes():
    tokenizer = local_tokenizer()
    for text in ("Ärger 漢 🙂\t\n", "<|im_start|>user"):
        ids = tokenizer.encode(text)
        assert b"".join(map(tokenizer.bytes_of, ids)).decode() == text
