"""How fast the server answers, against llama.cpp in process and transformers.

For: the rows of the benchmark's table about serving. Not for: training, see `training`.

    rows(root)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers import settings
from helpers.backend import daemon
from helpers.bench.machine import median_seconds, resident
from helpers.bench.rows import Row
from helpers.settings import BASE_MODEL, Settings

if TYPE_CHECKING:
    from openai import OpenAI

TOKENS, STREAMS = 96, 16
PROMPT = "Tell a long story about a lighthouse keeper and a storm."


@contextmanager
def fresh_server() -> Iterator[tuple[Settings, OpenAI, float]]:
    """A server in an empty state folder: its settings, a client, and the seconds to start."""
    from openai import OpenAI

    with tempfile.TemporaryDirectory() as folder:
        own = replace(settings.load(), state=Path(folder) / "state")
        os.environ["WORKBOOK_STATE"] = str(own.state)
        start = time.perf_counter()
        try:
            address = daemon.ensure_running(own)
            taken = time.perf_counter() - start
            yield own, OpenAI(base_url=f"{address.url}/v1", api_key=address.token), taken
        finally:
            daemon.stop(own)
            os.environ.pop("WORKBOOK_STATE", None)


def rows(root: Path) -> list[Row]:
    """Start, memory, first token and tokens a second of a server with the base model."""
    with fresh_server() as (own, client, start):
        idle = _memory(own)
        first = _seconds(lambda: _chat(client, 1))
        token = median_seconds(lambda: _first_token(client), runs=7)
        one = TOKENS / median_seconds(lambda: _chat(client, TOKENS), runs=3)
        many = _many(client)
    inside, beside = _in_process(), _transformers()
    imported = median_seconds(
        lambda: subprocess.run([sys.executable, "-c", "import helpers"], check=True, cwd=root)
    )
    bare = median_seconds(lambda: subprocess.run([sys.executable, "-c", ""], check=True))
    share = one / inside
    return [
        Row(
            "chat through HTTP, one stream, against llama.cpp in process",
            "tokens/s",
            one,
            inside,
            "at least 0.9 of it",
            share >= 0.9,
        ),
        Row(
            "chat through HTTP, sixteen streams, against transformers",
            "tokens/s",
            many,
            beside,
            "at least 4 times",
            many >= 4 * beside,
        ),
        Row("time to the first token", "s", token, None, "at most 0.15", token <= 0.15),
        Row("start of the server", "s", start, None, "at most 2", start <= 2),
        Row("first answer after the start", "s", first, None, "at most 3", first <= 3),
        Row("import helpers", "s", imported - bare, None, "at most 0.3", imported - bare <= 0.3),
        Row("memory of the idle server", "MB", idle, None, "at most 400", idle <= 400),
    ]


def _seconds(work: Any) -> float:
    return median_seconds(work, runs=1)


def _memory(own: Settings) -> float:
    import json

    known = json.loads((own.state / "server.json").read_text(encoding="utf-8"))
    return resident(known["pid"]) or 0.0


def _chat(client: OpenAI, tokens: int, *, prompt: str = PROMPT) -> None:
    # A bias against the end token keeps every answer equally long.
    client.chat.completions.create(
        model=BASE_MODEL,
        messages=[{"role": "user", "content": prompt}],
        max_completion_tokens=tokens,
        temperature=1,
        seed=1,
    )


def _first_token(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model=BASE_MODEL,
        messages=[{"role": "user", "content": PROMPT}],
        max_completion_tokens=8,
        stream=True,
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    stream.close()


def _many(client: OpenAI) -> float:
    start = time.perf_counter()
    with ThreadPoolExecutor(STREAMS) as pool:
        list(pool.map(lambda i: _chat(client, TOKENS, prompt=f"{i}. {PROMPT}"), range(STREAMS)))
    return STREAMS * TOKENS / (time.perf_counter() - start)


def _in_process() -> float:
    """Tokens a second of llama.cpp called directly."""
    from helpers.backend.models import base_models
    from helpers.backend.sampling import Sampling
    from helpers.backend.serve import Engine

    config = settings.load()
    engine = Engine(threads=config.threads, cache=config.state / "cache")
    model = base_models(config)[BASE_MODEL].served()
    message = [{"role": "user", "content": PROMPT}]

    def once() -> None:
        for _ in engine.generate(
            model, message, Sampling(max_tokens=TOKENS, temperature=1, seed=1)
        ):
            pass

    once()
    taken = median_seconds(once, runs=3)
    engine.close()
    return TOKENS / taken


def _transformers() -> float:
    """Tokens a second of transformers' `generate`, one stream, float32."""
    import torch

    from helpers.backend.training.base import load_base
    from helpers.tokens import local_tokenizer

    gguf = settings.base_gguf()
    assert gguf is not None
    torch.set_num_threads(settings.load().threads)
    model: Any = load_base(gguf)
    ids = torch.tensor([local_tokenizer().encode_chat([{"role": "user", "content": PROMPT}])])

    def once() -> None:
        model.generate(ids, max_new_tokens=48, min_new_tokens=48, do_sample=False, pad_token_id=0)

    once()
    return 48 / median_seconds(once, runs=2)
