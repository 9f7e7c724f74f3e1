"""`/v1/models`: list, retrieve, delete; and aliases, an extension of this server."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from helpers.backend.api.routes.common import ServiceOf
from helpers.backend.protocol.schemas import Request

router = APIRouter()


class AliasRequest(Request):
    model: str


@router.get("/v1/models")
def list_models(service: ServiceOf) -> Any:
    return {"object": "list", "data": service.models.all()}


@router.put("/v1/models/{name:path}/alias")
def set_alias(name: str, body: AliasRequest, service: ServiceOf) -> Any:
    return service.models.set_alias(name, body.model)


@router.get("/v1/models/{name:path}")
def retrieve_model(name: str, service: ServiceOf) -> Any:
    return service.models.find(name)


@router.delete("/v1/models/{name:path}")
def delete_model(name: str, service: ServiceOf) -> Any:
    return service.models.delete(name)
