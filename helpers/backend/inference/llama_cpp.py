"""Answer with llama.cpp: every model of every family, on every machine.

For: `engine`. Not for: which slots there are and when a model is loaded, see `pool`.

    engine = LlamaCppEngine(threads=2, max_loaded=4)
    for delta in engine.answer(model, tokens, Sampling(), stopped=lambda: False):
        delta.text
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from helpers.backend.inference import text_logprobs
from helpers.backend.inference.models import ServedModel
from helpers.backend.inference.pool import BATCH, LOOK_SECONDS, SLOTS, GivenUp, Pool
from helpers.backend.protocol.sampling import Delta, Sampling, TokenLogprob, delta
from helpers.base.errors import BackendError
from helpers.base.tokens import local_tokenizer

Chunks = queue.SimpleQueue[dict[str, Any] | BaseException | None]


class LlamaCppEngine:
    """A pool of loaded models. All methods may be called from several threads."""

    name = "llama.cpp"
    at_once = SLOTS

    def __init__(self, *, threads: int, max_loaded: int) -> None:
        self._pool = Pool(threads=threads, max_loaded=max_loaded)

    def fits(self, model: ServedModel) -> bool:
        """Whether this engine can answer for the model."""
        return True

    def answer(
        self,
        model: ServedModel,
        tokens: Sequence[int],
        sampling: Sampling,
        *,
        stopped: Callable[[], bool],
    ) -> Iterator[Delta | None]:
        """The answer as it is made, None where there is nothing new; ends early if `stopped`."""
        room = model.context - len(tokens)
        request = {
            "prompt": list(tokens) or "",
            "stream": True,
            "cache_prompt": True,
            # Progress comes as empty chunks, at which a client that has left is noticed.
            "return_progress": len(tokens) > BATCH,
            **sampling.request(room, end=local_tokenizer(model.gguf).end_id),
        }
        for chunk in self._chunks(model, request, len(tokens) + sampling.limit(room), stopped):
            yield None if chunk is None else delta(chunk, sampling.logprobs)

    def score(
        self,
        model: ServedModel,
        ids: Sequence[int],
        *,
        alternatives: int,
        stopped: Callable[[], bool],
    ) -> list[TokenLogprob]:
        """One entry for each token but the first."""

        def ask(request: Mapping[str, Any]) -> list[dict[str, Any]]:
            tokens = len(request["prompt"]) + request["n_predict"]
            chunks = self._chunks(model, dict(request), tokens, stopped)
            return [chunk for chunk in chunks if chunk is not None]

        return text_logprobs.score(ask, local_tokenizer(model.gguf), ids, alternatives=alternatives)

    def _chunks(
        self,
        model: ServedModel,
        request: dict[str, Any],
        tokens: int,
        stopped: Callable[[], bool],
    ) -> Iterator[dict[str, Any] | None]:
        """llama.cpp calls back until it is done; a thread turns that into an iterator.

        The thread also waits in line and gives its place back, so closing takes no time.
        """
        chunks: Chunks = queue.SimpleQueue()

        def receive(chunk: dict[str, Any]) -> bool:
            chunks.put(chunk)
            # True makes llama.cpp end the request.
            return stopped()

        def work() -> None:
            try:
                with self._pool.get(model).reserved(tokens, stopped) as server:
                    if not stopped():
                        server.handle_completions(request, receive)
            except GivenUp:
                pass
            except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
                chunks.put(error)
            # In any case, or the reader would wait for an end that never comes.
            chunks.put(None)

        threading.Thread(target=work, daemon=True, name="llama.cpp request").start()
        while not stopped():
            try:
                chunk = chunks.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                # A moment for the reader, who may close the iterator here.
                yield None
                continue
            if chunk is None:
                return
            yield _sound(chunk)

    @property
    def models(self) -> list[ServedModel]:
        """The models in memory, the one that was asked last at the end."""
        return self._pool.models

    def share_cores(self, threads: int) -> None:
        """Answer with so many threads from now on, see `cpu_load`."""
        self._pool.threads = threads

    def rest(self, seconds: float) -> None:
        """Free the memory of models that nobody asked for so long."""
        self._pool.rest(seconds)

    def unload(self, model_id: str) -> None:
        """Free the memory of a model; requests under way end first."""
        self._pool.drop(model_id)

    def close(self) -> None:
        """Unload everything."""
        self._pool.drop()


def _sound(chunk: dict[str, Any] | BaseException) -> dict[str, Any]:
    if isinstance(chunk, BackendError):
        raise chunk
    if isinstance(chunk, BaseException):
        raise BackendError(f"the model could not answer: {chunk}") from chunk
    return chunk
