"""Keep a few models in memory, and share out each one's context among its requests.

For: the engine. Not for: what is asked of a model, see `helpers.backend.protocol.sampling`.

    instance = pool.get(model)
    with instance.reserved(tokens=300) as server:
        server.handle_completions(request, receive)
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from pathlib import Path

import xllamacpp

from helpers.backend.inference.models import ServedModel
from helpers.base import settings
from helpers.base.errors import BackendError

SLOTS = 16
"""Requests that one model works on at the same time; more wait in line."""
BATCH = 512
"""Tokens of prompts in one step: a long prompt then lets others go on, and can be cancelled."""


class Instance:
    """One model, loaded when it is first used, with a fair queue for its context.

    llama.cpp shares one context among all requests, and fails all of them when it is full.
    So each request says beforehand how much it may need, and waits until that is free.
    """

    def __init__(self, model: ServedModel, *, threads: int) -> None:
        self._model, self.threads = model, threads
        self._server: xllamacpp.Server | None = None
        self._loading = threading.Lock()
        self._changed = threading.Condition()
        self._line: deque[object] = deque()
        self._slots, self._room = SLOTS, model.context
        self._used = time.monotonic()

    def unused_for(self, seconds: float) -> bool:
        """Whether no request is under way or waits, and the last one ended so long ago."""
        with self._changed:
            busy = self._slots < SLOTS or len(self._line) > 0
            return not busy and time.monotonic() - self._used >= seconds

    @contextlib.contextmanager
    def reserved(self, tokens: int) -> Iterator[xllamacpp.Server]:
        """Wait in line for a slot and room for `tokens`, at most the context; then serve."""
        server = self._loaded()
        self._enter(tokens)
        try:
            yield server
        finally:
            with self._changed:
                self._slots, self._room = self._slots + 1, self._room + tokens
                self._used = time.monotonic()
                self._changed.notify_all()

    def _enter(self, tokens: int) -> None:
        ticket = object()
        with self._changed:
            self._line.append(ticket)
            try:
                self._changed.wait_for(
                    lambda: self._line[0] is ticket and self._slots and self._room >= tokens
                )
                self._slots, self._room = self._slots - 1, self._room - tokens
            finally:
                self._line.remove(ticket)
                self._changed.notify_all()

    def _loaded(self) -> xllamacpp.Server:
        with self._loading:
            if self._server is None:
                self._server = load(self._model, threads=self.threads)
            return self._server


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
            if instance is None or instance.threads != self.threads:
                instance = Instance(model, threads=self.threads)
            self._instances[model] = instance
            while len(self._instances) > self._max_loaded:
                self._instances.popitem(last=False)
            return instance

    def rest(self, seconds: float) -> None:
        """Forget the models that nobody has asked for so long: each holds about 300 MB."""
        with self._lock:
            for model, instance in list(self._instances.items()):
                if instance.unused_for(seconds):
                    del self._instances[model]

    def drop(self, model_id: str | None = None) -> None:
        """Forget a model, or all of them."""
        with self._lock:
            for model in [m for m in self._instances if model_id in (None, m.id)]:
                del self._instances[model]


def load(model: ServedModel, *, threads: int) -> xllamacpp.Server:
    """A llama.cpp instance of the model, in this process. Takes about half a second.

    Raises `BackendError` if the weights or the adapter cannot be read.
    """
    params = common_params(served_weights(model.gguf), threads=threads)
    params.n_ctx, params.n_parallel, params.kv_unified = model.context, SLOTS, True
    params.n_batch = BATCH
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    # Else llama.cpp keeps up to 8 GB of old conversations.
    params.cache_ram_mib = 0
    if model.adapter:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(model.adapter), 1.0)]
    return start(params, model.id)


def served_weights(gguf: Path) -> Path:
    """The course's model as set-up prepared it for serving; any other as it is."""
    prepared = settings.served_gguf()
    return prepared if gguf == settings.base_gguf() and prepared.is_file() else gguf


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
