"""A hub's token stands for its user, if it carries this service's scope; the answer is kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from helpers.backend.protocol.errors import ApiError
from helpers.backend.service.callers import Caller, Callers
from helpers.backend.service.hub import KEPT_SECONDS, Hub, HubUser
from helpers.backend.storage.keys import Keys
from helpers.backend.storage.store import Store

SCOPE = "access:services!service=course"


@dataclass
class FakeHub:
    """The one path of a hub that is asked; a real one is asked in tests/peers."""

    url: str
    users: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    status: int = 200


@pytest.fixture
def fake() -> Iterator[FakeHub]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            token = self.headers["Authorization"].removeprefix("token ")
            made.asked.append(token)
            user = made.users.get(token)
            self.send_response(made.status if made.status != 200 else 200 if user else 403)
            self.end_headers()
            self.wfile.write(json.dumps(user or {"message": "no"}).encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made = FakeHub(f"http://127.0.0.1:{server.server_address[1]}/hub/api/")
    yield made
    server.shutdown()
    server.server_close()


def user(name: str, *scopes: str, kind: str = "user", **more: Any) -> dict[str, Any]:
    return {"kind": kind, "name": name, "scopes": [*scopes], **more}


def test_who_may_come_in_is_whoever_has_the_scope_of_this_service(fake):
    fake.users = {
        "a": user("anna", SCOPE),
        "all": user("lena", "access:services", admin=True),
        "other": user("ben", "access:services!service=other", "self"),
        "bot": user("robot", SCOPE, kind="service"),
        "none": {"kind": "user", "name": "carl"},
    }
    hub = Hub(fake.url, "course")
    assert hub.user("a") == HubUser("anna")
    assert hub.user("all") == HubUser("lena", admin=True)
    assert [hub.user(token) for token in ("other", "bot", "none", "unknown", "ä\n")] == [None] * 5


def test_an_answer_is_kept_for_a_minute_also_a_no(fake):
    now = [0.0]
    fake.users = {"a": user("anna", SCOPE)}
    hub = Hub(fake.url, "course", clock=lambda: now[0])
    for _ in range(3):
        assert hub.user("a")
        assert hub.user("b") is None
    assert sorted(fake.asked) == ["a", "b"]
    fake.users = {}
    now[0] = KEPT_SECONDS - 1
    assert hub.user("a")
    now[0] = KEPT_SECONDS + 1
    assert hub.user("a") is None


def test_a_hub_that_does_not_answer_is_said_and_not_kept(fake):
    fake.users, fake.status = {"a": user("anna", SCOPE)}, 500
    hub = Hub(fake.url, "course")
    with pytest.raises(ApiError) as silent:
        hub.user("a")
    assert (silent.value.status, silent.value.headers) == (503, {"retry-after": "5"})
    fake.status = 200
    assert hub.user("a")
    with pytest.raises(ApiError, match="does not answer"):
        Hub("http://127.0.0.1:9/hub/api", "course").user("a")


def test_keys_and_the_folders_token_count_before_the_hub_and_names_never_meet(fake, tmp_path):
    store = Store(tmp_path)
    keys = Keys(store)
    secret = keys.add("anna")
    fake.users = {"a": user("anna", SCOPE), "l": user("lena", SCOPE, admin=True)}
    callers = Callers("the-token", keys, Hub(fake.url, "course"))
    assert callers.of("the-token") == Caller("local", leader=True)
    assert callers.of(secret) == Caller("key:anna")
    assert fake.asked == []
    assert callers.of("a") == Caller("hub:anna")
    assert callers.of("l") == Caller("hub:lena", leader=True)
    assert callers.of("x") is None
    store.close()
