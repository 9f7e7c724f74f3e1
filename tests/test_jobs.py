from types import SimpleNamespace

import pytest

from helpers.jobs import Hyperparameters, Snapshot, fingerprint, follow
from helpers.widgets.monitor import curves, describe, seconds_left


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
