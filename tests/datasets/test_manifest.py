from __future__ import annotations

import datetime as dt
import io
import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.base import jsonl
from helpers.base.errors import DataError
from helpers.datasets import manifest

ROWS = [{"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "d"}]
DAY = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)


def folder_with(folder: Path) -> Path:
    jsonl.write(folder / "train.jsonl", ROWS)
    jsonl.write(folder / "test.jsonl", ROWS[:1])
    return folder


@given(st.permutations(range(4)))
def test_order_of_lines_and_keys_does_not_count(order: list[int]) -> None:
    rows = [{"n": n, "text": str(n)} for n in range(4)]
    turned = [dict(reversed(rows[i].items())) for i in order]
    assert manifest.content_hash(turned) == manifest.content_hash(rows)


def test_content_and_repetition_count() -> None:
    hashes = {
        manifest.content_hash(rows)
        for rows in (ROWS, ROWS[:1], [*ROWS, ROWS[0]], [ROWS[0], {**ROWS[1], "prompt": "C"}])
    }
    assert len(hashes) == 4


def test_a_file_has_the_hash_of_its_examples() -> None:
    spaced = b'{"completion":  "b", "prompt": "a"}\r\n\n{"prompt":"c","completion":"d"}'
    assert manifest.content_hash(io.BytesIO(spaced)) == manifest.content_hash(ROWS)


def test_the_manifest_names_each_file_and_tells_changes(tmp_path: Path) -> None:
    folder = folder_with(tmp_path)
    made = manifest.write_manifest(folder, name="shop", version="1.0", now=DAY)
    assert [(file.name, file.examples) for file in made.files] == [
        ("test.jsonl", 1),
        ("train.jsonl", 2),
    ]
    assert made.created == "2026-11-23"
    kept = json.loads((folder / "dataset.json").read_text("utf-8"))
    assert kept == json.loads(json.dumps(asdict(made)))
    train = made.files[1]
    jsonl.write(folder / "train.jsonl", ROWS[::-1])
    assert manifest.content_hash(folder / "train.jsonl") == train.sha256
    jsonl.write(folder / "train.jsonl", ROWS[:1])
    assert manifest.content_hash(folder / "train.jsonl") != train.sha256


def test_a_folder_without_files_has_no_version(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no JSONL file"):
        manifest.write_manifest(tmp_path, name="x", version="1")


def test_metadata_keeps_openais_limits(tmp_path: Path) -> None:
    made = manifest.describe(folder_with(tmp_path), name="shop", version="1.0", now=DAY)
    pairs = manifest.metadata(made, owner="me")
    assert pairs == {
        "dataset": "shop",
        "dataset_version": "1.0",
        "dataset_sha256": made.sha256,
        "owner": "me",
    }
    with pytest.raises(DataError, match="too long"):
        manifest.metadata(made, owner="m" * 513)
    with pytest.raises(DataError, match="17 pairs"):
        manifest.metadata(made, **{f"k{i}": "" for i in range(14)})


def test_a_model_leads_back_to_its_dataset() -> None:
    jobs = [
        SimpleNamespace(fine_tuned_model=None, metadata=None),
        SimpleNamespace(fine_tuned_model="ft:base:org::1", metadata={"dataset": "shop"}),
        SimpleNamespace(fine_tuned_model="ft:base:org::2", metadata=None),
    ]
    assert manifest.of_model("ft:base:org::1", jobs) == {"dataset": "shop"}
    assert manifest.of_model("ft:base:org::1:ckpt-step-5", jobs) == {"dataset": "shop"}
    assert manifest.of_model("ft:base:org::2", jobs) == {}
    assert manifest.of_model("ft:base:org::3", jobs) is None
