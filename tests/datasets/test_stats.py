from __future__ import annotations

from pathlib import Path

from helpers.base import jsonl
from helpers.datasets.stats import intents, measure, summary

SYSTEM = {"role": "system", "content": "You help."}
USER = {"role": "user", "content": "How long do I wait?"}
ANSWER = {"role": "assistant", "content": "Two days."}


def test_turns_words_and_tokens_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [
        {"messages": [SYSTEM, USER, ANSWER], "intent": "wait"},
        {"messages": [USER, ANSWER, USER, ANSWER], "intent": "wait"},
        {"prompt": "How long?", "completion": "Two days."},
    ]
    jsonl.write(path, rows)
    frame = measure(path, count_tokens=lambda text: len(text.split()))
    assert frame["turns"].tolist() == [1, 2, 1]
    assert frame["question words"].tolist() == [5, 12, 2]
    assert frame["answer words"].tolist() == [2, 2, 2]
    assert frame["tokens"].tolist() == [2 + 5 + 2 + 3 * 4 + 3, 14 + 4 * 4 + 3, 4]
    assert intents(frame).to_dict() == {"wait": 2}


def test_percentiles_bear_their_right_names(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    jsonl.write(path, [{"prompt": "w " * n, "completion": "x"} for n in range(1, 12)])
    found = summary(measure(path)).loc["question words"]
    assert found.to_dict() == {
        "mean": 6,
        "10th percentile": 2,
        "median": 6,
        "90th percentile": 10,
        "longest": 11,
    }
