"""Answer with OpenVINO: the answers of a model are continued together, one token a pass.

Models that were tuned on one base share its compiled weights; each has its adapter besides, and a
pass is for one model.

For: `engine`, on processors that multiply bfloat16; several times as fast there as llama.cpp with
many requests or long prompts. Not for: models that `llama_graph.fit` does not know.

The same request gives the same tokens alone and beside others, bit for bit. Three rules keep it
so: no pass has a single token (another kernel, other sums), a prompt is cut only at multiples of
32, and only whole blocks of prompts are shared, never what an answer left in the cache.

    engine = OpenVinoEngine(threads=2, cache=Path(".workbook/cache"))
    for delta in engine.answer(model, tokens, Sampling(), stopped=lambda: False):
        delta.text
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from helpers.backend.inference import llama_graph
from helpers.backend.inference.blocks import Blocks, names
from helpers.backend.inference.llama_graph import BLOCK, GraphWeights, LlamaShape, LoraShape
from helpers.backend.inference.models import ServedModel
from helpers.backend.inference.rows import AnswerRow, Row, ScoredRow
from helpers.backend.protocol.sampling import Delta, Sampling, TokenLogprob
from helpers.base.errors import BackendError
from helpers.base.heap import return_freed_memory

if TYPE_CHECKING:
    import openvino

ROWS = 64
"""Answers that are continued at the same time."""
PASS = 512
"""Tokens of prompts in one pass: a long prompt lets others go on between two."""
CACHE_BYTES = 400 << 20
"""Of the cache that all models of a shape share; of the course's model 18,000 tokens in bfloat16.
In float32, two of its longest requests take more. Memory is taken as it is written, so a class
fills all of it, and not given back before the last model."""
SPARE_BYTES = 1 << 30
"""What a further model leaves free for others, where models that nobody asks can make room."""
LOOK_SECONDS = 0.1
ADAPTERS = 16
"""Of tuned models, in memory at the same time: 20 MB each for the course's, read in 0.04 s."""


@dataclass(frozen=True)
class GraphName:
    """What models have in common that share compiled weights."""

    gguf: Path
    shape: LlamaShape
    lora: LoraShape | None


@dataclass
class CompiledGraph:
    """Compiled weights, and the adapter that the next pass would use."""

    weights: GraphWeights
    request: openvino.InferRequest
    adapter_of: ServedModel | None = None


@dataclass
class LoadedModel:
    """A model, and the graph that answers for it."""

    graph: GraphName
    adapter: dict[str, openvino.Tensor]
    """Inputs of the graph; none for a base as it is."""
    used: float = field(default_factory=time.monotonic)


