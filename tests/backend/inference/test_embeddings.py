from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from helpers.backend.inference import embeddings
from helpers.backend.inference.embeddings import WIDTH, converted, embed, token_count
from helpers.backend.inference.engine import Engine
from helpers.backend.storage.gguf_files import bert_name
from helpers.base.errors import BackendError
from helpers.base.settings import embedding_folder

TEXTS = [
    "How do I reset my router?",
    "x",
    "Ein Gerät mit Umlauten: äöü ß, naïve café",
    "日本語のテキスト",
    "Ελληνικά Привет العربية",
    "emoji 😀 party",
    "UPPER Case Don't-hyphen (brackets) 1,234.56",
    "a\u0301 combining \u200b zero\ttab\nnewline",
    "word " * 250,
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def loaded(cache: Path):
    return embeddings.load(cache, threads=1)


def test_vectors_have_unit_length_and_the_order_of_the_texts(loaded) -> None:
    vectors = embed(loaded, TEXTS)
    assert vectors.shape == (len(TEXTS), WIDTH)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    for text, vector in zip(TEXTS[:3], vectors, strict=False):
        assert embed(loaded, [text])[0] @ vector > 0.9999


def test_the_tokens_that_are_counted_are_those_that_the_model_reads(loaded) -> None:
    for text in TEXTS:
        read = loaded.handle_embeddings({"input": [text]})["usage"]["prompt_tokens"]
        assert token_count([text]) == read, text
    assert token_count(TEXTS[:2]) == sum(token_count([text]) for text in TEXTS[:2])


def test_like_meanings_are_nearer_than_unlike_ones(loaded) -> None:
    question, like, unlike = embed(
        loaded, ["How do I reset my router?", "restarting the modem", "a recipe for soup"]
    )
    assert question @ like > question @ unlike + 0.2


def test_more_texts_than_one_request_holds_keep_their_order(loaded, monkeypatch) -> None:
    monkeypatch.setattr(embeddings, "BATCH", 2)
    vectors = embed(loaded, TEXTS[:5])
    assert np.diag(vectors @ embed(loaded, TEXTS[:5]).T) == pytest.approx(1, abs=1e-4)


def test_no_texts_give_no_vectors(loaded) -> None:
    assert embed(loaded, []).shape == (0, WIDTH)


def test_a_text_that_is_too_long_says_what_to_do(loaded) -> None:
    with pytest.raises(BackendError, match="512 tokens"):
        embed(loaded, ["word " * 600])
    assert embed(loaded, ["still here"]).shape == (1, WIDTH)


def test_threads_may_embed_at_the_same_time(cache: Path) -> None:
    engine = Engine(threads=1, cache=cache)
    with ThreadPoolExecutor(4) as threads:
        several = list(threads.map(lambda text: engine.embed([text])[0], TEXTS[:6]))
    together = engine.embed(TEXTS[:6])
    engine.close()
    assert (np.stack(several) * together).sum(axis=1) == pytest.approx(1, abs=1e-3)


def test_the_conversion_happens_once_and_leaves_one_file(cache: Path, loaded) -> None:
    first = converted(cache)
    stamp = first.stat().st_mtime_ns
    assert converted(cache).stat().st_mtime_ns == stamp
    assert list(cache.iterdir()) == [first]


def test_a_missing_model_says_what_to_do(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(embeddings, "embedding_folder", lambda: None)
    with pytest.raises(BackendError, match="doctor"):
        converted(tmp_path)


def test_tensors_that_are_not_used_have_no_name() -> None:
    assert bert_name("pooler.dense.weight") is None
    assert bert_name("encoder.layer.3.attention.self.key.bias") == "blk.3.attn_k.bias"


def test_a_hundred_short_texts_take_a_few_seconds_of_one_core(loaded) -> None:
    texts = [f"Question {i}: why is my internet connection slow?" for i in range(100)]
    begin = time.process_time()
    embed(loaded, texts)
    assert time.process_time() - begin < 5


@pytest.mark.slow
def test_vectors_agree_with_the_original_model(loaded) -> None:
    torch = pytest.importorskip("torch")
    from transformers import AutoModel, AutoTokenizer

    folder = embedding_folder()
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    for text, vector in zip(TEXTS, embed(loaded, TEXTS), strict=True):
        with torch.no_grad():
            states = model.eval()(**tokenizer([text], return_tensors="pt")).last_hidden_state
        expected = states[0].mean(0).numpy()
        assert vector @ expected / np.linalg.norm(expected) > 0.999, text
