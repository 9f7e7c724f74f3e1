"""Answers that clients asked to store: kept, read back, marked with metadata, deleted.

For: `previous_response_id`, `item_reference`, and the routes of stored chats and responses. An
answer's document holds what clients see; what it was made from stands under `_input`. Not for:
answers that nobody asked to keep.

    answers.keep("response", "resp_abc", body)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from helpers.backend.protocol.errors import ApiError
from helpers.backend.service.limits import Limits
from helpers.backend.storage.store import Document, Store

AnswerKind = Literal["chat", "response"]
NAMES = {"chat": "Chat completion", "response": "Response"}


class StoredAnswers:
    """The newest answers of each kind, up to a limit."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store, self._limits = store, limits

    def keep(self, kind: AnswerKind, key: str, body: Mapping[str, Any]) -> None:
        """Remember an answer; the oldest make room."""
        self._store.put(kind, key, body)
        self._store.keep_newest(kind, self._limits.answers)

    def get(self, kind: AnswerKind, key: str) -> Document:
        """The answer and its input. Raises `ApiError` 404."""
        found = self._store.get(kind, key)
        # An older release kept no input, without which neither form can be read back.
        if found is None or "_input" not in found:
            raise _unknown(kind, key)
        return found

    def change_metadata(
        self, kind: AnswerKind, key: str, metadata: Mapping[str, str] | None
    ) -> Document:
        """The answer with other metadata."""
        self.get(kind, key)
        return self._store.update(kind, key, lambda body: body.update(metadata=metadata or {}))

    def delete(self, kind: AnswerKind, key: str) -> None:
        """Forget an answer. Raises `ApiError` 404."""
        if not self._store.delete(kind, key):
            raise _unknown(kind, key)

    def item(self, key: str) -> Document:
        """An input or output item of a stored response. Raises `ApiError` 404."""
        # Items have no table of their own: the responses are looked through.
        found, _ = self._store.list("response", keep=lambda body: bool(_items(body, key)))
        if not found:
            raise ApiError(
                404,
                f"Item with id '{key}' not found. Items are kept with 'store', which is the "
                "default; send the message itself instead.",
                param="input",
                code="item_not_found",
            )
        return _items(found[0], key)[0]


def _items(body: Document, key: str) -> list[Document]:
    both = [*body.get("_input", []), *body.get("output", [])]
    return [item for item in both if item.get("id") == key]


def _unknown(kind: AnswerKind, key: str) -> ApiError:
    name = NAMES[kind]
    return ApiError(
        404,
        f"{name} with id '{key}' not found. Only what was asked for with 'store' is kept.",
        param="id",
        code="not_found",
    )
