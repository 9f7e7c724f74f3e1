"""The retrieval index in an S3 store: the same calls give the same answers as in a folder."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.base.errors import DataError
from helpers.rag.documents import load_articles
from helpers.rag.index import build, load
from tests.object_store import ObjectStore, object_store
from tests.places import ROOT

MODES = ("bm25", "dense", "hybrid", "questions")


class Letters:
    """Vectors that count pairs of letters: enough to tell texts apart, and the same anywhere."""

    name = "letters"

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        found = np.zeros((len(texts), 64), dtype=np.float32)
        for row, text in zip(found, texts, strict=True):
            for one, other in itertools.pairwise(text):
                row[(31 * ord(one) + ord(other)) % 64] += 1
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


@pytest.fixture(scope="module")
def store(environment_of, tmp_path_factory) -> Iterator[ObjectStore]:
    weed = environment_of("several_servers").with_name("weed")
    with object_store(weed, tmp_path_factory.mktemp("weed"), buckets=("course",)) as found:
        yield found


@pytest.fixture(autouse=True)
def _environment(store, monkeypatch) -> None:
    """The names that LanceDB reads, and those of other S3 clients."""
    own = {"AWS_ENDPOINT": f"http://{store.endpoint}", "AWS_ALLOW_HTTP": "true"}
    for name, value in (store.keys | own | {"AWS_REGION": "us-east-1"}).items():
        monkeypatch.setenv(name, value)


def test_an_index_in_a_bucket_answers_as_one_in_a_folder(tmp_path: Path) -> None:
    articles = load_articles(ROOT / "data" / "support" / "kb")
    questions = {articles[0].id: ["how do I begin"], articles[3].id: ["it is slow"]}
    embed = Letters()
    here = build(articles, embed, tmp_path / "kb", questions=questions)
    build(articles, embed, "s3://course/kb", questions=questions)
    there = load("s3://course/kb", embed)
    assert len(there) == len(here) > len(articles) / 2
    asked = ["internet is dead", 'the "router" blinks', "it is slow", "invoice AND cancel"]
    for mode in MODES:
        found = [[hit.id for hit in index.search(one, k=5, mode=mode)] for index in (here, there)
                 for one in asked]  # fmt: skip
        assert found[: len(asked)] == found[len(asked) :], mode
        assert any(found)
    # A change, and back.
    before = there.version
    changed = replace(articles[0], text="# Zebra\n\nA zebra answers the telephone.")
    there.upsert(changed)
    other = load("s3://course/kb", embed)
    assert other.search("zebra telephone", mode="bm25")[0].article == articles[0].id
    other.delete(articles[0].id)
    assert articles[0].id not in load("s3://course/kb", embed).articles()
    other.restore(before)
    assert load("s3://course/kb", embed).articles() == here.articles()
    # Built again over what is there.
    assert len(build(articles[:2], embed, "s3://course/kb").articles()) == 2


def test_what_is_not_there_or_not_allowed_is_said(monkeypatch) -> None:
    with pytest.raises(DataError, match="no index in nothing"):
        load("s3://course/nothing", Letters())
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(DataError, match="no index in kb") as refused:
        load("s3://course/kb", Letters())
    assert "wrong" not in str(refused.value)
