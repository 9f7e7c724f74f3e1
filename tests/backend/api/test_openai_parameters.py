"""Every parameter in OpenAI's description is read, harmless, or refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from openai.types import completion_create_params as completion
from openai.types import embedding_create_params as embedding
from openai.types.chat import completion_create_params as chat
from openai.types.fine_tuning import job_create_params as job
from openai.types.responses import response_create_params as response

from helpers.backend.protocol import schemas
from helpers.backend.protocol.parameters import HINTS, LIMITED
from tests.backend.api.test_requests import REFUSED
from tests.backend.openai_document import document
from tests.places import ROOT

DOCUMENT = document()
BODIES = {
    "/chat/completions": schemas.ChatRequest,
    "/completions": schemas.CompletionRequest,
    "/embeddings": schemas.EmbeddingRequest,
    "/responses": schemas.ResponseRequest,
    "/fine_tuning/jobs": schemas.JobRequest,
}

SENT = {
    "/chat/completions": chat.CompletionCreateParamsBase,
    "/completions": completion.CompletionCreateParamsBase,
    "/embeddings": embedding.EmbeddingCreateParams,
    "/responses": response.ResponseCreateParamsBase,
    "/fine_tuning/jobs": job.JobCreateParams,
}
"""What the package can send, which may be newer than the description."""


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].split("/")[-1]]
    return schema


def properties(schema: dict[str, Any]) -> Iterator[str]:
    """The names of a request's parameters, those of its parts included."""
    schema = resolved(schema)
    yield from schema.get("properties", {})
    for part in (p for key in ("allOf", "anyOf", "oneOf") for p in schema.get(key, [])):
        yield from properties(part)


def parameters() -> list[tuple[str, str]]:
    found = []
    for path in BODIES:
        operations = DOCUMENT["paths"].get(path) or DOCUMENT["paths"][f"/v1{path}"]
        content = operations["post"]["requestBody"]["content"]["application/json"]
        found += [(path, name) for name in dict.fromkeys(properties(content["schema"]))]
    return found


def source() -> str:
    """All of the server but the shapes of its requests."""
    files = (ROOT / "helpers" / "backend").rglob("*.py")
    return "\n".join(p.read_text(encoding="utf-8") for p in files if p.name != "schemas.py")


SOURCE = source()


@pytest.mark.parametrize(("path", "name"), parameters())
def test_no_parameter_is_passed_over(path, name):
    body = BODIES[path]
    fields = {field.alias or own: own for own, field in body.model_fields.items()}
    if name in body.limited:
        assert name in LIMITED
        assert name in REFUSED[path], "test_requests shows that it is refused"
    elif name in fields:
        own = (ROOT / "helpers/backend/protocol/schemas.py").read_text(encoding="utf-8")
        used = re.compile(rf"\.{fields[name]}\b|given\[name\]")
        assert used.search(SOURCE) or used.search(own), "nothing reads it"
    else:
        assert name in HINTS


def test_the_description_is_walked_whole():
    assert len(parameters()) > 90
    assert {name for _, name in parameters()} >= {"conversation", "best_of", "integrations", "stop"}


@pytest.mark.parametrize("path", SENT)
def test_no_parameter_of_the_package_is_called_unknown(path):
    body = BODIES[path]
    fields = {field.alias or own for own, field in body.model_fields.items()}
    assert SENT[path].__annotations__.keys() <= fields | body.limited | HINTS
