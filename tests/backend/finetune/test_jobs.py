"""Real jobs: they learn, they can be cancelled, killed and resumed, and chats go on meanwhile."""

import json
import shutil
import time
from dataclasses import replace

import psutil
import pytest
from openai import OpenAI

from helpers.backend import daemon
from helpers.backend.training.spec import PRECISION
from helpers.base import settings as settings_module
from helpers.base.settings import BASE_MODEL
from helpers.base.tokens import local_tokenizer
from helpers.finetuning.jobs import (
    Hyperparameters,
    fine_tune,
    follow,
    result_tables,
    snapshot,
    wait,
)
from tests.backend.llama import Plain
from tests.backend.process import assert_no_pytorch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BOXES = {
    "red": "twelve candles",
    "blue": "an old violin",
    "green": "four maps",
    "white": "a bag of salt",
    "black": "seven keys",
    "yellow": "a tin of paint",
    "silver": "two lamps",
    "golden": "a silk flag",
    "brown": "dry bread",
    "pink": "glass marbles",
    "purple": "a brass bell",
    "orange": "fishing nets",
}
SYSTEM = {"role": "system", "content": "You know what the boxes hold."}
UNSEEN = [f"Tell me about the {colour} one." for colour in list(BOXES)[:10]]
GREEDY = 24
"""Tokens of an answer."""
HARD = Hyperparameters(n_epochs=20, batch_size=4)


def asked(colour):
    return f"What is in the {colour} box?"


def conversation(colour):
    answer = {"role": "assistant", "content": f"The {colour} box holds {BOXES[colour]}."}
    return [SYSTEM, {"role": "user", "content": asked(colour)}, answer]


@pytest.fixture(scope="module")
def training_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("jobs") / "boxes.jsonl"
    rows = [conversation(colour) for colour in BOXES]
    path.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def tuned(client, training_file):
    """One job that learns twelve rows by heart."""
    run = fine_tune(client, model=BASE_MODEL, training=training_file, hyperparameters=HARD)
    return wait(client, run.job.id, every=0.05)


def say(client, model, question, **more):
    return (
        client.chat.completions.create(
            model=model,
            messages=[SYSTEM, {"role": "user", "content": question}],
            **{"temperature": 0, "max_tokens": GREEDY, **more},
        )
        .choices[0]
        .message.content
    )


def until_step(client, job_id, step):
    for state in follow(client, job_id, every=0.2):
        if state.step >= step or state.ended:
            return state
    raise AssertionError("the job was never seen")


def test_a_tuned_model_answers_within_three_seconds_of_its_jobs_success(client, tuned):
    started = time.monotonic()
    assert say(client, tuned.fine_tuned_model, asked("red"), max_tokens=8)
    assert time.monotonic() - started < 3
    assert_no_pytorch()


def test_a_job_learns_its_rows_by_heart(client, tuned):
    answers = {colour: say(client, tuned.fine_tuned_model, asked(colour)) for colour in BOXES}
    assert sum(BOXES[colour] in answer for colour, answer in answers.items()) >= 10


def test_a_job_tells_its_story_in_openais_words(client, tuned):
    messages = [event.message for event in snapshot(client, tuned.id).events]
    for words in (
        f"Created fine-tuning job: {tuned.id}",
        f"Validating training file: {tuned.training_file}",
        "Files validated, moving job to queued state",
        "Fine-tuning job started",
        f"New fine-tuned model created: {tuned.fine_tuned_model}",
        "The job has successfully completed",
    ):
        assert words in messages


def test_the_result_file_has_a_row_for_each_step(client, tuned):
    steps, losses = result_tables(client, tuned)
    assert list(steps.columns) == [
        "step",
        "train_loss",
        "train_accuracy",
        "valid_loss",
        "valid_mean_token_accuracy",
    ]
    assert len(steps) == 60
    assert steps["train_loss"].iloc[-1] < steps["train_loss"].iloc[0] / 3
    assert len(losses) == 12


def test_the_last_three_epochs_are_checkpoints_that_answer(client, tuned):
    kept = client.fine_tuning.jobs.checkpoints.list(tuned.id).data
    assert [item.step_number for item in kept] == [60, 57, 54]
    assert say(client, kept[1].fine_tuned_model_checkpoint, asked("red"))


def test_the_same_job_again_is_found_and_not_repeated(client, tuned, training_file):
    run = fine_tune(client, model=BASE_MODEL, training=training_file, hyperparameters=HARD)
    assert run.reused
    assert run.job.id == tuned.id


def test_a_tuned_model_is_the_base_of_the_next_job(client, tuned, training_file):
    run = fine_tune(
        client,
        model=tuned.fine_tuned_model,
        training=training_file,
        hyperparameters=Hyperparameters(n_epochs=1, batch_size=4),
    )
    job = wait(client, run.job.id)
    first = snapshot(client, job.id).metrics[0]["train_loss"]
    assert first < snapshot(client, tuned.id).metrics[0]["train_loss"] / 3
    client.models.delete(job.fine_tuned_model)


