"""How fast the server answers, against llama.cpp in process and transformers.

For: the rows of the benchmark's table about serving. Not for: training, see `training`.

    with measuring(root) as measurements:
        measurements["first-token"]()
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.backend import daemon
from helpers.base import settings
from helpers.base.settings import BASE_MODEL, Settings
from helpers.bench.machine import median_seconds, resident
from helpers.bench.measurements import BenchRow, Measurement
from helpers.evaluation.grading import chat_body
from helpers.evaluation.requests import send_all

if TYPE_CHECKING:
    from openai import OpenAI

NAMES = (
    "one-stream",
    "sixteen-streams",
    "one-stream-transformers",
    "sixteen-streams-transformers",
    "batch",
    "first-token",
    "server-start",
    "first-answer",
    "import",
    "idle-memory",
    "loaded-memory",
)
TOKENS, STREAMS = 96, 16
PROMPT = "Tell a long story about a lighthouse keeper and a storm."
CHATS, WORDS = 64, 115
QUIET_SECONDS = 8
"""So long the server takes to believe that nobody else needs the cores."""
END_TOKEN = 2
"""A bias against it keeps every answer equally long."""


@contextmanager
def measuring(root: Path) -> Iterator[Mapping[str, Measurement]]:
    """All measurements of this group; a server is started when the first one needs it."""
    with ExitStack() as stack:
        serving = Serving(root, stack)
        # "import" is a word of Python and no method's name.
        methods = {name: name.replace("-", "_") for name in NAMES} | {"import": "importing"}
        yield {name: getattr(serving, method) for name, method in methods.items()}


@contextmanager
def fresh_server() -> Iterator[tuple[Settings, OpenAI, float]]:
    """A server in an empty state folder: its settings, a client, and the seconds to start."""
    from openai import OpenAI

    with tempfile.TemporaryDirectory() as folder:
        own = replace(settings.load(), state=Path(folder) / "state")
        start = time.perf_counter()
        try:
            address = daemon.ensure_running(own)
            taken = time.perf_counter() - start
            yield own, OpenAI(base_url=f"{address.url}/v1", api_key=address.token), taken
        finally:
            daemon.stop(own)


class Serving:
    """The measurements; what several of them need is taken once."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self._root, self._stack = root, stack

    @cached_property
    def _server(self) -> tuple[Settings, OpenAI, float]:
        return self._stack.enter_context(fresh_server())

    @cached_property
    def _started(self) -> tuple[float, float, float]:
        """Of a server that was just started: MB, seconds of the first answer, MB after it."""
        own, client, _ = self._server
        before = memory(own)
        first = median_seconds(lambda: chat(client, 1), runs=1)
        return before, first, memory(own)

    @cached_property
    def _rates(self) -> tuple[float, float]:
        """Tokens a second with one stream and with sixteen, before anything else computes:
        beside another program the server would answer with one thread."""
        # A server that has loaded its model: its first answer must not count here.
        _ = self._started
        client = self._server[1]
        time.sleep(QUIET_SECONDS)
        one = TOKENS / median_seconds(lambda: chat(client, TOKENS), runs=3)
        return one, all_streams(lambda prompt: chat(client, TOKENS, prompt=prompt))

    @cached_property
    def _inside(self) -> tuple[float, float]:
        return in_process()

    @cached_property
    def _transformers(self) -> float:
        return transformers_rate()

    def one_stream(self) -> BenchRow:
        what = "chat through HTTP, one stream, against llama.cpp in process"
        return at_least("one-stream", what, self._rates[0], self._inside[0], 0.9)

    def sixteen_streams(self) -> BenchRow:
        what = "the same with sixteen streams"
        return at_least("sixteen-streams", what, self._rates[1], self._inside[1], 0.9)

    def one_stream_transformers(self) -> BenchRow:
        what = "chat through HTTP, one stream, against transformers' generate"
        return at_least("one-stream-transformers", what, self._rates[0], self._transformers, 4)

    def sixteen_streams_transformers(self) -> BenchRow:
        what = "the same with sixteen streams"
        return at_least("sixteen-streams-transformers", what, self._rates[1], self._transformers, 4)

    def batch(self) -> BenchRow:
        _ = self._started
        client = self._server[1]
        time.sleep(QUIET_SECONDS)

        def taken(*, batch: bool) -> float:
            return median_seconds(lambda: send_all(client, long_chats(), batch=batch), runs=1)

        ours, theirs = taken(batch=True), taken(batch=False)
        what = f"{CHATS} chats of some 330 tokens as a batch, against sixteen at a time"
        return BenchRow("batch", what, "s", ours, theirs)

    def first_token(self) -> BenchRow:
        _ = self._started
        client, number = self._server[1], iter(range(100))
        time.sleep(QUIET_SECONDS)
        # A new beginning each time, or the prompt would be read from the cache.
        taken = median_seconds(lambda: first_token(client, f"{next(number)}. {PROMPT}"), runs=7)
        return at_most("first-token", "time to the first token", "s", taken, 0.15)

    def server_start(self) -> BenchRow:
        return at_most("server-start", "start of the server", "s", self._server[2], 2)

    def first_answer(self) -> BenchRow:
        what = "first answer after the start"
        return at_most("first-answer", what, "s", self._started[1], 3)

    def importing(self) -> BenchRow:
        def python(code: str) -> float:
            command = [sys.executable, "-c", code]
            return median_seconds(lambda: subprocess.run(command, check=True, cwd=self._root))

        # Without the interpreter's own start.
        taken = max(python("import helpers") - python(""), 0.0)
        return at_most("import", "import helpers", "s", taken, 0.3)

    def idle_memory(self) -> BenchRow:
        what = "memory of the idle server, no model loaded"
        return at_most("idle-memory", what, "MB", self._started[0], 400)

    def loaded_memory(self) -> BenchRow:
        what = "memory of the server with the base model loaded"
        return BenchRow("loaded-memory", what, "MB", self._started[2])


