"""A whole account, as the SDK's own types and OpenAI's documented answers describe it."""

from __future__ import annotations

import argparse
import json

import httpx2
import openai
import pytest

from helpers.base.errors import DataError
from helpers.cli import takeout as verb
from helpers.finetuning import takeout as module
from helpers.finetuning.takeout import Takeout, takeout
from tests.places import ROOT

FILE = {"object": "file", "bytes": 3, "created_at": 1, "status": "processed"}
FILES = [
    {**FILE, "id": "file-train", "filename": "train.jsonl", "purpose": "fine-tune"},
    {**FILE, "id": "file-old", "filename": "old.jsonl", "purpose": "assistants"},
]
JOB = {
    "id": "ftjob-1", "object": "fine_tuning.job", "created_at": 1, "error": None,
    "fine_tuned_model": "ft:gpt-4.1::x", "finished_at": 2, "hyperparameters": {"n_epochs": 3},
    "model": "gpt-4.1", "organization_id": "org", "result_files": ["file-result"], "seed": 1,
    "status": "succeeded", "trained_tokens": 9, "training_file": "file-train",
    "validation_file": None,
}  # fmt: skip
EVENTS = [
    {"id": f"ftevent-{n}", "object": "fine_tuning.job.event", "created_at": n, "level": "info",
     "message": f"Step {n}", "type": "message", "data": {}}
    for n in (3, 2, 1)
]  # fmt: skip
SAID = [{"id": "chatcmpl-1-0", "role": "user", "content": "When do you open?"}]
STORED = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4.1",
    "choices": [], "metadata": {},
}  # fmt: skip
BYTES = {"file-train": b"{}\n", "file-result": b"step,train_loss\n1,0.5\n"}


def listed(rows, more=False):
    return {"object": "list", "data": rows, "has_more": more}


class Account:
    """Answers requests from what is written above; `broken` stops at one address."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.broken = ""
        self.refused = ""
        self.stored: list[dict] = []

    def __call__(self, request):
        path = request.url.path.removeprefix("/v1")
        self.asked.append(path)
        if path == self.broken:
            raise httpx2.ConnectError("the line is dead")
        if path.endswith("/content"):
            data = BYTES.get(path.split("/")[2])
            if data is None:
                said = "Not allowed to download files of purpose: assistants"
                body = {"error": {"message": said, "type": "invalid_request_error"}}
                return httpx2.Response(400, json=body)
            return httpx2.Response(200, content=data)
        after = request.url.params.get("after")
        answers = {
            "/files": listed(FILES),
            "/fine_tuning/jobs": listed([JOB]),
            "/fine_tuning/jobs/ftjob-1/events": (
                listed(EVENTS[2:]) if after == "ftevent-2" else listed(EVENTS[:2], more=True)
            ),
            "/fine_tuning/jobs/ftjob-1/checkpoints": listed([]),
        }
        if self.stored:
            answers["/chat/completions"] = listed(self.stored)
            answers["/chat/completions/chatcmpl-1/messages"] = listed(SAID)
        if path in answers and path != self.refused:
            return httpx2.Response(200, json=answers[path])
        return httpx2.Response(404, json={"error": {"message": f"no {path}", "type": "x"}})


@pytest.fixture
def account():
    return Account()


@pytest.fixture
def client(account):
    http = httpx2.Client(transport=httpx2.MockTransport(account))
    return openai.OpenAI(api_key="k", base_url="http://replay/v1", http_client=http, max_retries=0)


def test_everything_is_fetched_once_and_what_may_not_be_had_is_named(account, client, tmp_path):
    done = takeout(client, tmp_path / "home")
    assert (tmp_path / "home/files/file-result.content").read_bytes() == BYTES["file-result"]
    events = (tmp_path / "home/jobs/ftjob-1/events.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in events] == ["ftevent-3", "ftevent-2", "ftevent-1"]
    assert set(done.missing) == {"file-old old.jsonl", "stored completions"}
    manifest = json.loads((tmp_path / "home/manifest.json").read_text())
    assert manifest["complete"]
    assert manifest["missing"] == done.missing
    assert set(manifest["sha256"]) == set(done.fetched)
    account.asked.clear()
    again = takeout(client, tmp_path / "home")
    assert again.fetched == []
    assert "/files/file-train/content" not in account.asked


def test_a_key_alone_means_the_account_at_openai(monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr(
        verb, "takeout", lambda client, out: (asked.append(client), Takeout(out))[1]
    )
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-real-key")
    assert verb.run(ROOT, argparse.Namespace(out=tmp_path)) == 0
    assert asked[0].base_url.host == "api.openai.com"
    assert "own server" not in capsys.readouterr().out


def test_a_run_that_was_stopped_goes_on_and_mends_what_was_damaged(account, client, tmp_path):
    account.broken = "/files/file-result/content"
    with pytest.raises(openai.APIConnectionError):
        takeout(client, tmp_path)
    assert not json.loads((tmp_path / "manifest.json").read_text())["complete"]
    (tmp_path / "files/file-train.json").write_text("damaged")
    account.broken = ""
    done = takeout(client, tmp_path)
    assert done.fetched == ["files/file-train.json", "files/file-result.content"]
    assert "files/file-train.content" in done.kept


def test_a_list_that_is_refused_later_leaves_what_an_earlier_run_brought(account, client, tmp_path):
    takeout(client, tmp_path)
    events = tmp_path / "jobs/ftjob-1/events.jsonl"
    before = events.read_bytes()
    account.refused = "/fine_tuning/jobs/ftjob-1/events"
    done = takeout(client, tmp_path)
    assert "events of ftjob-1" in done.missing
    assert events.read_bytes() == before != b""


def test_what_was_asked_for_a_stored_completion_is_fetched_once(account, client, tmp_path):
    account.stored = [STORED]
    takeout(client, tmp_path)
    text = (tmp_path / "completions/chatcmpl-1.messages.jsonl").read_text(encoding="utf-8")
    assert json.loads(text)["content"] == "When do you open?"
    account.asked.clear()
    again = takeout(client, tmp_path)
    assert "/chat/completions/chatcmpl-1/messages" not in account.asked
    assert "completions/chatcmpl-1.messages.jsonl" in again.kept


def test_a_large_account_does_not_write_its_manifest_for_every_file(
    account, client, tmp_path, monkeypatch
):
    account.stored = [STORED]
    written = []
    keep = module.write_bytes
    monkeypatch.setattr(module, "write_bytes", lambda p, data: (written.append(p), keep(p, data)))
    monkeypatch.setattr(module, "NOTE_EVERY", 1e9)
    done = takeout(client, tmp_path)
    assert [path.name for path in written].count("manifest.json") == 1
    assert set(json.loads((tmp_path / "manifest.json").read_text())["sha256"]) == set(done.fetched)


def test_a_manifest_that_is_no_manifest_is_an_error_with_a_remedy(client, tmp_path):
    (tmp_path / "manifest.json").write_text("[")
    with pytest.raises(DataError, match="remove it to fetch everything anew"):
        takeout(client, tmp_path)


@pytest.mark.slow
def test_the_embedded_servers_own_account_comes_home(server, tmp_path):
    client = openai.OpenAI(api_key=server.token, base_url=f"{server.url}/v1")
    said = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "Yes."}]
    rows = [{"messages": said, "metadata": {"n": n}} for n in range(10)]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file = client.files.create(file=("train.jsonl", data), purpose="fine-tune")
    done = takeout(client, tmp_path)
    assert (tmp_path / f"files/{file.id}.content").read_bytes() == data
    assert done.fetched
