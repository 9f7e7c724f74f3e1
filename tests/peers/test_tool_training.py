"""Sixty rows teach the base which of three tools to call: minutes of training, so not in `test`."""

from __future__ import annotations

import pytest
from openai import OpenAI

from helpers.base import jsonl
from helpers.base.settings import BASE_MODEL
from helpers.finetuning.jobs import Hyperparameters, fine_tune, wait
from tests.backend.finetune.calling import DATA, asked, call_in

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(3000)]

HELD_OUT = list(jsonl.read(DATA / "tool_calls_test.jsonl"))
RECIPE = Hyperparameters(n_epochs=3, batch_size=10, learning_rate_multiplier=4.0)
ENOUGH = 0.8


@pytest.fixture(scope="module")
def client(server):
    return OpenAI(base_url=f"{server.url}/v1", api_key=server.token)


def test_sixty_rows_teach_the_right_calls(client):
    file = DATA / "tool_calls.jsonl"
    options = {"hyperparameters": RECIPE, "suffix": "caller", "seed": 42}
    run = fine_tune(client, model=BASE_MODEL, training=file, **options)
    model = wait(client, run.job.id).fine_tuned_model
    calls = [row for row in HELD_OUT if row["call"]]

    def share(name):
        made = [call_in(asked(client, name, row["question"])) == row["call"] for row in calls]
        return sum(made) / len(calls)

    untuned, tuned = share(BASE_MODEL), share(model)
    plain = [row["question"] for row in HELD_OUT if not row["call"]]
    said = [asked(client, model, question) for question in plain]
    # Reported, not asserted: eight rows without a call are too few to learn when to ask back.
    quiet = sum(message.tool_calls is None for message in said)
    print(f"right calls: base {untuned:.2f}, tuned {tuned:.2f}; no call: {quiet} of {len(plain)}")
    assert untuned <= 0.1
    assert tuned >= ENOUGH
