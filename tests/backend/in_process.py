"""A server in a thread of the test's own process, with an engine that answers at once.

For: limits, fuzzing and the contract, where the model's words do not matter. Jobs are
taken on and wait; none is ever started here.

    with served(settings, InstantEngine()) as (app, url): ...
    answer = asking(app, url, headers)("GET", url="/v1/models")
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx2
import numpy as np
import uvicorn
from fastapi import FastAPI

from helpers.backend.api.app import create_app
from helpers.backend.inference.embeddings import WIDTH
from helpers.backend.protocol.sampling import Delta, TokenLogprob
from helpers.backend.service.limits import Limits
from helpers.base.settings import Settings

TOKEN = "t"
JOB_BYTES = 64 * 10**9
COUNTS = {"prompt_tokens": 1, "completion_tokens": 2}


class InstantEngine:
    """Two words to whatever is asked, and the same vector for each text."""

    at_once = 16

    def engine_of(self, model: Any) -> InstantEngine:
        return self

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
    def rest(self, seconds: float) -> None: ...
    def warm(self, model: Any) -> None: ...
    def close(self) -> None: ...


@contextlib.contextmanager
def served(
    settings: Settings, engine: Any, limits: Limits | None = None
) -> Iterator[tuple[FastAPI, str]]:
    """The application and its address, until the end of the block."""
    # What other tests leave free must not decide whether a job is taken on.
    settings = replace(settings, job_memory=settings.job_memory or JOB_BYTES)
    app = create_app(settings, token=TOKEN, engine=engine, limits=limits)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))

    async def run() -> None:
        app.state.loop = asyncio.get_running_loop()
        await server.serve()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    app.state.service.job_queue._queue.closing.set()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield app, f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def asking(app: FastAPI, url: str, headers: Mapping[str, str]) -> Callable[..., httpx2.Response]:
    """Requests to a served app without a socket, which is two thirds of a short request's time.

    They run in the server's own loop, through all that the app has put before its routes.
    """
    http = httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url=url, headers=dict(headers)
    )

    def ask(method: str, **more: Any) -> httpx2.Response:
        asked = asyncio.run_coroutine_threadsafe(http.request(method, **more), app.state.loop)
        return asked.result(30)

    return ask
