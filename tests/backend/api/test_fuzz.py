"""Whatever is uploaded or asked of the job endpoints: an answer in words, and a whole store.

Hypothesis makes the requests. The engine answers at once and no job is ever started.
"""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import quote

import openai
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from helpers.base import settings as settings_module
from helpers.base.settings import BASE_MODEL
from tests.backend.in_process import TOKEN, InstantEngine, served

pytestmark = pytest.mark.slow
QUICK = rules(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
ROLES = st.sampled_from(["system", "user", "assistant", "tool", "robot", ""])
MESSAGE = st.fixed_dictionaries(
    {"role": ROLES | ANYTHING, "content": st.text(max_size=12) | ANYTHING},
    optional={"weight": ANYTHING, "tool_calls": ANYTHING, "name": ANYTHING},
)
GOOD = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
LINE = (
    st.just(GOOD)
    | st.fixed_dictionaries({"messages": st.lists(MESSAGE, max_size=4) | ANYTHING})
    | st.fixed_dictionaries({"prompt": ANYTHING, "completion": ANYTHING})
    | st.fixed_dictionaries({"input": ANYTHING, "preferred_output": ANYTHING})
    | ANYTHING
)
BREAKS = st.sampled_from(["\n", "\r\n", "\n\n", "\r", " \n"])


@st.composite
def jsonl(draw):
    """A file of lines that are JSON, some of them good examples."""
    lines = [json.dumps(row) for row in draw(st.lists(LINE, max_size=12))]
    text = draw(BREAKS).join(lines).encode()
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text


FILES = jsonl() | st.binary(max_size=200)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
PURPOSES = st.sampled_from(["fine-tune", "user_data", "batch", "nothing"]) | st.text(max_size=5)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A server of this module alone: its store, and a client."""
    config = replace(settings_module.load(), state=tmp_path_factory.mktemp("fuzz"))
    with served(config, InstantEngine()) as (app, url):
        client = openai.OpenAI(base_url=f"{url}/v1", api_key=TOKEN, max_retries=0)
        yield app.state.service.store, client


def send(client, method, path, **more):
    """Status and body of any request; an error has OpenAI's envelope."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = client._client.request(method, path, headers=headers, **more)
    assert answer.status_code < 500, answer.text
    body = answer.json()
    if answer.status_code >= 400:
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert body["error"]["message"]
    return answer.status_code, body


def kept(store):
    return sorted(path.name for path in store.files.iterdir())


@QUICK
@given(data=FILES, name=NAMES, purpose=PURPOSES)
def test_an_upload_is_kept_byte_for_byte_or_leaves_nothing(desk, data, name, purpose):
    store, client = desk
    before = kept(store)
    form = {"files": {"file": (name, data)}, "data": {"purpose": purpose}}
    status, body = send(client, "POST", "/files", **form)
    if status == 200:
        assert client.files.content(body["id"]).read() == data
        assert "/" not in body["filename"]
        assert body["bytes"] == len(data)
        assert client.files.delete(body["id"]).deleted
    else:
        assert status in (400, 413)
    assert kept(store) == before


@QUICK
@given(data=jsonl())
def test_a_file_that_was_taken_trains_or_says_its_line_and_remedy(desk, data):
    _, client = desk
    form = {"files": {"file": ("a.jsonl", data)}, "data": {"purpose": "fine-tune"}}
    status, body = send(client, "POST", "/files", **form)
    if status != 200:
        assert "Remedy" in body["error"]["message"]
        return
    asked = {"model": BASE_MODEL, "training_file": body["id"]}
    status, body = send(client, "POST", "/fine_tuning/jobs", json=asked)
    if status == 200:
        assert client.fine_tuning.jobs.cancel(body["id"]).status == "cancelled"
    else:
        assert status == 400
        assert body["error"]["param"] == "training_file"


NUMBERS = st.sampled_from(["auto", 0, 1, 50, 51, -1, 2.5, 10**30, "3", True, None]) | ANYTHING
HARD = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("n_epochs", "batch_size", "learning_rate_multiplier", "beta"), NUMBERS),
)
WITH = st.fixed_dictionaries({"hyperparameters": HARD | ANYTHING})
METHOD = st.fixed_dictionaries(
    {"type": st.sampled_from(["supervised", "dpo", "reinforcement"]) | ANYTHING},
    optional={"supervised": WITH | ANYTHING, "dpo": WITH | ANYTHING},
)
JOB = st.fixed_dictionaries(
    {"model": st.just(BASE_MODEL) | ANYTHING},
    optional={
        "validation_file": ANYTHING,
        "hyperparameters": HARD | ANYTHING,
        "method": METHOD | ANYTHING,
        "seed": NUMBERS,
        "suffix": st.text(max_size=70) | ANYTHING,
        "metadata": ANYTHING,
        "integrations": ANYTHING,
    },
)