def at_least(name: str, what: str, ours: float, theirs: float, times: float) -> BenchRow:
    """A rate that should reach some times another."""
    aim = f"at least {times:g} of it" if times < 1 else f"at least {times:g} times"
    return BenchRow(name, what, "tokens/s", ours, theirs, aim, ours >= times * theirs)


def at_most(name: str, what: str, unit: str, ours: float, limit: float) -> BenchRow:
    """A number that should stay under a limit."""
    return BenchRow(name, what, unit, ours, None, f"at most {limit:g}", ours <= limit)


def memory(own: Settings) -> float:
    """Megabytes that the server of this state folder holds."""
    known = json.loads((own.state / "server.json").read_text(encoding="utf-8"))
    return resident(known["pid"]) or 0.0


def chat(client: OpenAI, tokens: int, *, prompt: str = PROMPT) -> None:
    """One answer of exactly so many tokens."""
    client.chat.completions.create(
        model=BASE_MODEL,
        messages=[{"role": "user", "content": prompt}],
        max_completion_tokens=tokens,
        temperature=1,
        seed=1,
        logit_bias={str(END_TOKEN): -100},
    )


def long_chats(seed: int = 0) -> list[dict[str, Any]]:
    """Chats with long prompts that have nothing in common, and answers of at most 40 tokens;
    another seed gives others."""
    # This file's own words: any text will do, if no two prompts begin alike.
    words = Path(__file__).read_text(encoding="utf-8").split()
    draw = random.Random(seed)
    return [
        chat_body(
            BASE_MODEL, [{"role": "user", "content": " ".join(draw.choices(words, k=WORDS))}], 40
        )
        for _ in range(CHATS)
    ]


def first_token(client: OpenAI, prompt: str) -> None:
    """Ask, and stop at the first piece of text."""
    stream = client.chat.completions.create(
        model=BASE_MODEL,
        messages=[{"role": "user", "content": prompt}],
        max_completion_tokens=8,
        stream=True,
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    # The server stops writing when nobody reads.
    stream.close()


def all_streams(ask: Callable[[str], Any]) -> float:
    """Tokens a second of sixteen different prompts asked at once."""
    start = time.perf_counter()
    with ThreadPoolExecutor(STREAMS) as pool:
        # Different beginnings: sixteen equal prompts would be read once.
        list(pool.map(lambda i: ask(f"{i}. {PROMPT}"), range(STREAMS)))
    return STREAMS * TOKENS / (time.perf_counter() - start)


def in_process() -> tuple[float, float]:
    """Tokens a second of xllamacpp called directly: one stream, and sixteen together."""
    # As the server's: what is compared is HTTP, not how threads wait for each other.
    os.environ.setdefault("GOMP_SPINCOUNT", daemon.SPIN)
    import xllamacpp

    from helpers.backend.inference.pool import served_weights
    from helpers.backend.protocol.sampling import Sampling
    from helpers.base.tokens import local_tokenizer

    gguf = settings.base_gguf()
    assert gguf is not None
    params = xllamacpp.CommonParams()
    params.model.path = str(served_weights(gguf))
    params.n_ctx, params.n_parallel, params.kv_unified = 8192, STREAMS, True
    threads = settings.load().threads
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.verbosity = -1
    server = xllamacpp.Server(params)
    how = Sampling(max_tokens=TOKENS, temperature=1, seed=1, logit_bias={END_TOKEN: -100.0})
    tokenizer = local_tokenizer(gguf)

    def ask(prompt: str) -> None:
        text = tokenizer.chat([{"role": "user", "content": prompt}], add_generation_prompt=True)
        asked = {"prompt": text, "stream": True, "cache_prompt": True, **how.request(TOKENS)}
        server.handle_completions(asked, lambda chunk: False)

    ask(PROMPT)
    return TOKENS / median_seconds(lambda: ask(PROMPT), runs=3), all_streams(ask)


def transformers_rate() -> float:
    """Tokens a second of transformers' `generate`, one stream, float32."""
    import torch

    from helpers.backend.training.base import load_base
    from helpers.base.tokens import local_tokenizer

    gguf = settings.base_gguf()
    assert gguf is not None
    torch.set_num_threads(settings.load().threads)
    model: Any = load_base(gguf)
    ids = torch.tensor([local_tokenizer().encode_chat([{"role": "user", "content": PROMPT}])])

    def once() -> None:
        # min and max equal: every run writes as much.
        model.generate(ids, max_new_tokens=48, min_new_tokens=48, do_sample=False, pad_token_id=0)

    once()
    return 48 / median_seconds(once, runs=2)
