"""A class of five on a real hub: JupyterHub, its proxy from npm, five Labs, one course server.

The hub reads the configuration that a school would use, with the spawner for trying out. Each
learner logs in with a browser's requests, and a kernel in their own Lab runs the course's code.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from helpers.base import settings
from tests.places import ROOT
from tests.ports import free_ports

HERE = Path(__file__).resolve().parent
LEARNERS = ("anna", "ben", "carla", "dev", "emre")
PASSWORD, LEADER_PASSWORD = "for-the-class", "for-the-leader-of-the-class-alone"
SECONDS = 240


@dataclass
class HubClass:
    """Where hub and server answer."""

    hub: str
    api: str
    state: Path
    course: Path


@pytest.fixture(scope="module")
def proxy() -> Path:
    """The folder of configurable-http-proxy's program."""
    config = settings.load()
    folder = (config.environments or config.state) / "peers" / "hub-proxy"
    folder.mkdir(parents=True, exist_ok=True)
    for path in (HERE / "hub").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    if not (folder / "node_modules").is_dir():
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "node_modules" / ".bin"


@pytest.fixture(scope="module")
def class_(environment_of, proxy, tmp_path_factory) -> Iterator[HubClass]:
    python = environment_of("jupyterhub")
    state = tmp_path_factory.mktemp("class")
    front, hub, api, behind = free_ports(4)
    [packages] = python.parents[1].glob("lib/python3*/site-packages")
    course = tmp_path_factory.mktemp("srv") / "course"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(course)], check=True)
    (course / ".venv").symlink_to(Path(sys.prefix))
    words = {
        "PATH": os.pathsep.join([str(proxy), str(python.parent), os.environ["PATH"]]),
        "HOME": str(state),
        "COURSE_SPAWNER": "simple",
        "COURSE_ROOT": str(course),
        "COURSE_STATE": str(state),
        "COURSE_PASSWORD": PASSWORD,
        "COURSE_LEADERS": "lena",
        "COURSE_LEADER_PASSWORD": LEADER_PASSWORD,
        "COURSE_BIND": f"http://127.0.0.1:{front}",
        "COURSE_HUB_PORT": str(hub),
        "COURSE_PORT": str(api),
        "COURSE_PROXY_PORT": str(behind),
        # What the hub's package adds to the course's environment, which a school installs there.
        "COURSE_LAB_PYTHONPATH": str(packages),
        "COURSE_LAB_CONFIG_PATH": str(python.parents[1] / "etc" / "jupyter"),
        "COURSE_NAME": "127.0.0.1",
    }
    log = (state / "hub.log").open("wb")
    command = [str(python.with_name("jupyterhub")), "-f"]
    command.append(str(ROOT / "docs" / "jupyterhub" / "jupyterhub_config.py"))
    process = subprocess.Popen(command, cwd=state, env=words, stdout=log, stderr=log)
    made = HubClass(f"http://127.0.0.1:{front}", f"http://127.0.0.1:{api}", state, course)
    try:
        wait_for(f"{made.hub}/hub/health", process, state)
        wait_for(f"{made.api}/health", process, state)
        yield made
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()
        shutil.rmtree(state / "homes", ignore_errors=True)


def wait_for(url: str, process: subprocess.Popen[bytes], state: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, (state / "hub.log").read_text()[-3000:]
        try:
            if httpx2.get(url, timeout=5).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"{url} does not answer: {(state / 'hub.log').read_text()[-3000:]}")


