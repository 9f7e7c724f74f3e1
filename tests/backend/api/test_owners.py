"""Nothing of one owner is seen, used, changed, counted or named to another, on any route.

The routes are the application's own: one that is new is walked too, and one with a body that
this test does not know fails it. An id of another owner gets what an id gets that never was.
"""

from __future__ import annotations

import hashlib
import json
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
import pytest
from fastapi.routing import APIRoute

from helpers.backend.api.app import PARTS
from helpers.backend.service.limits import Limits
from helpers.backend.storage.keys import Keys
from helpers.backend.storage.store import LOCAL, Store
from helpers.base import settings as settings_module
from helpers.base.settings import BASE_MODEL
from helpers.finetuning.jobs import fine_tune
from tests.backend.in_process import TOKEN, InstantEngine, asking, served

SECRET = "annas-own"
ROUTES = [
    (method, route)
    for part in PARTS
    for route in part.router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods)
]
MESSAGES = [{"role": "user", "content": "Hi"}]
CHAT = {"model": BASE_MODEL, "messages": MESSAGES}
RESPONSE = {"model": BASE_MODEL, "input": "Hi"}
JOB = {"model": BASE_MODEL, "training_file": "OWN"}
# What a body may say with an id X in it, for each route that takes one; OWN is a file of the
# asker's own. A path that needs no id in its body has one without.
BODIES: dict[str, list[Any]] = {
    "POST /v1/chat/completions": [CHAT | {"model": "X"}],
    "POST /v1/chat/completions/{key}": [{"metadata": {"a": "b"}}],
    "POST /v1/completions": [{"model": "X", "prompt": "Hi"}],
    "POST /v1/responses": [
        RESPONSE | {"model": "X"},
        RESPONSE | {"previous_response_id": "X"},
        RESPONSE | {"input": [{"type": "item_reference", "id": "X"}]},
    ],
    "POST /v1/responses/input_tokens": [
        RESPONSE | {"model": "X"},
        RESPONSE | {"previous_response_id": "X"},
        RESPONSE | {"input": [{"type": "item_reference", "id": "X"}]},
    ],
    "POST /v1/embeddings": [{"model": "X", "input": "Hi"}],
    "POST /v1/batches": [
        {"input_file_id": "X", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    ],
    "POST /v1/fine_tuning/jobs": [
        JOB | {"training_file": "X"},
        JOB | {"validation_file": "X"},
        JOB | {"model": "X"},
    ],
    "POST /v1/fine-tunes": [
        JOB | {"training_file": "X"},
        JOB | {"validation_file": "X"},
        JOB | {"model": "X"},
    ],
    "PUT /v1/models/{name:path}/alias": [{"model": "X"}, {"model": BASE_MODEL}],
    "POST /v1/engines/{name}/completions": [{"prompt": "Hi"}],
    "POST /v1/engines/{name}/chat/completions": [{"messages": MESSAGES}],
    "POST /v1/engines/{name}/embeddings": [{"input": "Hi"}],
    "POST /v1/uploads": [
        {"bytes": 3, "filename": "a", "mime_type": "text/plain", "purpose": "user_data"}
    ],
    "POST /v1/uploads/{key}/complete": [{"part_ids": ["X"]}],
    "PUT /v1/class/here": [{"notebook": "X"}],
    "PUT /v1/class/notice": [{"text": "X"}],
}
FORMS = {
    "POST /v1/files": {"data": {"purpose": "user_data"}, "files": {"file": ("a", b"abc")}},
    "POST /v1/uploads/{key}/parts": {"files": {"data": ("a", b"abc")}},
}
MADE = re.compile(r"(file|ftjob|ftevent|chatcmpl|cmpl|resp|msg|batch|upload|part|ft)[-_]\w{8,}|\d+")


def training_file(name: str) -> bytes:
    rows = (
        {"messages": [*MESSAGES, {"role": "assistant", "content": f"{name} {n}"}]}
        for n in range(12)
    )
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@dataclass
class Person:
    """A caller and what they have made."""

    http: httpx2.Client
    name: str
    ids: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, **more: Any) -> Any:
        answer = self.http.request(method, path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        return self.ask("POST", path, json=body)

    def upload(self, purpose: str, data: bytes) -> str:
        form = {"data": {"purpose": purpose}, "files": {"file": (f"{self.name}.jsonl", data)}}
        return str(self.ask("POST", "/v1/files", **form)["id"])

    def settle(self, store: Store) -> None:
        """Make one of everything that there is."""
        ids, mark = self.ids, {"owner": self.name}
        chat = CHAT | {"store": True, "metadata": mark}
        ids["file"] = self.upload("fine-tune", training_file(self.name))
        job = JOB | {"training_file": ids["file"], "suffix": self.name, "metadata": mark}
        ids["job"] = self.post("/v1/fine_tuning/jobs", **job)["id"]
        ids["chat"] = self.post("/v1/chat/completions", **chat)["id"]
        answer = self.post("/v1/responses", **RESPONSE | {"metadata": mark})
        ids["response"], ids["item"] = answer["id"], answer["output"][0]["id"]
        line = {"custom_id": self.name, "method": "POST", "url": "/v1/chat/completions"}
        ids["batch file"] = self.upload("batch", json.dumps(line | {"body": CHAT}).encode())
        batch = {"endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": mark}
        ids["batch"] = self.post("/v1/batches", input_file_id=ids["batch file"], **batch)["id"]
        upload = {"bytes": 3, "filename": self.name, "mime_type": "text/plain"}
        ids["upload"] = self.post("/v1/uploads", purpose="user_data", **upload)["id"]
        form = {"files": {"data": ("a", b"abc")}}
        ids["part"] = self.ask("POST", f"/v1/uploads/{ids['upload']}/parts", **form)["id"]
        self._as_if_trained(store, job["model"])
        ids["alias"] = f"{self.name}-alias"
        self.ask("PUT", f"/v1/models/{ids['alias']}/alias", json={"model": ids["model"]})

    def _as_if_trained(self, store: Store, base: str) -> None:
        """What the job's end would leave; no job is started here."""
        ids, folder = self.ids, store.job_dir(self.ids["job"])
        ids["model"] = f"ft:{base}:workbook:{self.name}:{ids['job'][-8:]}"
        ids["step"] = f"{ids['model']}:ckpt-step-3"
        ids["checkpoint"] = f"ftckpt_{ids['job'][6:]}3"
        gguf = settings_module.base_gguf()
        for name, part in ((ids["model"], False), (ids["step"], True)):
            body = {"id": name, "object": "model", "created": 1, "owned_by": "workbook"}
            own = {"_gguf": str(gguf), "_adapter": str(folder), "_checkpoint": part}
            store.put("model", name, body | own)
        body = {"id": ids["checkpoint"], "fine_tuned_model_checkpoint": ids["step"]}
        store.put("checkpoint", ids["checkpoint"], body, parent=ids["job"])


@dataclass
class Class:
    """Two people on one server, and its one token."""

    app: Any
    anna: Person
    ben: Person
    leader: httpx2.Client
    as_ben: Callable[..., httpx2.Response]
    """A request of Ben's without a socket, for the walk over all routes."""

    @property
    def everything(self) -> Store:
        return self.app.state.service.store.everyones()

    def of(self, owner: str) -> dict[str, str]:
        """Every document and file of an owner, by place, as a hash."""
        store = self.app.state.service.store.of(owner)
        kinds = ("file", "job", "event", "checkpoint", "model", "alias", "response", "chat")
        found = {
            f"{kind} {body['id']}": json.dumps(body, sort_keys=True)
            for kind in (*kinds, "batch", "upload")
            for body in store.list(kind)[0]
        }
        for name in [place.split()[1] for place in found if place.startswith("file ")]:
            found[f"bytes {name}"] = hashlib.sha256((store.files / name).read_bytes()).hexdigest()
        return found


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Iterator[Class]:
    config = replace(settings_module.load(), state=tmp_path_factory.mktemp("owners"))
    with served(config, InstantEngine()) as (app, url):
        store = app.state.service.store
        people = []
        for name in (SECRET, "ben"):
            secret = Keys(store).add(name)
            http = httpx2.Client(
                base_url=url, headers={"authorization": f"Bearer {secret}"}, timeout=30
            )
            people.append(Person(http, name))
            people[-1].settle(store.of(f"key:{name}"))
        leader = httpx2.Client(base_url=url, headers={"authorization": f"Bearer {TOKEN}"})
        anna, ben = people
        # The batch is under way; what it makes belongs to her too.
        batch: dict[str, Any] = {}
        while batch.get("status") != "completed":
            batch = anna.ask("GET", f"/v1/batches/{anna.ids['batch']}")
        anna.ids["output"] = batch["output_file_id"]
        while ben.ask("GET", f"/v1/batches/{ben.ids['batch']}")["status"] != "completed":
            pass
        yield Class(app, anna, ben, leader, asking(app, url, ben.http.headers))
        for http in (anna.http, ben.http, leader):
            http.close()


def twin(key: str) -> str:
    """An id of the same form that nobody has."""
    letters = string.ascii_letters
    turned = str.maketrans(letters, letters[7:] + letters[:7])
    head, found, tail = key.rpartition(":") if key.startswith("ft:") else key.partition("-")
    return f"{head}{found}{tail.translate(turned)}" if found else f"none-{key.translate(turned)}"


def filled(value: Any, key: str, own: str) -> Any:
    """A body with its id and the asker's own file."""
    text = json.dumps(value).replace('"X"', json.dumps(key)).replace('"OWN"', json.dumps(own))
    return json.loads(text)


def requests_with(method: str, route: APIRoute, key: str, own: str) -> Iterator[dict[str, Any]]:
    """Every request on a route that may name an id: in its path, its query and its body."""
    name = f"{method} {route.path}"
    path = re.sub(r"\{\w+(:path)?\}", lambda _: key, route.path)
    words = [
        one.name for one in route.dependant.query_params if one.field_info.annotation is not bool
    ]
    named = [word for word in words if word in ("after", "model", "purpose")]
    if name in FORMS:
        yield {"url": path, **FORMS[name]}
    elif route.dependant.body_params:
        # A route that is not in the table: say in BODIES what it may be asked with an id.
        for body in BODIES[name]:
            yield {"url": path, "json": filled(body, key, own)}
    else:
        yield {"url": path}
    for word in named:
        yield {"url": path, "params": {word: key}}


def seen(answer: httpx2.Response, key: str) -> tuple[int, str]:
    """An answer without the id that was asked for, and without ids and times that are new."""
    return answer.status_code, MADE.sub("…", answer.text.replace(key, "KEY"))


@pytest.mark.parametrize(
    ("method", "route"), ROUTES, ids=[f"{method} {route.path}" for method, route in ROUTES]
)
def test_an_id_of_another_owner_gets_what_one_gets_that_never_was(course, method, route):
    before, others = course.of(f"key:{SECRET}"), course.anna.ids.values()
    for key in others:
        own = course.ben.ids["file"]
        pairs = zip(
            requests_with(method, route, key, own),
            requests_with(method, route, twin(key), own),
            strict=True,
        )
        for hers, nobodys in pairs:
            answer, never = course.as_ben(method, **hers), course.as_ben(method, **nobodys)
            assert seen(answer, key) == seen(never, twin(key)), hers
            told = answer.text.replace(key, "")
            assert SECRET not in told, hers
            assert not [other for other in others if other in told], hers
    assert course.of(f"key:{SECRET}") == before


def test_the_walk_would_see_a_crossing(course):
    """Anna herself, and the server's own view, get other answers than a stranger."""
    for place in ("/v1/files/", "/v1/fine_tuning/jobs/", "/v1/models/"):
        kind = {"/v1/files/": "file", "/v1/fine_tuning/jobs/": "job"}.get(place, "model")
        key = course.anna.ids[kind]
        assert course.anna.http.get(place + key).status_code == 200
        assert course.ben.http.get(place + key).status_code == 404
        assert course.leader.get(place + key).status_code == 404


def test_lists_hold_what_is_ones_own_and_nothing_else(course):
    for path in ("/v1/files", "/v1/fine_tuning/jobs", "/v1/models", "/v1/batches"):
        hers, his = course.anna.http.get(path).text, course.ben.http.get(path).text
        assert SECRET in hers
        assert SECRET not in his
        assert "ben" in his
    filtered = {"metadata[owner]": SECRET}
    for path in ("/v1/fine_tuning/jobs", "/v1/chat/completions"):
        assert course.anna.ask("GET", path, params=filtered)["data"]
        assert course.ben.ask("GET", path, params=filtered)["data"] == []


def test_the_same_job_is_found_again_by_its_owner_alone(course, tmp_path):
    openai = pytest.importorskip("openai")
    data = tmp_path / "same.jsonl"
    data.write_bytes(training_file("same"))
    found = []
    for person in (course.anna, course.ben, course.anna):
        key = person.http.headers["authorization"].removeprefix("Bearer ")
        client = openai.OpenAI(base_url=f"{person.http.base_url}/v1", api_key=key)
        found.append(fine_tune(client, model=BASE_MODEL, training=data))
        client.close()
    assert [run.reused for run in found] == [False, False, True]
    assert found[0].job.id == found[2].job.id != found[1].job.id


def test_a_name_that_two_give_to_their_models_is_each_ones_own(course):
    for person in (course.anna, course.ben):
        body = {"model": person.ids["model"]}
        person.ask("PUT", "/v1/models/curie/alias", json=body)
    for person in (course.anna, course.ben):
        queried = course.app.state.service.of(f"key:{person.name}").models.resolve("curie")
        assert queried.id == person.ids["model"]
    assert course.ben.http.delete("/v1/models/curie").status_code == 200
    assert course.anna.http.get("/v1/models/curie").status_code == 200
    assert course.ben.http.get("/v1/models/curie").status_code == 404


def test_a_batch_asks_as_its_owner(course):
    """One line keeps its answer, another names Anna's model."""
    line = {"method": "POST", "url": "/v1/chat/completions"}
    rows = [
        line | {"custom_id": "kept", "body": CHAT | {"store": True, "metadata": {"from": "batch"}}},
        line | {"custom_id": "hers", "body": CHAT | {"model": course.anna.ids["model"]}},
    ]
    # Two models in one file would be refused; so two files.
    for row in rows:
        file = course.ben.upload("batch", json.dumps(row).encode())
        asked = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
        key = course.ben.post("/v1/batches", input_file_id=file, **asked)["id"]
        batch: dict[str, Any] = {}
        while batch.get("status") not in ("completed", "failed"):
            batch = course.ben.ask("GET", f"/v1/batches/{key}")
        if row["custom_id"] == "hers":
            errors = course.ben.http.get(f"/v1/files/{batch['error_file_id']}/content").text
            assert "model_not_found" in errors
    kept = {"metadata[from]": "batch"}
    assert len(course.ben.ask("GET", "/v1/chat/completions", params=kept)["data"]) == 1
    assert course.anna.ask("GET", "/v1/chat/completions", params=kept)["data"] == []
    assert course.leader.get("/v1/chat/completions", params=kept).json()["data"] == []


def test_deleting_an_own_name_for_it_unloads_no_model_of_another(course, monkeypatch):
    unloaded: list[str] = []
    monkeypatch.setattr(course.app.state.service.engine, "unload", unloaded.append)
    hers = course.anna.ids["model"]
    course.ben.ask("PUT", f"/v1/models/{hers[:64]}/alias", json={"model": BASE_MODEL})
    course.ben.ask("DELETE", f"/v1/models/{hers[:64]}")
    assert unloaded == []


def test_one_who_has_filled_a_limit_takes_no_room_from_another(tmp_path):
    config = replace(settings_module.load(), state=tmp_path)
    with served(config, InstantEngine(), Limits(files=2, answers=1)) as (app, url):
        keys = Keys(app.state.service.store)
        form = {"data": {"purpose": "user_data"}, "files": {"file": ("a", b"abc")}}
        for name in ("anna", "ben"):
            headers = {"authorization": f"Bearer {keys.add(name)}"}
            with httpx2.Client(base_url=url, headers=headers) as http:
                statuses = [http.post("/v1/files", **form).status_code for _ in range(3)]
                assert statuses == [200, 200, 400]
                http.post("/v1/chat/completions", json=CHAT | {"store": True})
        for name in ("anna", "ben"):
            assert len(app.state.service.of(f"key:{name}").store.list("chat")[0]) == 1


def test_a_key_that_was_revoked_opens_nothing_and_its_name_gets_its_things_back(course):
    keys = Keys(course.everything)
    first = keys.add("carl")
    opened = {"authorization": f"Bearer {first}"}
    made = course.leader.post("/v1/responses", json=RESPONSE, headers=opened).json()["id"]
    keys.revoke("carl")
    refused = course.leader.get(f"/v1/responses/{made}", headers=opened)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    again = {"authorization": f"bearer {keys.add('carl')}"}
    assert course.leader.get(f"/v1/responses/{made}", headers=again).status_code == 200


def test_no_header_of_a_request_makes_it_anothers(course):
    key = course.anna.ids["file"]
    for headers in (
        {"workbook.caller": f"key:{SECRET}"},
        {"OpenAI-Organization": f"key:{SECRET}", "OpenAI-Project": SECRET},
        {"x-forwarded-user": SECRET},
    ):
        assert course.ben.http.get(f"/v1/files/{key}", headers=headers).status_code == 404


def test_the_one_user_of_a_machine_is_the_owner_of_what_was_there_before(course):
    assert course.app.state.service.store.owner == LOCAL
