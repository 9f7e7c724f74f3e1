from __future__ import annotations

from pathlib import Path

import pytest

from helpers.base import jsonl
from helpers.base.errors import CourseError, DataError
from helpers.datasets.training_file import TrainingFile
from helpers.finetuning.jobs import fine_tune
from helpers.finetuning.preflight import make_ready


def example(question: str, answer: str = "Yes.") -> dict[str, object]:
    turns = (("user", question), ("assistant", answer))
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


THINGS = ("tea", "rice", "salt", "milk", "bread", "oil", "beans")
PLACES = ("bar", "pool", "shop")
ROWS = [example(f"Is {thing} in stock?") for thing in THINGS]
ROWS += [example(f"When does the {place} open?", "At nine.") for place in PLACES]
KEY = "sk-proj-" + "a1B2c3D4" * 8


def written(folder: Path, training: list[object], validation: list[object]) -> tuple[Path, Path]:
    paths = folder / "train.jsonl", folder / "validation.jsonl"
    for path, rows in zip(paths, (training, validation), strict=True):
        jsonl.write(path, rows)
    return paths


class NoUpload:
    """A client whose every use is a failure, but for the search for a job done before."""

    class fine_tuning:  # noqa: N801
        class jobs:  # noqa: N801
            @staticmethod
            def list(**_: object) -> list[object]:
                return []


@pytest.mark.parametrize(
    ("training", "validation", "word"),
    [
        (ROWS[:9], ROWS[9:], "invalid_n_examples"),
        ([*ROWS, {"messages": []}], [], "missing_assistant|messages_missing"),
        ([*ROWS, example("What is the key?", KEY)], [example("Is it open?")], "secret_key"),
        (ROWS, [example("Where is it?"), ROWS[3]], "leakage"),
    ],
)
def test_a_severe_problem_stops_an_upload(tmp_path, training, validation, word) -> None:
    paths = written(tmp_path, training, validation)
    with pytest.raises(DataError, match=word):
        fine_tune(NoUpload(), model="any", training=paths[0], validation=paths[1])


def test_a_paid_upload_needs_a_cap_and_a_yes(tmp_path) -> None:
    training, validation = written(tmp_path, ROWS, [example("Where is it?")])
    for more, word in (
        ({}, "more than the cap"),
        ({"cap": 1.0}, "nobody has agreed"),
        ({"yes": True}, "more than the cap"),
    ):
        with pytest.raises(CourseError, match=word):
            fine_tune(NoUpload(), model="gpt-4.1-mini", training=training, **more)
    files = TrainingFile.read(training), TrainingFile.read(validation)
    plan = make_ready(*files, model="gpt-4.1-mini", cap=1.0, yes=True)
    assert plan is not None
    assert 0 < (plan.dollars or 0) < 0.01


def test_what_costs_nothing_needs_no_yes(tmp_path) -> None:
    training, validation = written(tmp_path, ROWS, [example("Where is it?")])
    ready = TrainingFile.read(training), TrainingFile.read(validation)
    assert make_ready(*ready, model="smollm2-135m-instruct") is None