class Learner:
    """A person in a browser, who logs in, starts a Lab and runs cells."""

    def __init__(self, class_: HubClass, name: str, password: str = PASSWORD) -> None:
        self.name, self.class_ = name, class_
        self.http = httpx2.Client(base_url=class_.hub, follow_redirects=True, timeout=60)
        page = self.http.get("/hub/login")
        form = {"username": name, "password": password, "_xsrf": self.http.cookies["_xsrf"]}
        assert page.status_code == 200
        done = self.http.post("/hub/login", data=form)
        assert done.status_code == 200, done.text[:500]

    def start(self) -> float:
        """Spawn the Lab; seconds until it answers."""
        started = time.monotonic()
        self.http.get("/hub/spawn")
        deadline = started + SECONDS
        while time.monotonic() < deadline:
            answer = self.http.get(f"/user/{self.name}/api")
            if answer.status_code == 200 and "version" in answer.text:
                self.http.get(f"/user/{self.name}/lab")  # the hub's login for this Lab
                return time.monotonic() - started
            time.sleep(0.5)
        raise AssertionError((self.class_.state / "hub.log").read_text()[-3000:])

    def run(self, code: str) -> str:
        """What a kernel in the learner's Lab prints."""
        kernel = self._api("POST", "kernels", json={"path": "my_notebooks"})["id"]
        try:
            return asyncio.run(self._execute(kernel, code))
        finally:
            self._api("DELETE", f"kernels/{kernel}")

    def _api(self, method: str, path: str, **more: Any) -> Any:
        place = f"/user/{self.name}/"
        xsrf = next(c.value for c in self.http.cookies.jar if c.name == "_xsrf" and c.path == place)
        headers = {"x-xsrftoken": xsrf or ""}
        answer = self.http.request(method, f"{place}api/{path}", headers=headers, **more)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    async def _execute(self, kernel: str, code: str) -> str:
        from tornado.httpclient import HTTPRequest
        from tornado.websocket import websocket_connect

        place = f"/user/{self.name}/"
        jar = [c for c in self.http.cookies.jar if place.startswith(c.path)]
        jar.sort(key=lambda cookie: -len(cookie.path))
        cookies = "; ".join(f"{c.name}={c.value}" for c in jar)
        url = f"{self.class_.hub.replace('http', 'ws', 1)}{place}api/kernels/{kernel}/channels"
        # Five kernels start at once on two cores: tornado's own 20 s can be too few.
        asked = HTTPRequest(url, headers={"Cookie": cookies}, connect_timeout=SECONDS)
        asked.request_timeout = SECONDS
        socket = await websocket_connect(asked)
        key = uuid.uuid4().hex
        header = {"msg_id": key, "msg_type": "execute_request", "username": "", "session": key}
        content = {"code": code, "silent": False, "store_history": False, "stop_on_error": True}
        message = {"channel": "shell", "header": header | {"version": "5.3", "date": ""}}
        await socket.write_message(
            json.dumps(message | {"parent_header": {}, "metadata": {}, "content": content})
        )
        told = []
        async with asyncio.timeout(SECONDS):
            while True:
                text = await socket.read_message()
                assert text is not None, "".join(told)
                said = json.loads(text)
                if said.get("parent_header", {}).get("msg_id") != key:
                    continue
                if said["msg_type"] == "stream":
                    told.append(said["content"]["text"])
                elif said["msg_type"] == "error":
                    raise AssertionError("\n".join(said["content"]["traceback"]))
                elif said["msg_type"] == "execute_reply":
                    # What it printed may come a moment after the reply.
                    await asyncio.sleep(0.3)
                elif said["msg_type"] == "status" and said["content"]["execution_state"] == "idle":
                    socket.close()
                    return "".join(told)


@pytest.fixture(scope="module")
def learners(class_) -> Iterator[list[Learner]]:
    people = [Learner(class_, name) for name in LEARNERS]
    with ThreadPoolExecutor(len(people)) as pool:
        seconds = list(pool.map(Learner.start, people))
    print(f"Labs ready after {[round(one) for one in seconds]} s")
    yield people
    for person in people:
        person.http.close()


CONNECT = """
import json
from helpers.connection import connect
course = connect()
said = course.client.chat.completions.create(
    model=course.chat_model, messages=[{"role": "user", "content": "Say hello."}], max_tokens=8)
import helpers
file = course.client.files.create(file=("NAME.jsonl", b"hello NAME"), purpose="user_data")
print(json.dumps({"backend": course.backend, "shared": course.shared, "file": file.id,
    "said": said.choices[0].message.content, "helpers": helpers.__file__}))
"""


def test_five_learners_work_on_one_server_each_with_what_is_theirs(class_, learners):
    with ThreadPoolExecutor(len(learners)) as pool:
        told = list(
            pool.map(lambda one: json.loads(one.run(CONNECT.replace("NAME", one.name))), learners)
        )
    assert {(one["backend"], one["shared"]) for one in told} == {("embedded", True)}
    assert all(one["said"] for one in told)
    for person, one in zip(learners, told, strict=True):
        assert f"/homes/{person.name}/course/" in one["helpers"], "each has a copy of the course"
    second = learners[1]
    look = """
from helpers.connection import connect
import openai
client = connect().client
print([file.filename for file in client.files.list()])
try:
    client.files.retrieve("FILE")
except openai.NotFoundError as error:
    print(error.message)
"""
    seen = second.run(look.replace("FILE", told[0]["file"]))
    assert "['ben.jsonl']" in seen
    assert "No such File object" in seen


