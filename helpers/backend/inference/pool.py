"""Keep a few models in memory, each with slots in which requests are answered side by side.

For: the engine. Not for: what is asked of a model, see `helpers.backend.protocol.sampling`.

A question alone and the same beside fifteen others get the same tokens at temperature 0, since
each slot has a cache of its own: its keys stand at the same places whatever the others do, so
sums are made in the same order. In one cache for all, which takes 566 MB less for a model, 3 to
6 of 16 answers were equal.

    instance = pool.get(model)
    with instance.reserved(tokens=300) as server:
        server.handle_completions(request, receive)
"""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from pathlib import Path

import xllamacpp

from helpers.backend.bases.served import cache_bytes, served_gguf
from helpers.backend.inference.models import ServedModel
from helpers.base import settings
from helpers.base.errors import BackendError

SLOTS, SLOT_TOKENS = 16, 2048
"""Requests that one model works on at the same time, and the most tokens of one, answer included:
a question of 1,024 without a limit of its own. Each token of the course's model takes 23 KB in each
slot."""
SLOT_BYTES = 1 << 30
"""For the slots of another model, of either kind: llama.cpp takes all of it when it loads one."""
LONG_SLOTS = 2
"""The same for longer requests, whose slots hold the model's whole context."""
BATCH = 512
"""Tokens of prompts in one step: a long prompt then lets others go on, and can be cancelled."""
PART = 56
"""Tokens in one pass over the weights. From 64 of one prompt on, llama.cpp sums attention in
another order, and how many of a prompt come together depends on what else is under way. Prompts
are read 15% slower than in parts of 512."""


LOOK_SECONDS = 0.25


class GivenUp(Exception):
    """Whoever asked has left before there was a free slot."""


class Lane:
    """One llama.cpp, loaded when it is first used, with a fair queue for its slots.

    llama.cpp would queue as well, but a request that waits there cannot be cancelled.
    """

    def __init__(self, model: ServedModel, *, slots: int, tokens: int, threads: int) -> None:
        self._model, self.slots, self.tokens, self._threads = model, slots, tokens, threads
        self._server: xllamacpp.Server | None = None
        self._loading = threading.Lock()
        self._changed = threading.Condition()
        self._line: deque[object] = deque()
        self._free = slots
        self._used = time.monotonic()

    def unused_for(self, seconds: float) -> bool:
        """Whether no request is under way or waits, and the last one ended so long ago."""
        with self._changed:
            busy = self._free < self.slots or len(self._line) > 0
            return not busy and time.monotonic() - self._used >= seconds

    @contextlib.contextmanager
    def reserved(self, given_up: Callable[[], bool]) -> Iterator[xllamacpp.Server]:
        """Wait in line for a slot; then serve. Raises `GivenUp` if nobody waits any more."""
        # Loaded before it waits in line: a slot that is taken is a slot that answers.
        server = self._loaded()
        self._enter(given_up)
        try:
            yield server
        finally:
            with self._changed:
                self._free += 1
                self._used = time.monotonic()
                self._changed.notify_all()

    def _enter(self, given_up: Callable[[], bool]) -> None:
        # A ticket, and not the condition's own order: whoever is woken first may be the last
        # who came.
        ticket = object()
        with self._changed:
            self._line.append(ticket)
            try:
                while not (self._line[0] is ticket and self._free):
                    if given_up():
                        raise GivenUp
                    # Nobody notifies a request that is given up, so it looks from time to time.
                    self._changed.wait(LOOK_SECONDS)
                self._free -= 1
            finally:
                # Those behind may be first in line now, also where this one has given up.
                self._line.remove(ticket)
                self._changed.notify_all()

    def _loaded(self) -> xllamacpp.Server:
        # The first request loads, others wait here instead of loading the weights a second time.
        with self._loading:
            if self._server is None:
                self._server = load(
                    self._model, slots=self.slots, tokens=self.tokens, threads=self._threads
                )
            return self._server


class Instance:
    """One model: many slots for what is usual, and a few for what is long."""

    def __init__(self, model: ServedModel, *, threads: int) -> None:
        self.threads = threads
        usual = min(SLOT_TOKENS, model.context)
        few = slots_for(model.gguf, tokens=usual, most=SLOTS)
        long = slots_for(model.gguf, tokens=model.context, most=LONG_SLOTS)
        self._usual = Lane(model, slots=few, tokens=usual, threads=threads)
        self._long = Lane(model, slots=long, tokens=model.context, threads=threads)

    def unused_for(self, seconds: float) -> bool:
        """Whether no request is under way or waits, and the last one ended so long ago."""
        return self._usual.unused_for(seconds) and self._long.unused_for(seconds)

    def reserved(
        self, tokens: int, given_up: Callable[[], bool] = lambda: False
    ) -> contextlib.AbstractContextManager[xllamacpp.Server]:
        """A slot for `tokens`, at most the context. The same request gets the same kind of
        slot, whatever else is under way."""
        lane = self._usual if tokens <= self._usual.tokens else self._long
        return lane.reserved(given_up)


