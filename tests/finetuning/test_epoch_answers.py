"""What each epoch's model says while its job goes on: asked once each, and never in the way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
from openai import NotFoundError

from helpers.finetuning.epoch_answers import EpochAnswers
from helpers.finetuning.jobs import Snapshot

QUESTION = [{"role": "user", "content": "What is the late fee?"}]


def state(step: int, *, epochs: Any = 3, status: str = "running") -> Snapshot:
    settings = SimpleNamespace(n_epochs=epochs)
    job: Any = SimpleNamespace(id="ftjob-1", status=status, model="base", hyperparameters=settings)
    return Snapshot(job, (), ({"step": step, "total_steps": 30},) if step else ())


class Endpoint:
    """Answers with the model's name, and remembers who was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.held: list[int] = []
        self.gone: set[str] = set()
        page = SimpleNamespace(list=lambda job: SimpleNamespace(data=self.checkpoints()))
        self.fine_tuning = SimpleNamespace(jobs=SimpleNamespace(checkpoints=page))
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self.answer))

    def checkpoints(self) -> list[Any]:
        """Newest first, as the API lists them."""
        return [
            SimpleNamespace(step_number=step, fine_tuned_model_checkpoint=f"ckpt-{step}")
            for step in reversed(self.held)
        ]

    def answer(self, *, model: str, **sent: Any) -> Any:
        assert sent["messages"] == QUESTION
        assert sent["temperature"] == 0
        self.asked.append(model)
        if model in self.gone:
            request = httpx.Request("POST", "http://localhost")
            raise NotFoundError("gone", response=httpx.Response(404, request=request), body=None)
        return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content=model))])


def test_the_base_and_each_epoch_are_asked_once_in_order():
    end = Endpoint()
    client: Any = end
    heard = EpochAnswers(client, QUESTION)
    for step, held in ((0, []), (9, []), (10, [10]), (15, [10]), (30, [10, 20, 30])):
        end.held = held
        if heard.due(state(step)):
            heard.look(state(step))
    heard.look(state(30, status="succeeded"))
    assert [(one.label, one.text) for one in heard.answers] == [
        ("before", "base"),
        ("after epoch 1", "ckpt-10"),
        ("after epoch 2", "ckpt-20"),
        ("after epoch 3", "ckpt-30"),
    ]
    assert end.asked == ["base", "ckpt-10", "ckpt-20", "ckpt-30"]


def test_between_two_epochs_nothing_is_asked_of_the_server():
    end = Endpoint()
    client: Any = end
    heard = EpochAnswers(client, QUESTION)
    heard.look(state(0))
    assert [step for step in range(1, 31) if heard.due(state(step))] == list(range(10, 31))
    end.held = [10]
    heard.look(state(10))
    assert [step for step in range(10, 31) if heard.due(state(step))] == list(range(20, 31))


def test_a_model_that_is_gone_is_passed_over_and_not_asked_again():
    end = Endpoint()
    end.gone, end.held = {"base"}, [10]
    client: Any = end
    heard = EpochAnswers(client, QUESTION)
    heard.look(state(10))
    heard.look(state(10))
    assert [one.text for one in heard.answers] == ["ckpt-10"]
    assert not heard.due(state(19))


def test_where_an_endpoint_does_not_say_how_many_epochs_the_end_is_still_heard():
    end = Endpoint()
    end.held = [30]
    client: Any = end
    heard = EpochAnswers(client, QUESTION)
    heard.look(state(30, epochs="auto", status="succeeded"))
    assert [one.label for one in heard.answers] == ["before", "after step 30"]
