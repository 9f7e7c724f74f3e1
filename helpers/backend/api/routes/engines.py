"""`/v1/engines`: models by their name of before 2022, as in `Completion.create(engine=…)`."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter
from fastapi import Body as FromBody
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from helpers.backend.api.routes import chat, completions, embeddings
from helpers.backend.api.routes.common import ServiceOf
from helpers.backend.protocol.schemas import (
    Body,
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
)
from helpers.backend.storage.store import Document

router = APIRouter()
RequestKind = TypeVar("RequestKind", bound=Body)
JsonBody = Annotated[dict[str, Any], FromBody()]


@router.get("/v1/engines")
def list_engines(service: ServiceOf) -> Any:
    return {"object": "list", "data": [engine(model) for model in service.models.all()]}


@router.get("/v1/engines/{name}")
def retrieve_engine(name: str, service: ServiceOf) -> Any:
    return engine(service.models.find(name))


@router.post("/v1/engines/{name}/completions")
def complete(name: str, body: JsonBody, service: ServiceOf) -> Any:
    return completions.complete(with_model(CompletionRequest, name, body), service)


@router.post("/v1/engines/{name}/chat/completions")
def chat_with(name: str, body: JsonBody, service: ServiceOf) -> Any:
    return chat.chat(with_model(ChatRequest, name, body), service)


@router.post("/v1/engines/{name}/embeddings")
def embed(name: str, body: JsonBody, service: ServiceOf) -> Any:
    return embeddings.embed(with_model(EmbeddingRequest, name, body), service)


def engine(model: Document) -> Document:
    """A model as engines looked."""
    return {"id": model["id"], "object": "engine", "owner": model["owned_by"], "ready": True}


def with_model(kind: type[RequestKind], name: str, body: Document) -> RequestKind:
    """The request that the body makes for the model of the path."""
    try:
        # The path counts, not the body, as it did then.
        return kind.model_validate(body | {"model": name})
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