@pytest.fixture(scope="module")
def training_file(desk):
    rows = "\n".join([json.dumps(GOOD)] * 10).encode()
    return desk[1].files.create(file=("good.jsonl", rows), purpose="fine-tune").id


@QUICK
@given(body=JOB, old=st.booleans())
def test_any_job_is_taken_whole_or_refused_in_words(desk, training_file, body, old):
    _, client = desk
    path = "/fine-tunes" if old else "/fine_tuning/jobs"
    if old:
        body = body | (
            body.get("hyperparameters") if isinstance(body.get("hyperparameters"), dict) else {}
        )
    asked = json.dumps(body | {"training_file": training_file})
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    answer = client._client.post(path, content=asked, headers=headers)
    assert answer.status_code in (200, 400, 404), answer.text
    if answer.status_code != 200:
        assert answer.json()["error"]["message"]
        return
    key = answer.json()["id"]
    listed = client.fine_tuning.jobs.list(limit=1).data[0]
    assert listed.id == key.replace("ft-", "ftjob-", 1)
    assert send(client, "POST", f"{path}/{key}/cancel")[1]["status"] == "cancelled"


VERBS = st.lists(st.sampled_from(["pause", "resume", "cancel"]), min_size=1, max_size=6)
NEXT = {
    ("queued", "pause"): "paused",
    ("paused", "resume"): "queued",
    ("queued", "cancel"): "cancelled",
    ("paused", "cancel"): "cancelled",
}


@QUICK
@given(verbs=VERBS)
def test_any_order_of_pause_resume_and_cancel_follows_the_states(desk, training_file, verbs):
    _, client = desk
    job = client.fine_tuning.jobs.create(model=BASE_MODEL, training_file=training_file)
    state = job.status
    for verb in verbs:
        status, _ = send(client, "POST", f"/fine_tuning/jobs/{job.id}/{verb}")
        assert (status == 200) == ((state, verb) in NEXT), (state, verb)
        state = NEXT.get((state, verb), state)
        shown = "queued" if state == "paused" else state
        assert client.fine_tuning.jobs.retrieve(job.id).status == shown
    send(client, "POST", f"/fine_tuning/jobs/{job.id}/cancel")
    told = client.fine_tuning.jobs.list_events(job.id, limit=100).data
    assert len(told) == len({event.id for event in told})


@QUICK
@given(
    key=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40), after=st.text(max_size=9)
)
def test_any_id_and_any_page_is_answered(desk, key, after):
    _, client = desk
    for path in ("/files", "/fine_tuning/jobs", "/models", "/fine-tunes"):
        answer = client._client.get(
            f"{path}/{quote(key, safe='')}", headers={"authorization": f"Bearer {TOKEN}"}
        )
        assert answer.status_code in (200, 404), (path, key)
    for path in ("/files", "/fine_tuning/jobs", "/chat/completions"):
        status, _ = send(client, "GET", path, params={"after": after, "limit": -3})
        assert status == 400
        assert send(client, "GET", path, params={"limit": -3})[0] == 200
