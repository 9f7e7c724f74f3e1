"""What tests of batches have in common: requests, how to send them, and an engine that waits."""

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import openai

from helpers.base.settings import BASE_MODEL
from tests.backend.in_process import TOKEN, InstantEngine

CHAT = "/v1/chat/completions"
BODY = {"model": BASE_MODEL, "messages": [{"role": "user", "content": "Hi"}]}
OVER = ("completed", "failed", "cancelled", "expired")


def line(number, body=BODY, url=CHAT, **more):
    return {"custom_id": f"q{number}", "method": "POST", "url": url, "body": body, **more}


def send(client, rows, endpoint=CHAT, **more):
    """Upload the rows, texts as they are, and create a batch of them."""
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    data = "\n".join(texts).encode()
    file = client.files.create(file=("asked.jsonl", data), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h", **more
    )


def until(seen, seconds=20):
    deadline = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def over(client, batch):
    def ended():
        found = client.batches.retrieve(batch.id)
        return found if found.status in OVER else None

    return until(ended)


def rows_of(client, key):
    return [json.loads(text) for text in client.files.content(key).text.splitlines()]


@dataclass
class HeldEngine(InstantEngine):
    """Answers a few questions, and the rest when it is told to."""

    free: int = 0
    go: threading.Event = field(default_factory=threading.Event)
    asked: Counter = field(default_factory=Counter)

    def generate(self, model, prompt, sampling):
        self.asked[prompt[-1]["content"]] += 1
        if self.asked.total() > self.free:
            self.go.wait(20)
        yield from super().generate(model, prompt, sampling)

    def close(self):
        self.go.set()


def questions(n):
    return [
        line(i, BODY | {"messages": [{"role": "user", "content": f"Question {i}"}]})
        for i in range(n)
    ]


def connected(app, url):
    made = openai.OpenAI(base_url=f"{url}/v1", api_key=TOKEN, max_retries=0)
    made.app = app
    return made