def test_a_lab_has_the_courses_layout_and_trusts_its_notebooks(class_, learners):
    home = class_.state / "homes" / "anna" / "course"
    assert (home / "my_notebooks" / "00_start_here.ipynb").is_file()
    page = learners[0].http.get("/user/anna/lab")
    assert page.status_code == 200
    assert "my_notebooks/00_start_here.ipynb" in page.text or page.url.path.endswith("/lab")
    trusted = learners[0].run(
        "import nbformat; from nbformat.sign import NotebookNotary\n"
        "book = nbformat.read('00_start_here.ipynb', as_version=4)\n"
        "print(NotebookNotary().check_signature(book))"
    )
    assert trusted.strip() == "True"
    layout = home / ".workbook" / "lab" / "workspaces"
    assert list(layout.glob("*.jupyterlab-workspace"))


def test_a_batch_works_as_on_ones_own_server(learners):
    code = """
from helpers.connection import connect
from helpers.evaluation.requests import run_batch
course = connect()
ask = {"model": course.chat_model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
print(len(run_batch(course.client, [ask, ask])))
"""
    assert learners[2].run(code).strip().endswith("2")


def test_a_token_without_the_services_scope_opens_nothing(class_, learners):
    person = learners[3]
    answer = person.http.post(
        f"/hub/api/users/{person.name}/tokens",
        headers={"x-xsrftoken": person.http.cookies.get("_xsrf", path="/hub/") or ""},
        json={"scopes": ["read:users:name!user"], "note": "too little"},
    )
    assert answer.status_code == 201, answer.text
    token = answer.json()["token"]
    asked = httpx2.get(f"{class_.api}/v1/models", headers={"authorization": f"Bearer {token}"})
    assert (asked.status_code, asked.json()["error"]["code"]) == (401, "invalid_api_key")


def test_the_leader_sees_who_is_there_and_speaks_to_all(class_, learners):
    leader = Learner(class_, "lena", LEADER_PASSWORD)
    answer = leader.http.post(
        "/hub/api/users/lena/tokens",
        headers={"x-xsrftoken": leader.http.cookies.get("_xsrf", path="/hub/") or ""},
        json={"scopes": ["access:services!service=course"], "note": "the class"},
    )
    opened = {"authorization": f"Bearer {answer.json()['token']}"}
    # Through the hub's own proxy, as from outside the machine.
    seen = httpx2.get(f"{class_.hub}/services/course/v1/class", headers=opened).json()
    assert {row["name"] for row in seen["people"]} >= set(LEARNERS)
    said = httpx2.put(
        f"{class_.hub}/services/course/v1/class/notice",
        headers=opened,
        json={"text": "Back at ten."},
    )
    assert said.status_code == 200
    told = learners[0].run("from helpers.connection import connect\nprint(connect())")
    assert "Back at ten." in told
    leader.http.close()


def test_a_link_of_nbgitpuller_brings_the_learners_copy_up_to_date(class_, learners):
    def git(*words: str) -> str:
        who = ("-c", "user.name=Lena", "-c", "user.email=lena@school.example")
        command = ["git", "-C", str(class_.course), *who, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    (class_.course / "data" / "new.txt").write_text("a new version of the course\n")
    git("add", "data/new.txt")
    git("commit", "-qm", "new")
    words = {"repo": str(class_.course), "branch": git("rev-parse", "--abbrev-ref", "HEAD")}
    link = {**words, "targetPath": "course", "urlpath": "lab"}
    assert learners[4].http.get("/user/emre/git-pull", params=link).status_code == 200
    # The page of the link then asks for this.
    asked = {**words, "targetpath": "course"}
    pulled = learners[4].http.get("/user/emre/git-pull/api", params=asked, timeout=SECONDS)
    assert pulled.status_code == 200
    home = class_.state / "homes" / "emre" / "course"
    assert (home / "data" / "new.txt").is_file(), pulled.text[-2000:]