class BlockCache:
    """Keys and values that all models of one shape share."""

    def __init__(self, shape: LlamaShape) -> None:
        # Two of the longest requests fit in any case, and the block that no answer reads.
        longest = -(-shape.context // BLOCK)
        count = max(CACHE_BYTES // llama_graph.block_bytes(shape), 2 * longest + 1)
        self.tensors = llama_graph.cache_tensors(shape, count)
        self.blocks = Blocks(count)
        (self.spare,) = self.blocks.take(1)
        """Where a row of filling writes, which no answer reads."""


class OpenVinoEngine:
    """Models, and one thread in which they are asked in turn. Methods may be called from several
    threads."""

    name = "openvino"
    at_once = ROWS

    def __init__(self, *, threads: int, cache: Path, max_loaded: int = 4) -> None:
        self._threads, self._cache, self._max_loaded = threads, cache, max_loaded
        # Guards `_shapes`; a lock of its own, since a file is read under it.
        self._known = threading.Lock()
        self._shapes: dict[ServedModel, LlamaShape | None] = {}
        self._loaded: OrderedDict[ServedModel, LoadedModel] = OrderedDict()
        self._graphs: dict[GraphName, CompiledGraph] = {}
        self._caches: dict[LlamaShape, BlockCache] = {}
        # Guards `_new`, `_tasks` and `_closed`. Models, caches and rows belong to the engine's
        # thread.
        self._changed = threading.Condition()
        self._new: deque[Row] = deque()
        self._waiting: list[Row] = []
        self._rows: list[Row] = []
        self._tasks: deque[Callable[[], None]] = deque()
        self._closed = False

    @cached_property
    def _thread(self) -> threading.Thread:
        thread = threading.Thread(target=self._work, daemon=True, name="openvino")
        thread.start()
        return thread

    def fits(self, model: ServedModel) -> bool:
        """Whether this engine can answer for the model."""
        with self._known:
            if model not in self._shapes:
                self._shapes[model] = llama_graph.fit(model.gguf, model.adapter)
            return self._shapes[model] is not None

    def answer(
        self,
        model: ServedModel,
        tokens: Sequence[int],
        sampling: Sampling,
        *,
        stopped: Callable[[], bool],
    ) -> Iterator[Delta | None]:
        """The answer as it is made, None where there is nothing new; ends early if `stopped`."""
        yield from self._asked(AnswerRow(model, tokens, sampling, stopped))

    def score(
        self,
        model: ServedModel,
        ids: Sequence[int],
        *,
        alternatives: int,
        stopped: Callable[[], bool],
    ) -> list[TokenLogprob]:
        """One entry for each token but the first; none if `stopped`."""
        if len(ids) < 2:
            return []
        found = [one for one in self._asked(ScoredRow(model, ids, alternatives, stopped)) if one]
        return found[0] if found else []

    def _asked(self, row: Row) -> Iterator[Any]:
        with self._changed:
            self._new.append(row)
            self._changed.notify_all()
            # Started with the first request: a server that answers with the other engine has no
            # such thread. Under the lock, or two first requests would start one each.
            _ = self._thread
        while True:
            try:
                one = row.out.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                # The engine's thread sees the same and gives the blocks back; nobody waits for that
                # here.
                if row.stopped():
                    return
                yield None
                continue
            if one is None:
                return
            if isinstance(one, BackendError):
                raise one
            if isinstance(one, BaseException):
                raise BackendError(f"the model could not answer: {one}") from one
            yield one

    def rest(self, seconds: float) -> None:
        """Free the memory of models that nobody asked for so long."""
        self._later(lambda: self._rest(seconds))

    def unload(self, model_id: str) -> None:
        """Free the memory of a model; requests under way end first."""
        # The file may be another one the next time: its shape is read again.
        with self._known:
            for model in [model for model in self._shapes if model.id == model_id]:
                del self._shapes[model]
        self._later(lambda: self._unload(model_id))

    @property
    def models(self) -> list[ServedModel]:
        """The models in memory, the one that was asked last at the end."""
        return list(self._loaded)

    def share_cores(self, threads: int) -> None:
        """Nothing: its threads wait for each other without holding a core."""

    def close(self) -> None:
        """End what is under way, and free all memory."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        # Looking at the property would start the thread only to end it.
        if "_thread" in self.__dict__:
            self._thread.join(10)

    def _later(self, task: Callable[[], None]) -> None:
        """In the engine's thread, between two passes."""
        with self._changed:
            # Without a thread there is no model. With one, its first may be on its way.
            if "_thread" in self.__dict__:
                self._tasks.append(task)
                self._changed.notify_all()

    # From here on: the engine's own thread.

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._new or self._tasks or self._waiting or self._rows or self._closed):
                    self._set_aside()
                    self._changed.wait()
                if self._closed:
                    break
                self._waiting += self._new
                self._new.clear()
                tasks = list(self._tasks)
                self._tasks.clear()
            # Outside the lock, as tasks may add further ones.
            for task in tasks:
                task()
            self._let_go()
            self._admit()
            if self._rows:
                self._pass()
            elif self._waiting:
                # What waits has no place now (all models in use, or no blocks), and nobody notifies
                # of one.
                time.sleep(LOOK_SECONDS)
        for row in [*self._rows, *self._waiting, *self._new]:
            row.out.put(None)
        self._rows, self._waiting = [], []
        self._loaded.clear()
        self._graphs.clear()
        self._caches.clear()

    def _let_go(self) -> None:
        """Forget requests that nobody waits for any more."""
        for row in [row for row in self._rows if row.stopped()]:
            self._end(row)
            row.out.put(None)
        for row in [row for row in self._waiting if row.stopped()]:
            self._waiting.remove(row)
            row.out.put(None)

    def _admit(self) -> None:
        """Begin with what waits, in its order, as far as there is room."""
        computed = self._being_computed()
        for row in list(self._waiting):
            if len(self._rows) >= ROWS:
                return
            try:
                loaded = self._ready(row.model)
            except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
                self._waiting.remove(row)
                row.out.put(error)
                continue
            if loaded is None:
                continue
            blocks = self._caches[loaded.graph.shape].blocks
            found = blocks.shared(row.model, row.prompt) if row.shares else []
            missing = next(itertools.islice(names(row.model, row.prompt), len(found), None), None)
            if row.shares and missing in computed:
                # Another request computes this beginning just now: read it from there.
                blocks.give_back(found)
                continue
            # Nobody overtakes: smaller requests behind it would keep the cache full for ever.
            if row.needed - len(found) > blocks.free:
                blocks.give_back(found)
                return
            row.blocks = [*found, *blocks.take(row.needed - len(found))]
            row.read = row.cached = len(found) * BLOCK
            self._waiting.remove(row)
            self._rows.append(row)
            computed |= set(itertools.islice(names(row.model, row.prompt), len(found), None))

    def _being_computed(self) -> set[Any]:
        reading = [row for row in self._rows if row.read < len(row.prompt)]
        return {name for row in reading for name in names(row.model, row.prompt)}

    def _ready(self, model: ServedModel) -> LoadedModel | None:
        """The model, loaded if need be; None while all places are taken by models in use."""
        loaded = self._loaded.get(model)
        if loaded is None:
            graph = self._graph_of(model)
            if not self._make_room(graph):
                return None
            loaded = self._load(model, graph)
        self._loaded[model] = loaded
        self._loaded.move_to_end(model)
        loaded.used = time.monotonic()
        return loaded

    def _graph_of(self, model: ServedModel) -> GraphName:
        shape = self._shapes.get(model) or llama_graph.fit(model.gguf, model.adapter)
        if shape is None:
            raise BackendError(f"the model {model.id} cannot be loaded")
        lora = llama_graph.lora_shape(model.adapter) if model.adapter else None
        return GraphName(model.gguf, shape, lora)

    def _make_room(self, graph: GraphName) -> bool:
        """Drop models that nobody asks now, the longest unused first, until there is a place and
        memory; False if there is no place. Without memory it is tried all the same: the system may
        know more."""
        busy = {row.model for row in self._rows}
        idle = [other for other in self._loaded if other not in busy]
        while idle and not (self._has_place(graph) and self._has_memory(graph)):
            self._drop(idle.pop(0))
        return self._has_place(graph)

    def _has_place(self, graph: GraphName) -> bool:
        if graph not in self._graphs:
            return len(self._graphs) < self._max_loaded
        return sum(bool(other.adapter) for other in self._loaded.values()) < ADAPTERS

    def _has_memory(self, graph: GraphName) -> bool:
        needed = 0 if graph in self._graphs else llama_graph.model_bytes(graph.gguf)
        return bool(psutil.virtual_memory().available >= needed + SPARE_BYTES)

    def _load(self, model: ServedModel, graph: GraphName) -> LoadedModel:
        # Read first: from a damaged file, nothing is compiled.
        adapter: dict[str, openvino.Tensor] = {}
        if model.adapter and graph.lora:
            adapter = llama_graph.lora_tensors(model.adapter, graph.shape, graph.lora)
        if graph not in self._graphs:
            self._graphs[graph] = self._compiled(graph)
        return LoadedModel(graph, adapter)

    def _compiled(self, graph: GraphName) -> CompiledGraph:
        # A base and what was tuned on it are two graphs of the same weights.
        known = [made.weights for name, made in self._graphs.items() if name.gguf == graph.gguf]
        weights = known[0] if known else self._weights(graph)
        compiled = llama_graph.compiled_llama(
            weights, graph.lora, graph.shape, threads=self._threads
        )
        if graph.shape not in self._caches:
            self._caches[graph.shape] = BlockCache(graph.shape)
        # Reading and compiling leave much behind, in the heaps of many threads.
        return_freed_memory()
        request = compiled.create_infer_request()
        for name, tensor in self._caches[graph.shape].tensors.items():
            request.set_tensor(name, tensor)
        return CompiledGraph(weights, request)

    def _weights(self, graph: GraphName) -> GraphWeights:
        return llama_graph.llama_weights(graph.gguf, graph.shape, folder=self._cache)

    def _set_aside(self) -> None:
        """Give back the memory of weights that graphs have in an order of their own by now."""
        for graph in self._graphs.values():
            graph.weights.file.set_aside()

    def _drop(self, model: ServedModel) -> None:
        graph = self._loaded.pop(model).graph
        self._caches[graph.shape].blocks.forget(model)
        # Weights go with the last model that shares them, the cache with the last of its shape.
        left = {other.graph for other in self._loaded.values()}
        # Of that name there may be another adapter later.
        self._graphs[graph].adapter_of = None
        if graph not in left:
            del self._graphs[graph]
            return_freed_memory()
        if graph.shape not in {other.shape for other in left}:
            del self._caches[graph.shape]

    def _rest(self, seconds: float) -> None:
        busy = {row.model for row in self._rows}
        for model, loaded in list(self._loaded.items()):
            if model not in busy and time.monotonic() - loaded.used >= seconds:
                self._drop(model)

    def _unload(self, model_id: str) -> None:
        busy = {row.model for row in self._rows}
        for model in [model for model in self._loaded if model.id == model_id]:
            if model in busy:
                # Tried again after each pass, until its last request has ended.
                self._later(lambda: self._unload(model_id))
            else:
                self._drop(model)

    def _end(self, row: Row) -> None:
        loaded = self._loaded[row.model]
        loaded.used = time.monotonic()
        self._caches[loaded.graph.shape].blocks.give_back(row.blocks)
        self._rows.remove(row)

    def _pass(self) -> None:
        """Read the next tokens of one model's requests, and choose what follows."""
        model = self._rows[0].model
        rows = [row for row in self._rows if row.model == model]
        # The others come first the next time.
        self._rows = [row for row in self._rows if row.model != model] + rows
        parts, room = [], PASS
        for row in rows:
            tokens = row.next_tokens(room)
            if tokens:
                parts.append((row, tokens))
                # Answers read one token each, whatever room the prompts have left.
                room -= len(tokens) if row.read < len(row.prompt) else 0
        try:
            logits = self._logits(model, parts)
        except BaseException as error:  # noqa: BLE001 - raised again in the readers' threads
            for row in rows:
                self._end(row)
                row.out.put(error)
            return
        blocks = self._caches[self._loaded[model].graph.shape].blocks
        start = 0
        for row, tokens in parts:
            count = len(row.places(len(tokens)))
            reading = row.read < len(row.prompt)
            row.read += len(tokens)
            # Only what prompts left: the module says why an answer's own tokens are never shared.
            if reading:
                blocks.publish(model, row.prompt[: row.read], row.blocks)
            try:
                goes_on = row.take(logits[start : start + count])
            except BaseException as error:  # noqa: BLE001 - as above
                goes_on = False
                row.out.put(error)
            start += count
            if not goes_on:
                self._end(row)

    def _logits(self, model: ServedModel, parts: Sequence[tuple[Row, list[int]]]) -> np.ndarray:
        """The rows of logits that are wanted, one part after the other: (n, vocabulary)."""
        tokens, places, pasts, used, at = (
            list[int](),
            list[int](),
            list[int](),
            list[int](),
            list[int](),
        )
        begins, used_begins = [0], [0]
        longest = 1
        for row, own in parts:
            end = row.read + len(own)
            at += [len(tokens) + place for place in row.places(len(own))]
            tokens += own
            places += range(row.read, end)
            pasts.append(row.read)
            used += row.blocks[: -(-end // BLOCK)]
            begins.append(len(tokens))
            used_begins.append(len(used))
            longest = max(longest, end)
        wanted = len(at)
        if len(tokens) == 1:
            # Filling: a pass of one token would go through another kernel.
            tokens, places, pasts = [*tokens, 0], [*places, 0], [*pasts, 0]
            used = [*used, self._caches[self._loaded[model].graph.shape].spare]
            begins, used_begins = [*begins, 2], [*used_begins, len(used)]
        # Two rows at least: the product with the vocabulary has another kernel for one row, too.
        at += [0] * max(0, 2 - wanted)
        values = (tokens, places, pasts, begins, used, used_begins, longest, at)
        return run(self._request_of(model), values)[:wanted]

    def _request_of(self, model: ServedModel) -> openvino.InferRequest:
        """The model's graph, with its adapter as the input."""
        loaded = self._loaded[model]
        graph = self._graphs[loaded.graph]
        if loaded.adapter and graph.adapter_of != model:
            for name, tensor in loaded.adapter.items():
                graph.request.set_tensor(name, tensor)
            graph.adapter_of = model
        return graph.request


def run(request: openvino.InferRequest, values: Sequence[Any]) -> np.ndarray:
    """One pass, with a value for each of `llama_graph.INPUTS`; its result lasts until the next."""
    import openvino

    for name, value in zip(llama_graph.INPUTS, values, strict=True):
        request.set_tensor(name, openvino.Tensor(np.array(value, np.int32, order="C")))
    request.start_async()
    request.wait()
    logits: np.ndarray = request.get_tensor("logits").data
    return logits
