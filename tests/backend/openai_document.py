"""OpenAI's own API description, where a copy of it stands beside the checkout.

`WORKBOOK_OPENAI_DOCUMENT` may name one elsewhere. Tests that need it are skipped without.
"""

from __future__ import annotations

import copy
import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.places import ROOT

BESIDE = ROOT.parent / "shared" / "spec" / "openai-subset.json"
REFUSALS = ("400", "401", "403", "404", "413")
"""Statuses of OpenAI's error codes; the description names successes and 429 alone."""
ENVELOPE = {"$ref": "#/components/schemas/ErrorResponse"}


@functools.cache
def document() -> dict[str, Any]:
    """The description as it is; skips the test module if there is none."""
    path = Path(os.environ.get("WORKBOOK_OPENAI_DOCUMENT") or BESIDE)
    if not path.is_file():
        pytest.skip("OpenAI's API description is not here", allow_module_level=True)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def mended() -> dict[str, Any]:
    """The description with what it leaves out, and with its untruths made true.

    Left out: error answers, and that the schema of a stream is that of each event's data, for
    which `test_openai_document` looks at streams itself. Untrue: vectors may be base64, an
    empty list has no first and last id, an event may have no data, a file's content is not
    JSON, and `evals`, which an upload may be for, is missing among the purposes of a file.
    """
    whole = copy.deepcopy(document())
    for operation in (o for path in whole["paths"].values() for o in path.values()):
        refused = {"description": "", "content": {"application/json": {"schema": ENVELOPE}}}
        operation["responses"] |= dict.fromkeys(REFUSALS, refused)
        content = operation["responses"]["200"].get("content", {})
        if "text/event-stream" in content:
            content["text/event-stream"] = {}
    schemas = whole["components"]["schemas"]
    _allow(schemas["Embedding"]["properties"], "embedding", "string")
    for name in ("ListFilesResponse", "ChatCompletionList"):
        for end in ("first_id", "last_id"):
            _allow(schemas[name]["properties"], end, "null")
    _allow(schemas["FineTuningJobEvent"]["properties"], "data", "null")
    content = whole["paths"]["/files/{file_id}/content"]["get"]["responses"]["200"]
    content["content"] = {"application/octet-stream": {"schema": {}}}
    file = schemas["OpenAIFile"]
    parts = [file, *file.get("allOf", [])]
    purpose = next(
        p["properties"]["purpose"] for p in parts if "purpose" in p.get("properties", {})
    )
    purpose["enum"].append("evals")
    return whole


def _allow(properties: dict[str, Any], name: str, kind: str) -> None:
    properties[name] = {"anyOf": [properties[name], {"type": kind}]}


def known_models(whole: dict[str, Any], names: dict[str, str]) -> None:
    """Let the requests with these schemas ask for a model that is served here."""
    for schema, model in names.items():
        found = whole["components"]["schemas"][schema]
        parts = [found, *found.get("allOf", [])]
        for part in parts:
            if "model" in part.get("properties", {}):
                part["properties"]["model"] = {"type": "string", "enum": [model]}
