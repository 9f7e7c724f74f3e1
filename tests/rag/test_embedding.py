"""Texts that an endpoint cannot read whole are cut, and stop nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from openai import APIStatusError, BadRequestError, InternalServerError

from helpers.base.settings import EMBEDDING_MODEL
from helpers.rag.embedding import ClientEmbedder

LIMIT = 200


def refusal(status: int, message: str) -> APIStatusError:
    kind = BadRequestError if status == 400 else InternalServerError
    response = httpx.Response(status, request=httpx.Request("POST", "http://x"))
    return kind(message, response=response, body=None)


class Endpoint:
    """Embeds texts of at most `LIMIT` letters: how many a and b, and a constant."""

    def __init__(self, status: int = 400, message: str = "a text is too large") -> None:
        self.refusal = refusal(status, message)
        self.requests: list[list[str]] = []
        self.embeddings = SimpleNamespace(create=self.create)

    def create(self, *, model: str, input: list[str]) -> Any:
        self.requests.append(input)
        if any(len(text) > LIMIT or "?!" in text for text in input):
            raise self.refusal
        rows = [[text.count("a"), text.count("b"), 1.0] for text in input]
        return SimpleNamespace(data=[SimpleNamespace(embedding=row) for row in rows])


def embedder(endpoint: Any) -> ClientEmbedder:
    return ClientEmbedder(endpoint, "m")


def test_short_texts_take_one_request():
    endpoint = Endpoint()
    vectors = embedder(endpoint)(["a", "bb", ""])
    assert len(endpoint.requests) == 1
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)


@pytest.mark.parametrize(("status", "message"), [(400, "context"), (500, "input is too large")])
def test_a_long_text_among_short_ones_is_cut_and_the_others_are_as_they_were(status, message):
    endpoint = Endpoint(status, message)
    texts = ["a", "b" * 3 * LIMIT + " " + "a" * LIMIT, "ab", "b"]
    vectors = embedder(endpoint)(texts)
    alone = embedder(Endpoint())(["a", "ab", "b"])
    assert np.allclose(vectors[[0, 2, 3]], alone)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    # Three parts in four say b, and so does the vector.
    assert vectors[1][1] > 2 * vectors[1][0] > 0


def test_what_is_refused_for_another_reason_is_not_cut_for_ever():
    endpoint = Endpoint()
    with pytest.raises(BadRequestError):
        embedder(endpoint)(["a", "b ?! a " * 20])
    assert len(endpoint.requests) < 10


def test_a_fault_of_the_server_is_not_taken_for_a_long_text():
    endpoint = Endpoint(500, "out of memory")
    with pytest.raises(InternalServerError):
        embedder(endpoint)(["a" * 2 * LIMIT])
    assert len(endpoint.requests) == 1


def test_half_a_surrogate_pair_is_sent_as_a_question_mark():
    endpoint = Endpoint()
    embedder(endpoint)(["late \ud83d fee"])
    assert endpoint.requests == [["late ? fee"]]


def test_a_long_run_of_letters_is_divided_by_blanks():
    endpoint = Endpoint()
    embedder(endpoint)(["x" * 30_000, "a short text"])
    assert endpoint.requests[0][1] == "a short text"
    assert max(len(word) for text in endpoint.requests[0] for word in text.split()) == 200


def test_the_embedded_server_gives_a_long_question_a_vector_like_that_of_its_parts(client):
    find = ClientEmbedder(client, EMBEDDING_MODEL)
    short, long, other = find(
        ["What is the late fee?", "What is the late fee? " * 120, "A cake needs eggs and flour."]
    )
    assert short @ long > short @ other + 0.3
