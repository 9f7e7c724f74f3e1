"""`/v1/embeddings`, as numbers or as base64 of little-endian float32."""

from __future__ import annotations

import base64
from typing import Any

from fastapi import APIRouter

from helpers.backend.api.routes.common import ServiceOf
from helpers.backend.inference.embeddings import WIDTH
from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.schemas import EmbeddingRequest
from helpers.base.settings import EMBEDDING_MODEL
from helpers.base.tokens import local_tokenizer

router = APIRouter()
MAX_INPUTS = 2048


@router.post("/v1/embeddings")
def embed(body: EmbeddingRequest, service: ServiceOf) -> Any:
    if body.model != EMBEDDING_MODEL:
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
    tokenizer = local_tokenizer()
    used = sum(tokenizer.count(text) for text in texts)
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
    given = [body.input] if isinstance(body.input, str) else body.input
    if not given or not all(isinstance(text, str) and text.strip() for text in given):
        raise ApiError(400, "Give texts that are not empty; token ids are not read.", param="input")
    if len(given) > MAX_INPUTS:
        raise ApiError(400, f"At most {MAX_INPUTS} texts in one request.", param="input")
    return [str(text) for text in given]
