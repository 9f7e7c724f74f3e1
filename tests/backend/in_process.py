"""A server in a thread of the test's own process, with an engine that answers at once.

For: limits, fuzzing and the contract, where the model's words do not matter. Jobs are
taken on and wait; none is ever started here.

    with served(settings, InstantEngine()) as (app, url): ...
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI

from helpers.backend.api.app import create_app
from helpers.backend.inference.embeddings import WIDTH
from helpers.backend.protocol.sampling import Delta, TokenLogprob
from helpers.backend.service.limits import Limits
from helpers.base.settings import Settings

TOKEN = "t"
COUNTS = {"prompt_tokens": 1, "completion_tokens": 2}


class InstantEngine:
    """Two words to whatever is asked, and the same vector for each text."""

    def generate(self, model: Any, prompt: Any, sampling: Any) -> Iterator[Delta]:
        wanted = sampling.logprobs is not None
        logprobs = (TokenLogprob("one", -0.5, (111, 110, 101)),) if wanted else ()
        yield Delta("one ", logprobs)
        yield Delta("two", finish_reason="stop", **COUNTS)

    def embed(self, texts: Sequence[str]) -> Any:
        return np.ones((len(texts), WIDTH), np.float32)

    def score(self, model: Any, ids: Sequence[int], *, alternatives: int) -> list[TokenLogprob]:
        return [TokenLogprob("x", -1.0, (120,)) for _ in ids[1:]]

    def count(self, model: Any, prompt: Any) -> int:
        return len(prompt)

    def share_cores(self, sharing: bool) -> None: ...
    def unload(self, name: str) -> None: ...
    def warm(self, model: Any) -> None: ...
    def close(self) -> None: ...


@contextlib.contextmanager
def served(
    settings: Settings, engine: Any, limits: Limits | None = None
) -> Iterator[tuple[FastAPI, str]]:
    """The application and its address, until the end of the block."""
    app = create_app(settings, token=TOKEN, engine=engine, limits=limits)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    app.state.service.jobs._queue.closing.set()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield app, f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