class Pool:
    """The most recently used instances. One that is dropped ends when its last request does.

    `threads` may change: a model is then loaded afresh for its next request.
    """

    def __init__(self, *, threads: int, max_loaded: int) -> None:
        self.threads, self._max_loaded = threads, max_loaded
        self._instances: OrderedDict[ServedModel, Instance] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, model: ServedModel) -> Instance:
        """The instance of a model; the least recently used one is dropped for it if need be."""
        with self._lock:
            instance = self._instances.pop(model, None)
            # Costs nothing under this lock: weights are loaded when a lane is first used.
            if instance is None or instance.threads != self.threads:
                instance = Instance(model, threads=self.threads)
            self._instances[model] = instance
            while len(self._instances) > self._max_loaded:
                # Only forgotten here: requests under way hold it until they end.
                self._instances.popitem(last=False)
            return instance

    @property
    def models(self) -> list[ServedModel]:
        """The models in memory, the one that was asked last at the end."""
        with self._lock:
            return list(self._instances)

    def rest(self, seconds: float) -> None:
        """Forget the models that nobody has asked for so long: each holds about 1 GB."""
        with self._lock:
            for model, instance in list(self._instances.items()):
                if instance.unused_for(seconds):
                    del self._instances[model]

    def drop(self, model_id: str | None = None) -> None:
        """Forget a model, or all of them."""
        with self._lock:
            for model in [m for m in self._instances if model_id in (None, m.id)]:
                del self._instances[model]


def load(model: ServedModel, *, slots: int, tokens: int, threads: int) -> xllamacpp.Server:
    """A llama.cpp instance of the model, in this process. Takes about half a second.

    It has so many slots, each with a cache of its own for so many tokens.

    Raises `BackendError` if the weights or the adapter cannot be read.
    """
    params = common_params(served_weights(model.gguf), threads=threads)
    # llama.cpp takes the sum over all slots; not unified, each gets its even share.
    params.n_ctx, params.n_parallel, params.kv_unified = slots * tokens, slots, False
    params.n_batch, params.n_ubatch = BATCH, PART
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    # Else llama.cpp keeps up to 8 GB of old conversations.
    params.cache_ram_mib = 0
    if model.adapter is None:
        return start(params, model.id)
    with tempfile.TemporaryDirectory() as folder:
        # The copy may go after the start: an adapter is read whole when it is loaded.
        steady = _steady(model.adapter, Path(folder), model.id)
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(steady), 1.0)]
        return start(params, model.id)


def _steady(adapter: Path, folder: Path, name: str) -> Path:
    """A copy of the adapter with a rank that is odd, by a row of zeros: the same function.

    llama.cpp has a fast product for ranks that four divides, which it leaves out for a single
    token; a question alone would get other sums than one beside others.
    """
    if not adapter.is_file():
        return adapter  # `start` says so
    from helpers.backend.storage.gguf_files import write_padded

    try:
        return write_padded(adapter, folder / adapter.name)
    except (ValueError, KeyError, IndexError, StopIteration) as error:
        raise BackendError(
            f"the model {name} cannot be loaded: {adapter} is damaged", fix="train it again"
        ) from error


def served_weights(gguf: Path) -> Path:
    """The course's model as set-up prepared it for serving; one of a folder as it is made of that
    when it is first asked; any other as it is."""
    prepared = settings.served_gguf()
    if gguf == settings.base_gguf():
        return prepared if prepared.is_file() else gguf
    return served_gguf(gguf)


def slots_for(gguf: Path, *, tokens: int, most: int) -> int:
    """How many slots a model gets: fewer where a token takes more memory than in the course's."""
    if gguf == settings.base_gguf():
        return most
    return max(1, min(most, SLOT_BYTES // (cache_bytes(gguf) * tokens)))


def common_params(gguf: Path, *, threads: int) -> xllamacpp.CommonParams:
    """What all instances share: quiet, and closed to everyone but this process."""
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.verbosity = -1
    params.warmup = False
    # llama.cpp always listens on a loopback port of its own, which nobody here uses.
    params.api_keys = [secrets.token_hex(32)]
    params.cors_origins, params.cors_credentials = "", False
    params.ui = params.endpoint_slots = False
    params.n_threads_http = 1
    return params


def start(params: xllamacpp.CommonParams, name: str) -> xllamacpp.Server:
    """Load what `params` name. Raises `BackendError` if that fails."""
    for path in [params.model.path, *(adapter.path for adapter in params.lora_adapters)]:
        if not Path(path).is_file():
            raise BackendError(f"the model {name} cannot be loaded: no file {path}")
    try:
        return xllamacpp.Server(params)
    except (RuntimeError, ValueError) as error:
        raise BackendError(
            f"the model {name} cannot be loaded: {error}", fix="run: python3 -m helpers doctor"
        ) from error