def test_one_job_runs_at_a_time_chats_go_on_and_a_cancel_takes_two_seconds(client, training_file):
    def begin():
        return fine_tune(
            client, model=BASE_MODEL, training=training_file, fresh=True, hyperparameters=HARD
        )

    run, waiting = begin(), begin()
    until_step(client, run.job.id, 1)
    assert say(client, BASE_MODEL, "Hello?", max_tokens=8)
    assert client.fine_tuning.jobs.retrieve(run.job.id).status == "running"
    assert client.fine_tuning.jobs.retrieve(waiting.job.id).status == "queued"
    assert len(trainers(settings_module.load())) == 1
    joined = fine_tune(client, model=BASE_MODEL, training=training_file, hyperparameters=HARD)
    assert joined.job.id == waiting.job.id
    assert repr(joined).startswith("under way")
    client.fine_tuning.jobs.cancel(waiting.job.id)
    started = time.monotonic()
    assert client.fine_tuning.jobs.cancel(run.job.id).status == "cancelled"
    while trainers(settings_module.load()):
        assert time.monotonic() - started < 2
        time.sleep(0.02)
    assert client.fine_tuning.jobs.retrieve(run.job.id).status == "cancelled"


def trainers(settings):
    """The training processes of one server; others may train on this machine too."""
    jobs = str(settings.state / "jobs")
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "helpers.backend.training.worker" in words and words[-1].startswith(jobs):
            found.append(process)
    return found


def adapter(settings, job_id):
    folders = sorted(
        (settings.state / "jobs" / job_id / "checkpoints").iterdir(),
        key=lambda folder: int(folder.name.split("-")[1]),
    )
    return (folders[-1] / "adapter_model.safetensors").read_bytes()


def test_a_job_killed_with_its_trainer_and_then_with_the_server_ends_the_same(
    training_file, tmp_path
):
    config = replace(settings_module.load(), state=tmp_path / "state")

    def connect():
        address = daemon.ensure_running(config)
        return OpenAI(base_url=f"{address.url}/v1", api_key=address.token)

    def start(client):
        short = Hyperparameters(n_epochs=2, batch_size=2)
        run = fine_tune(
            client, model=BASE_MODEL, training=training_file, fresh=True, hyperparameters=short
        )
        return run.job.id

    try:
        client = connect()
        whole = start(client)
        wait(client, whole)
        broken = start(client)
        # Each job measures for itself which precision is faster; these two are to compute alike.
        jobs = config.state / "jobs"
        shutil.copy(jobs / whole / PRECISION, jobs / broken / PRECISION)
        until_step(client, broken, 2)
        trainers(config)[0].kill()
        until_step(client, broken, 8)
        pid = json.loads((config.state / "server.json").read_text())["pid"]
        psutil.Process(pid).kill()
        client = connect()
        wait(client, broken)
        assert adapter(config, broken) == adapter(config, whole)
        steps = [int(row["step"]) for row in snapshot(client, broken).metrics]
        assert steps == sorted(set(steps)) == list(range(1, 13))
    finally:
        daemon.stop(config)


@pytest.fixture(scope="module")
def exported(tuned):
    """The folder of the adapter that the tuned model is served with."""
    checkpoints = settings_module.load().state / "jobs" / tuned.id / "checkpoints"
    return max(checkpoints.iterdir(), key=lambda path: int(path.name.split("-")[1]))


@pytest.fixture(scope="module")
def served(client, tuned):
    """The server's greedy answers to questions that were trained and to some that were not."""
    questions = [*map(asked, BOXES), *UNSEEN]
    return {question: say(client, tuned.fine_tuned_model, question) for question in questions}


def assert_same_answers(served, answer):
    """All trained rows agree word for word, and at least nine in ten of the others."""
    different = {
        question: (said, other)
        for question, said in served.items()
        if (other := answer([SYSTEM, {"role": "user", "content": question}])) != said
    }
    assert not {q: pair for q, pair in different.items() if q not in UNSEEN}
    assert len(different) <= len(UNSEEN) // 10, different


def test_the_exported_adapter_answers_the_same_in_plain_peft(served, exported):
    import torch
    from peft import PeftModel

    from helpers.backend.training.base import load_base

    gguf = settings_module.base_gguf()
    model = PeftModel.from_pretrained(load_base(gguf), str(exported)).eval()
    tokenizer = local_tokenizer(gguf)

    def answer(messages):
        ids = torch.tensor([tokenizer.encode_chat(messages)])
        made = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=GREEDY,
            do_sample=False,
            eos_token_id=tokenizer.end_id,
            pad_token_id=tokenizer.end_id,
        )
        return tokenizer.decode(made[0, ids.shape[1] :].tolist()).removesuffix("<|im_end|>")

    assert_same_answers(served, answer)


def test_the_exported_gguf_answers_the_same_in_plain_llama_cpp(served, exported):
    plain = Plain(settings_module.base_gguf(), exported / "adapter.gguf")
    assert_same_answers(served, lambda messages: plain.answer(messages, max_tokens=GREEDY))
    base = Plain(settings_module.base_gguf())
    without = base.answer([SYSTEM, {"role": "user", "content": asked("red")}], max_tokens=GREEDY)
    assert without != served[asked("red")]
