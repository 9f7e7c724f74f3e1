"""`/v1/class`: what a class shares, an extension of this server; and the leader's page.

A learner's notebook says where it is and hears the leader's notice. Who is where, which jobs
wait, and the notice itself are for whoever has the state folder's token, or leads in the hub.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Request as HttpRequest
from fastapi.responses import HTMLResponse
from pydantic import Field

from helpers.backend.api.routes.common import ServiceOf, service_of
from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.schemas import Body
from helpers.backend.service import Service
from helpers.backend.service.callers import CALLER

router = APIRouter()
PAGE = (Path(__file__).parents[1] / "static" / "class.html").read_text(encoding="utf-8")


def _hash_of(element: str) -> str:
    # Fails where there are two: the policy names one script and one style by their hashes.
    [text] = re.findall(f"<{element}>(.*?)</{element}>", PAGE, re.S)
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


# The page holds nothing until a key is given, and can load or send nothing elsewhere.
POLICY = (
    f"default-src 'none'; script-src {_hash_of('script')}; style-src {_hash_of('style')}; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Notice(Body):
    text: Annotated[str, Field(max_length=1000)]


class Here(Body):
    notebook: Annotated[str | None, Field(max_length=100)] = None
    progress: dict[str, dict[str, dict[str, Any]]] | None = None


def leader_of(request: HttpRequest) -> Service:
    """The service, for whoever leads. Raises `ApiError` 403 for anybody else."""
    if not request.scope[CALLER].leader:
        raise ApiError(
            403, "This is for whoever leads the class.", type="permission_error", code="not_leader"
        )
    return service_of(request)


LeaderOf = Annotated[Service, Depends(leader_of)]


@router.get("/class")
def page() -> HTMLResponse:
    headers = {"content-security-policy": POLICY, "cache-control": "no-store"}
    return HTMLResponse(PAGE, headers=headers)


@router.get("/v1/class")
def overview(service: LeaderOf) -> Any:
    return service.classroom.overview()


@router.put("/v1/class/notice")
def announce(body: Notice, service: LeaderOf) -> Any:
    return service.classroom.announce(body.text.strip())


@router.get("/v1/class/notice")
def notice(service: ServiceOf) -> Any:
    return service.classroom.notice or {"text": ""}


@router.put("/v1/class/here")
def here(body: Here, service: ServiceOf) -> Any:
    service.classroom.tell(**body.model_dump(exclude_none=True))
    return notice(service)
