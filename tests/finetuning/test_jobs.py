from contextlib import nullcontext
from types import SimpleNamespace

import httpx
import openai
import pytest

from helpers.base import jsonl
from helpers.base.errors import NotAvailable
from helpers.base.progress_bar import Teller, shown_by
from helpers.finetuning.jobs import (
    Hyperparameters,
    Snapshot,
    fine_tune,
    fingerprint,
    follow,
    wait,
    wait_for_turn,
)
from helpers.widgets.monitor import curves, describe, seconds_left, watch_text


def event(step, total=10, at=0, **values):
    data = {"step": step, "total_steps": total, "train_loss": 2.0 / step, **values}
    return SimpleNamespace(type="metrics", created_at=at, data=data, message=f"Step {step}")


def state(*events, status="running"):
    metrics = tuple(item.data for item in events)
    return Snapshot(SimpleNamespace(status=status), tuple(events), metrics)


def test_hyperparameters_become_a_method():
    assert Hyperparameters(n_epochs=2).method() == {
        "type": "supervised",
        "supervised": {
            "hyperparameters": {
                "n_epochs": 2,
                "batch_size": "auto",
                "learning_rate_multiplier": "auto",
            }
        },
    }
    assert Hyperparameters(beta=0.1).method()["type"] == "dpo"


def test_a_fingerprint_depends_on_every_part_and_its_borders():
    assert fingerprint([b"ab", "c"]) == fingerprint(["ab", b"c"])
    assert fingerprint(["ab", "c"]) != fingerprint(["a", "bc"])


def test_time_left_follows_the_pace_of_the_steps():
    events = [event(step, at=step * 3) for step in (1, 2, 3)]
    assert seconds_left(state(*events)) == pytest.approx(21)
    assert seconds_left(state(events[0])) is None


def test_a_state_is_described_in_one_line():
    events = [event(step, at=step) for step in (1, 2)]
    assert describe(state(*events)) == "running, step 2 of 10, loss 1.00, about 8 s left"
    assert describe(state(status="queued")) == "queued"
    assert "left" not in describe(state(*events, status="succeeded"))


def test_curves_leave_out_steps_that_measured_nothing():
    shown = curves(state(event(1), event(2, valid_loss=0.5)))
    assert shown == {"training": [(1, 2.0), (2, 1.0)], "validation": [(2, 0.5)]}


def test_following_ends_with_the_job():
    states = iter(["running", "running", "succeeded"])
    slept = []

    class Jobs:
        def retrieve(self, _):
            return SimpleNamespace(status=next(states))

        def list_events(self, *_, **__):
            return []

    client = SimpleNamespace(fine_tuning=SimpleNamespace(jobs=Jobs()))
    seen = [found.status for found in follow(client, "job", every=7, sleep=slept.append)]
    assert seen == ["running", "running", "succeeded"]
    assert slept == [7, 7]


def test_without_widgets_a_line_is_printed_when_something_has_changed(capsys):
    states = iter(["queued", "queued", "running", "running", "succeeded"])
    jobs = SimpleNamespace(
        retrieve=lambda _: SimpleNamespace(status=next(states)), list_events=lambda *_, **__: []
    )
    client = SimpleNamespace(fine_tuning=SimpleNamespace(jobs=jobs))
    assert watch_text(client, "job", every=0).status == "succeeded"
    assert capsys.readouterr().out.splitlines() == ["queued", "running", "succeeded"]


def refusing(code):
    """A client of an endpoint that takes files and lists no job, and refuses to train."""

    def answer(request):
        if request.url.path.endswith("/files"):
            return httpx.Response(200, json={"id": "file-1", "object": "file"})
        if request.method == "GET":
            return httpx.Response(200, json={"object": "list", "data": [], "has_more": False})
        error = {"message": "no", "type": "invalid_request_error", "param": None, "code": code}
        return httpx.Response(403, json={"error": error})

    transport = httpx.Client(transport=httpx.MockTransport(answer))
    return openai.OpenAI(api_key="x", base_url="http://test/v1", http_client=transport)


def test_an_account_that_may_no_longer_train_is_told_the_way_on(tmp_path):
    turn = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    rows = [{"messages": [{**turn[0], "content": f"Hi {i}"}, turn[1]]} for i in range(10)]
    jsonl.write(tmp_path / "train.jsonl", rows)
    asked = {"model": "m", "training": tmp_path / "train.jsonl"}
    with pytest.raises(NotAvailable, match="no longer create") as caught:
        fine_tune(refusing("training_not_available"), **asked)
    assert "the embedded server trains" in str(caught.value)
    with pytest.raises(openai.PermissionDeniedError):
        fine_tune(refusing("something_else"), **asked)


def test_a_queued_job_says_that_it_waits_for_others():
    states = iter(["validating_files", "queued", "queued", "running"])
    jobs = SimpleNamespace(retrieve=lambda _: SimpleNamespace(status=next(states)))
    client = SimpleNamespace(fine_tuning=SimpleNamespace(jobs=jobs))
    told = []
    with shown_by(lambda *line: told.append(line)):
        waited = wait_for_turn(client, "ftjob-1", every=0.01)
    assert told == [(0, 1, "jobs before this one")] * 3 + [(0, 0, "jobs before this one")]
    assert waited >= 0.03


def test_a_cell_that_waits_says_what_the_job_does_before_its_first_step(monkeypatch):
    """Seen in notebook 04 on a busy machine: an empty box for most of a minute."""
    states = iter(["validating_files", "queued", "running", "running", "succeeded"])
    nothing, first = SimpleNamespace(data=[]), SimpleNamespace(data=[event(1)])
    events = iter([nothing, nothing, nothing, first])
    found = SimpleNamespace(
        retrieve=lambda _: SimpleNamespace(status=next(states)),
        list_events=lambda *_, **__: next(events),
    )
    told = []
    monkeypatch.setattr(
        "helpers.finetuning.jobs.counted",
        lambda what: nullcontext(Teller(lambda *step: told.append(step), told.append)),
    )
    client = SimpleNamespace(fine_tuning=SimpleNamespace(jobs=found))
    assert wait(client, "ftjob-1", every=0).status == "succeeded"
    assert told == [
        "checking the files",
        "waiting for its turn to train",
        "reading the base model and the examples",
        (1, 10),
    ]
