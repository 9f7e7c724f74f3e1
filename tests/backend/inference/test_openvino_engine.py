"""The engine's thread and what others ask of it, without a model and without OpenVINO."""

from __future__ import annotations

import threading

import pytest

from helpers.backend.inference.models import ServedModel
from helpers.backend.inference.openvino_engine import OpenVinoEngine
from helpers.base import settings
from helpers.base.errors import BackendError

MODEL = ServedModel("tuned", settings.base_gguf())


class Loading:
    """A model that takes until `go` to load, and then cannot be."""

    def __init__(self, engine: OpenVinoEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        monkeypatch.setattr(engine, "_load", self.load)

    def load(self, model: ServedModel) -> None:
        self.begun.set()
        self.go.wait(5)
        raise BackendError("it cannot be loaded")


def ask(engine: OpenVinoEngine) -> threading.Thread:
    def score() -> None:
        with pytest.raises(BackendError):
            engine.score(MODEL, [1, 2], alternatives=0, stopped=lambda: False)

    thread = threading.Thread(target=score)
    thread.start()
    return thread


@pytest.fixture
def engine():
    made = OpenVinoEngine(threads=1)
    yield made
    made.close()


def test_a_model_that_is_removed_while_the_first_is_loaded_is_unloaded_behind_it(
    engine, monkeypatch
):
    loading = Loading(engine, monkeypatch)
    unloaded = threading.Event()
    monkeypatch.setattr(engine, "_unload", lambda _: unloaded.set())
    reader = ask(engine)
    assert loading.begun.wait(5)
    engine.unload("tuned")
    loading.go.set()
    reader.join(5)
    assert unloaded.wait(5)


def test_an_engine_that_nobody_asked_starts_no_thread_to_unload(engine):
    engine.unload("tuned")
    assert "_thread" not in vars(engine)
