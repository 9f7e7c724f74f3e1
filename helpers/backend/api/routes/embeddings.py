"""`/v1/embeddings`, as numbers or as base64 of little-endian float32."""

from __future__ import annotations

import base64
from typing import Any

from fastapi import APIRouter

from helpers.backend.api.routes.common import ServiceOf
from helpers.backend.inference.embeddings import WIDTH, token_count
from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.schemas import EmbeddingRequest
from helpers.base.settings import EMBEDDING_MODEL
from helpers.base.tokens import openai_tokenizer

router = APIRouter()
MAX_INPUTS = 2048
MAX_LETTERS = 50_000
"""Such a text is not tokenised only to find that it is too long."""


@router.post("/v1/embeddings")
def embed(body: EmbeddingRequest, service: ServiceOf) -> Any:
    if body.model != EMBEDDING_MODEL:
        # An unknown model is 404; one that is known and makes no vectors is 400.
        service.models.resolve(body.model)
        raise ApiError(
            400,
            f"The model {body.model!r} makes no embeddings. Use {EMBEDDING_MODEL!r}.",
            param="model",
            code="unsupported_value",
        )
    if body.dimensions not in (None, WIDTH):
        raise ApiError(
            400, f"This model has {WIDTH} dimensions.", param="dimensions", code="unsupported_value"
        )
    texts = _texts(body)
    with service.slot():
        vectors = service.engine.embed(texts)
    used = token_count(texts)
    service.meter.count(used)
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(row.astype("<f4").tobytes()).decode()
                if body.encoding_format == "base64"
                else row.tolist(),
            }
            for index, row in enumerate(vectors)
        ],
        "model": body.model,
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


def _texts(body: EmbeddingRequest) -> list[str]:
    """The inputs as texts. Raises `ApiError` for empty ones and too many."""
    given = body.input
    # A list of numbers is one text.
    single = isinstance(given, str) or (bool(given) and isinstance(given[0], int))
    inputs = [given] if single else list(given)
    if len(inputs) > MAX_INPUTS:
        raise ApiError(400, f"At most {MAX_INPUTS} texts in one request.", param="input")
    texts = [one if isinstance(one, str) else _decoded(one) for one in inputs]
    if any(len(text) > MAX_LETTERS for text in texts):
        raise ApiError(
            400,
            f"A text is longer than {MAX_LETTERS:,} letters; the model reads 512 tokens. "
            "Split it into chunks.",
            param="input",
            code="context_length_exceeded",
        )
    if not texts or not all(text.strip() for text in texts):
        raise ApiError(400, "Give texts that are not empty.", param="input")
    return texts


def _decoded(ids: Any) -> str:
    """The text of token ids in cl100k_base, which clients of OpenAI's embedding models send."""
    tokenizer = openai_tokenizer("cl100k_base")
    wrong = [token for token in ids if not 0 <= token < tokenizer.n_vocab]
    try:
        if not wrong:
            return str(tokenizer.decode(list(ids)))
    except KeyError as error:
        wrong = [error.args[0]]
    raise ApiError(
        400,
        f"{wrong[0]} is no token of cl100k_base, in which token ids are read. Send texts.",
        param="input",
        code="invalid_value",
    )
