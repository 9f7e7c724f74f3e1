"""`/v1/fine-tunes`, the API of 2021 to 2023, on the server of today."""

import json

import pytest

from helpers.base.settings import BASE_MODEL

PAIRS = [
    {"prompt": f"{day} ->", "completion": f" The shop opens at {hour} o'clock. END"}
    for hour, day in enumerate(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "A", "B", "C"], 1)
]


@pytest.fixture(scope="module")
def call(client):
    """Send one request; returns status and body."""

    def send(method, path, **body):
        answer = client._client.request(
            method,
            path,
            headers={"authorization": f"Bearer {client.api_key}"},
            **({"json": body} if body else {}),
        )
        return answer.status_code, answer.json()

    return send


@pytest.fixture(scope="module")
def training_file(client):
    data = "\n".join(map(json.dumps, PAIRS)).encode()
    return client.files.create(file=("shop.jsonl", data), purpose="fine-tune").id


@pytest.fixture(scope="module")
def cancelled(call, training_file):
    """A fine-tune that was created and cancelled."""
    status, made = call("POST", "/fine-tunes", training_file=training_file, n_epochs=2, suffix="s")
    assert status == 200, made
    return made, call("POST", f"/fine-tunes/{made['id']}/cancel")[1]


def streamed(client, key):
    path = f"/fine-tunes/{key}/events?stream=true"
    headers = {"authorization": f"Bearer {client.api_key}"}
    with client._client.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return [line for line in answer.iter_lines() if line.startswith("data: ")]


def test_a_new_fine_tune_has_its_old_shape(cancelled, training_file):
    made, _ = cancelled
    assert made["object"] == "fine-tune"
    assert made["id"].startswith("ft-")
    assert made["status"] in ("pending", "running")
    assert made["model"] == BASE_MODEL
    assert made["hyperparams"]["n_epochs"] == 2
    assert [file["id"] for file in made["training_files"]] == [training_file]
    assert made["validation_files"] == made["result_files"] == []
    assert made["events"][0]["object"] == "fine-tune-event"
    assert made["events"][0]["message"] == f"Created fine-tune: {made['id']}"


def test_it_is_the_job_of_the_same_number(client, cancelled):
    key = cancelled[0]["id"].replace("ft-", "ftjob-", 1)
    job = client.fine_tuning.jobs.retrieve(key)
    assert job.status == "cancelled"
    assert job.user_provided_suffix == "s"
    assert job.method.supervised.hyperparameters.n_epochs == 2


def test_both_ids_find_it_and_the_list_leaves_events_out(call, cancelled):
    key = cancelled[0]["id"]
    by_job_id = call("GET", f"/fine-tunes/{key.replace('ft-', 'ftjob-', 1)}")[1]
    assert by_job_id == call("GET", f"/fine-tunes/{key}")[1]
    listed = {one["id"]: one for one in call("GET", "/fine-tunes")[1]["data"]}
    assert "events" not in listed[key]
    assert listed[key]["status"] == "cancelled"


def test_events_come_oldest_first_and_the_stream_ends_with_the_job(client, call, cancelled):
    key = cancelled[0]["id"]
    said = [event["message"] for event in call("GET", f"/fine-tunes/{key}/events")[1]["data"]]
    assert said[0] == f"Created fine-tune: {key}"
    assert said[-1] == "Fine-tune cancelled"
    lines = streamed(client, key)
    assert lines.pop() == "data: [DONE]"
    assert [json.loads(line.removeprefix("data: "))["message"] for line in lines] == said


def test_what_cannot_be_done_is_refused_in_words(call, cancelled, training_file):
    key = cancelled[0]["id"]
    for method, path, body, status, says in (
        ("GET", "/fine-tunes/ft-none", {}, 404, "ftjob-none"),
        ("DELETE", f"/fine-tunes/{key}", {}, 404, "made no model"),
        ("POST", f"/fine-tunes/{key}/cancel", {}, 400, "cancelled"),
        ("POST", "/fine-tunes", {"training_file": "file-none"}, 404, "file-none"),
        ("POST", "/fine-tunes", {"model": "curie"}, 400, "training_file"),
        ("POST", "/fine-tunes", {"training_file": training_file, "model": "curie"}, 404, "curie"),
        (
            "POST",
            "/fine-tunes",
            {"training_file": training_file, "compute_classification_metrics": True},
            400,
            "metrics",
        ),
    ):
        found, answer = call(method, path, **body)
        assert found == status, (path, answer)
        assert says in answer["error"]["message"]


def test_a_weight_on_prompts_is_taken_over(call, training_file):
    made = call("POST", "/fine-tunes", training_file=training_file, prompt_loss_weight=0.01)[1]
    call("POST", f"/fine-tunes/{made['id']}/cancel")
    assert made["hyperparams"]["prompt_loss_weight"] == 0.01


@pytest.mark.slow
def test_a_fine_tune_is_followed_to_its_end_used_and_deleted(client, call, training_file):
    made = call("POST", "/fine-tunes", training_file=training_file, n_epochs=1, batch_size=5)[1]
    lines = streamed(client, made["id"])
    said = [json.loads(line.removeprefix("data: "))["message"] for line in lines[:-1]]
    done = call("GET", f"/fine-tunes/{made['id']}")[1]
    assert done["status"] == "succeeded"
    assert said[-2:] == [f"Uploaded model: {done['fine_tuned_model']}", "Fine-tune succeeded"]
    assert any(message.startswith("Step 2/2") for message in said)
    table = client.files.content(done["result_files"][0]["id"]).text
    assert table.startswith("step,train_loss")
    asked = {"model": done["fine_tuned_model"], "prompt": "Mon ->", "max_tokens": 4}
    assert client.completions.create(**asked).choices[0].text
    assert call("DELETE", f"/fine-tunes/{made['id']}")[1]["deleted"]
    assert call("DELETE", f"/fine-tunes/{made['id']}")[0] == 404
