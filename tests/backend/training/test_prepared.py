"""What was built of a file comes back as it was, and no file is parsed again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from helpers.backend.training import prepared
from helpers.backend.training.examples import Pair
from helpers.backend.training.prepared import PreparedFile, examples_of, load_examples, prepare
from helpers.base.errors import DataError
from helpers.base.local_tokenizer import LocalTokenizer
from helpers.base.tokens import local_tokenizer
from tests.backend.training.tiny import write_gguf

ASK, OK = {"role": "user", "content": "the abc"}, {"role": "assistant", "content": "yo"}
CHAT = {"messages": [ASK, OK]}
PAIR = {
    "input": {"messages": [ASK]},
    "preferred_output": [OK],
    "non_preferred_output": [{**OK, "content": "no"}],
}


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")


def made(folder: Path, gguf: Path, *rows: Any, limit: int = 500) -> PreparedFile:
    path = folder / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return prepare(path, folder / "kept", local_tokenizer(gguf), max_tokens=limit)


@pytest.mark.parametrize("row", [CHAT, PAIR, {"prompt": "a", "completion": " b"}])
def test_the_trainer_gets_what_it_would_build_itself(tmp_path: Path, gguf: Path, row: Any) -> None:
    file = made(tmp_path, gguf, row, row)
    assert file.sha256 == hashlib.sha256((tmp_path / "t.jsonl").read_bytes()).hexdigest()
    items = load_examples(file.examples)
    assert items == examples_of(tmp_path / "t.jsonl", gguf, max_tokens=500)
    assert [item.line for item in items] == [1, 2]
    assert isinstance(items[0], Pair) == (row is PAIR)
    assert examples_of(file.examples, gguf, max_tokens=500) == items


def test_a_file_that_was_prepared_is_not_read_again(
    tmp_path: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(tmp_path, gguf, CHAT, {"messages": [ASK]})
    with monkeypatch.context() as patch:
        patch.setattr(prepared, "read_examples", lambda *_, **__: pytest.fail("read again"))
        again = prepare(
            tmp_path / "t.jsonl", tmp_path / "kept", local_tokenizer(gguf), max_tokens=500
        )
    assert again == first
    assert [p.code for p in again.report.errors] == ["missing_assistant"]
    assert (
        prepare(tmp_path / "t.jsonl", tmp_path / "kept", local_tokenizer(gguf), max_tokens=5)
        .report.errors[0]
        .code
        == "answer_cut_off"
    )


def test_another_vocabulary_builds_anew(tmp_path: Path, gguf: Path) -> None:
    made(tmp_path, gguf, CHAT)
    core = local_tokenizer(gguf).core
    other = LocalTokenizer(type(core).from_str(core.to_str()))
    assert other.vocabulary_id == local_tokenizer(gguf).vocabulary_id
    core = type(core).from_str(core.to_str().replace("<|im_start|>", "<|im_begin|>"))
    assert LocalTokenizer(core).vocabulary_id != other.vocabulary_id


def test_a_file_with_a_defect_cannot_be_trained_on_by_mistake(tmp_path: Path, gguf: Path) -> None:
    made(tmp_path, gguf, CHAT, {"messages": [ASK]})
    with pytest.raises(DataError, match="line 2: missing_assistant"):
        examples_of(tmp_path / "t.jsonl", gguf, max_tokens=500)


def test_a_refused_file_is_hashed_whole(tmp_path: Path, gguf: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"PK\x03\x04" + b"x" * 3_000_000)
    file = prepare(path, tmp_path / "kept", local_tokenizer(gguf), max_tokens=5)
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [p.code for p in file.report.errors] == ["not_text"]
