"""Which engine answers, with engines that take as long as a test says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers.backend.inference import engine_choice
from helpers.backend.inference.engine import LLAMA_CPP, OPENVINO
from helpers.base import settings as settings_module
from helpers.base.errors import BackendError, CourseError


@pytest.fixture
def own(tmp_path):
    return replace(settings_module.load(), state=tmp_path, engine="auto")


@pytest.fixture
def taken(monkeypatch):
    """How often each engine was measured; OpenVINO is there, and slower if a test says so."""
    seconds = {LLAMA_CPP: 4.0, OPENVINO: 1.0}
    asked: list[str] = []
    monkeypatch.setattr(engine_choice, "openvino_release", lambda: "1.0")
    monkeypatch.setattr(
        engine_choice,
        "measured",
        lambda _, name, most=0.0: (asked.append(name), seconds[name])[1],
    )
    return seconds, asked


def test_the_faster_engine_answers_and_is_measured_once(own, taken) -> None:
    seconds, asked = taken
    assert engine_choice.resolved(own) == OPENVINO
    seconds[OPENVINO] = 9.0
    assert engine_choice.resolved(own) == OPENVINO
    assert asked == [OPENVINO, LLAMA_CPP]
    assert engine_choice.known(own).seconds == {LLAMA_CPP: 4.0, OPENVINO: 1.0}


def test_llama_cpp_answers_where_it_is_the_faster_one(own, taken) -> None:
    taken[0][OPENVINO] = 9.0
    assert engine_choice.resolved(own) == LLAMA_CPP


def test_another_machine_is_measured_anew(own, taken, monkeypatch) -> None:
    engine_choice.resolved(own)
    monkeypatch.setattr(engine_choice, "machine", lambda: "another")
    engine_choice.resolved(own)
    assert len(taken[1]) == 4


def test_an_engine_that_cannot_answer_is_not_taken(own, taken, monkeypatch) -> None:
    def broken(settings, name, most=0.0):
        raise BackendError("no such instruction")

    monkeypatch.setattr(engine_choice, "measured", broken)
    assert engine_choice.resolved(own) == LLAMA_CPP
    assert engine_choice.known(own) is None


@pytest.mark.parametrize("damage", ["", "{", '{"name": 1}', "[]"])
def test_a_damaged_file_is_measured_anew(own, taken, damage) -> None:
    (own.state / "engine.json").write_text(damage)
    assert engine_choice.resolved(own) == OPENVINO


def test_a_setting_is_obeyed_and_measures_nothing(own, taken) -> None:
    for name in (LLAMA_CPP, OPENVINO):
        assert engine_choice.resolved(replace(own, engine=name)) == name
    assert taken[1] == []
    assert engine_choice.resolved(own) == OPENVINO
    assert taken[1]


def test_without_openvino_llama_cpp_answers_and_a_wish_for_it_says_so(own, monkeypatch) -> None:
    monkeypatch.setattr(engine_choice, "openvino_release", lambda: None)
    assert engine_choice.resolved(own) == LLAMA_CPP
    with pytest.raises(CourseError, match="no build"):
        engine_choice.resolved(replace(own, engine=OPENVINO))


def test_an_unknown_engine_is_named(own) -> None:
    with pytest.raises(CourseError, match="'vllm'"):
        engine_choice.resolved(replace(own, engine="vllm"))
