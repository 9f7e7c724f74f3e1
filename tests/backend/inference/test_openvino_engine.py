"""The engine's thread and what others ask of it, without a model and without OpenVINO."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.backend.inference import llama_graph, openvino_engine
from helpers.backend.inference.blocks import Blocks
from helpers.backend.inference.llama_graph import BLOCK, GraphWeights, LlamaShape, LoraShape
from helpers.backend.inference.models import ServedModel
from helpers.backend.inference.openvino_engine import (
    ADAPTERS,
    CompiledGraph,
    GraphName,
    LoadedModel,
    OpenVinoEngine,
)
from helpers.backend.inference.weight_file import WeightFile
from helpers.base import settings
from helpers.base.errors import BackendError

MODEL = ServedModel("tuned", settings.base_gguf())
SMALL = LlamaShape(1, 64, 2, 1, 1e4, 1e-5, 64)
NO_WEIGHTS = GraphWeights({}, WeightFile(Path(), 0))
LORA = LoraShape(4, frozenset({"model.layers.0.self_attn.q_proj"}))


def graph_of(name: str, lora: LoraShape | None = None) -> GraphName:
    return GraphName(Path(name), SMALL, lora)


def hold(engine: OpenVinoEngine, model: ServedModel, graph: GraphName, adapter=()) -> None:
    """As if the engine had loaded the model."""
    engine._caches.setdefault(SMALL, SimpleNamespace(blocks=Blocks(4)))
    engine._graphs.setdefault(
        graph, CompiledGraph(GraphWeights({}, SimpleNamespace(set_aside=lambda: None)), Request())
    )
    engine._loaded[model] = LoadedModel(graph, dict(adapter))


class Request:
    """Remembers its inputs."""

    def __init__(self) -> None:
        self.inputs: dict[str, object] = {}

    def set_tensor(self, name: str, value: object) -> None:
        self.inputs[name] = value


class Loading:
    """A model that takes until `go` to load, and then cannot be."""

    def __init__(self, engine: OpenVinoEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        monkeypatch.setattr(engine, "_load", self.load)

    def load(self, model: ServedModel, graph: GraphName) -> None:
        self.begun.set()
        self.go.wait(60)
        raise BackendError("it cannot be loaded")


def ask(engine: OpenVinoEngine) -> threading.Thread:
    def score() -> None:
        with pytest.raises(BackendError):
            engine.score(MODEL, [1, 2], alternatives=0, stopped=lambda: False)

    thread = threading.Thread(target=score)
    thread.start()
    return thread


@pytest.fixture
def engine(tmp_path):
    made = OpenVinoEngine(threads=1, cache=tmp_path)
    yield made
    made.close()


def test_a_model_that_is_removed_while_the_first_is_loaded_is_unloaded_behind_it(
    engine, monkeypatch
):
    loading = Loading(engine, monkeypatch)
    unloaded = threading.Event()
    monkeypatch.setattr(engine, "_unload", lambda _: unloaded.set())
    reader = ask(engine)
    assert loading.begun.wait(60)
    engine.unload("tuned")
    loading.go.set()
    reader.join(60)
    assert unloaded.wait(60)


def test_an_engine_that_nobody_asked_starts_no_thread_to_unload(engine):
    engine.unload("tuned")
    assert "_thread" not in vars(engine)


@pytest.mark.parametrize(
    ("free", "busy", "left", "room"),
    [
        (8.0, (), "abc", True),
        (1.5, (), "bc", True),
        (0.5, (), "c", True),
        (1.5, "a", "ac", True),
        (0.5, "a", "a", True),
        # Tried all the same where all are in use.
        (0.0, "abc", "abc", True),
    ],
)
def test_models_that_nobody_asks_make_room_where_memory_is_short(
    engine, monkeypatch, free, busy, left, room
):
    models = {name: ServedModel(name, Path(name)) for name in "abc"}
    for name, model in models.items():
        hold(engine, model, graph_of(name))
    engine._rows = [SimpleNamespace(model=models[name]) for name in busy]
    monkeypatch.setattr(llama_graph, "model_bytes", lambda gguf: 1 << 30)

    def memory():
        # Each model that is dropped gives a gigabyte back; another one and its spare take two.
        return SimpleNamespace(available=(free + 3 - len(engine._loaded)) * (1 << 30))

    monkeypatch.setattr(openvino_engine.psutil, "virtual_memory", memory)
    assert engine._make_room(graph_of("d")) == room
    assert "".join(model.id for model in engine.models) == left


def test_a_place_is_made_even_where_there_is_memory_and_none_of_models_in_use(engine, monkeypatch):
    models = [ServedModel(name, Path(name)) for name in "abcd"]
    for model in models:
        hold(engine, model, graph_of(model.id))
    monkeypatch.setattr(llama_graph, "model_bytes", lambda gguf: 0)
    assert engine._make_room(graph_of("e"))
    assert engine.models == models[1:]
    assert len(engine._graphs) == 3
    hold(engine, models[0], graph_of("a"))
    engine._rows = [SimpleNamespace(model=model) for model in models]
    assert not engine._make_room(graph_of("e"))


def test_models_tuned_on_one_base_share_its_weights_up_to_a_number_of_them(engine, monkeypatch):
    monkeypatch.setattr(llama_graph, "model_bytes", lambda gguf: 0)
    graph = graph_of("base", LORA)
    models = [ServedModel(f"ft:{at}", Path("base"), Path(f"{at}.gguf")) for at in range(ADAPTERS)]
    for at, model in enumerate(models):
        assert engine._make_room(graph)
        hold(engine, model, graph, {"a": at})
    assert (len(engine.models), len(engine._graphs)) == (ADAPTERS, 1)
    assert engine._make_room(graph)
    assert engine.models == models[1:]
    # Each pass has its own model's adapter, also behind that of another.
    for model in (models[3], models[7], models[7], models[3]):
        assert engine._request_of(model).inputs == {"a": int(model.id.removeprefix("ft:"))}
    # One that is made anew under a name is not taken for the one before.
    engine._drop(models[3])
    hold(engine, models[3], graph, {"a": "new"})
    assert engine._request_of(models[3]).inputs == {"a": "new"}
    for model in models[1:]:
        engine._drop(model)
    assert not engine._graphs
    assert not engine._caches


def test_a_base_and_what_was_tuned_on_it_hold_their_weights_once(engine, monkeypatch):
    read, given = [], []
    compiled = SimpleNamespace(create_infer_request=Request)
    monkeypatch.setattr(
        llama_graph, "llama_weights", lambda gguf, _, folder: read.append(gguf) or {gguf}
    )
    monkeypatch.setattr(
        llama_graph, "compiled_llama", lambda weights, *_, **__: given.append(weights) or compiled
    )
    engine._caches[SMALL] = SimpleNamespace(tensors={})
    for graph in (graph_of("a"), graph_of("a", LORA), graph_of("b")):
        engine._graphs[graph] = engine._compiled(graph)
    assert read == [Path("a"), Path("b")]
    assert given[0] is given[1]
    assert given[2] == {Path("b")}


def test_adapters_are_rounded_as_pytorch_rounds(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(llama_graph, "precision", lambda: "bf16")
    values = np.random.default_rng(0).normal(size=(16, 64)).astype(np.float32)
    # Ties, which go to the even neighbour.
    values[0, :4] = np.array([0x3F808000, 0x3F818000, 0xBF808000, 0], np.uint32).view(np.float32)
    wanted = torch.from_numpy(values).to(torch.bfloat16).view(torch.uint16).numpy()
    assert np.array_equal(llama_graph._rounded(values).data.view(np.uint16), wanted)


def test_8_bits_keep_what_has_8_bits_and_round_the_rest_to_the_nearest():
    numbers = np.random.default_rng(0).integers(-127, 128, (6, 3, 32)).astype(np.float32)
    numbers[..., 0], numbers[0, 0] = 127, 0
    # As a GGUF's scales are: of 16 bits.
    stored = numbers * np.linspace(0.001, 0.4, 18).astype(np.float16).reshape(6, 3, 1)
    found, scales = llama_graph.in_8_bits(stored.reshape(6, 96).astype(np.float32))
    assert (found.dtype, found.shape, scales.shape) == (np.int8, (6, 3, 32), (6, 3, 1))
    assert np.array_equal(found * scales, stored)
    moved = stored + 0.3 * scales
    found, scales = llama_graph.in_8_bits(moved.reshape(6, 96))
    assert (np.abs(found * scales - moved) <= 0.501 * scales).all()


@pytest.mark.parametrize(("kind", "size"), [("bf16", 673), ("f32", 417)])
def test_a_model_takes_less_where_it_has_8_bits(monkeypatch, kind, size):
    monkeypatch.setattr(llama_graph, "precision", lambda: kind)
    assert llama_graph.model_bytes(MODEL.gguf) / 1e6 == pytest.approx(size, abs=1)


@pytest.mark.parametrize("kind", ["bf16", "f32"])
def test_the_cache_takes_its_part_or_what_two_long_requests_need(monkeypatch, kind):
    asked = []
    monkeypatch.setattr(llama_graph, "precision", lambda: kind)
    monkeypatch.setattr(llama_graph, "cache_tensors", lambda shape, blocks: asked.append(blocks))
    small = LlamaShape(30, 576, 9, 3, 1e5, 1e-5, 2048)
    large = LlamaShape(64, 8192, 64, 32, 1e5, 1e-5, 2048)
    for shape in (small, large):
        openvino_engine.BlockCache(shape)
    taken = asked[0] * llama_graph.block_bytes(small)
    assert 0.99 * openvino_engine.CACHE_BYTES < taken <= openvino_engine.CACHE_BYTES
    assert asked[1] == 2 * 2048 // BLOCK + 1
