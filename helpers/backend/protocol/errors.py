"""An answer that is an error, in OpenAI's envelope.

For: everything in the server that refuses something. Not for: errors of the library, see
`helpers.base.errors`.

    raise ApiError(404, "The model 'x' does not exist", code="model_not_found", param="model")
"""

from __future__ import annotations

from collections.abc import Mapping


class ApiError(Exception):
    """An answer that is an error, in OpenAI's envelope."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        # Half of a surrogate pair, quoted from a request, could not be sent back.
        message = message.encode("utf-8", "backslashreplace").decode()
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body = {"error": {"message": message, "type": type, "param": param, "code": code}}


def unknown_place(after: str) -> ApiError:
    """400 for a page that is to begin behind what is not in the list, or not any more."""
    return ApiError(
        400,
        f"No object with the id {after!r} is in this list. Was it deleted? Then ask for the list "
        "from its beginning; to delete what is in it, read it to its end first.",
        param="after",
        code="invalid_value",
    )


def not_found(kind: str, name: str, param: str = "id") -> ApiError:
    """404 for a file or job that is not there."""
    return ApiError(404, f"No such {kind} object: {name}", param=param, code="not_found")


def unknown_model(name: str) -> ApiError:
    """404 with the way to find out which models there are."""
    return ApiError(
        404,
        f"The model '{name}' does not exist or you do not have access to it. "
        "List the models with client.models.list().",
        param="model",
        code="model_not_found",
    )
