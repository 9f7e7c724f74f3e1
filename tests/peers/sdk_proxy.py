"""Stands between the tests of OpenAI's own package and the embedded server.

Those tests are generated from OpenAI's description: they talk to a mock that knows every id
and accepts any key. This proxy puts the server's key, real ids and the names of its models in
the place of the description's examples. Nothing else of a request is changed, except that an
answer is kept short and that a request without model or input, which the mock accepts, gets
one. Answers pass through untouched.

    python tests/peers/sdk_proxy.py URL TOKEN PORT
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BASE, EMBEDDER = "smollm2-135m-instruct", "all-minilm-l6-v2"
EXAMPLE = {
    "messages": [
        {"role": "user", "content": "How do I pay?"},
        {"role": "assistant", "content": "By card."},
    ]
}
KINDS = {
    "files": "file",
    "jobs": "job",
    "batches": "batch",
    "responses": "response",
    "completions": "chat",
    "models": "model",
    "uploads": "upload",
}
SHORT = {
    "/v1/chat/completions": "max_completion_tokens",
    "/v1/responses": "max_output_tokens",
}
PATIENCE = 600
"""Seconds for one answer, where other programs use the processors too."""
VERBS = {"cancel", "pause", "resume", "content", "events", "checkpoints", "messages"}
VERBS |= {"input_items", "input_tokens", "parts", "complete", "compact"}


class Upstream:
    """The embedded server, and the objects that tests ask for by an example's id."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token
        self.lock = threading.Lock()
        self.number = 0

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The server's answer to a request of the proxy's own."""
        data, kind = (None, "application/json")
        if isinstance(body, bytes):
            data, kind = body, "multipart/form-data; boundary=proxy"
        elif body is not None:
            data = json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def make(self, kind: str, verb: str = "") -> str:
        """The id of a new object of a kind, in the state that `verb` needs."""
        with self.lock:
            return getattr(self, f"_{kind}")(verb)

    def _rows(self, rows: list[Any], purpose: str) -> str:
        self.number += 1
        text = "\n".join(json.dumps(row) for row in rows)
        head = "--proxy\r\nContent-Disposition: form-data; name="
        purpose_part = f'{head}"purpose"\r\n\r\n{purpose}\r\n'
        file_part = f'{head}"file"; filename="{self.number}.jsonl"\r\n\r\n{text}\r\n--proxy--\r\n'
        return self.call("POST", "/v1/files", (purpose_part + file_part).encode())["id"]

    def _file(self, verb: str) -> str:
        rows = [{"messages": [dict(m) for m in EXAMPLE["messages"]]} for _ in range(12)]
        for at, row in enumerate(rows):
            row["messages"][0]["content"] = f"How do I pay bill {self.number}-{at}?"
        return self._rows(rows, "fine-tune")

    def _batch_file(self, verb: str) -> str:
        body = {"model": BASE, "input": "Hi", "max_output_tokens": 1}
        row = {"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": body}
        return self._rows([row], "batch")

    def _job(self, verb: str) -> str:
        job = self.call(
            "POST", "/v1/fine_tuning/jobs", {"model": BASE, "training_file": self._file("")}
        )["id"]
        if verb != "cancel":
            self.call("POST", f"/v1/fine_tuning/jobs/{job}/pause")
        if verb == "pause":
            self.call("POST", f"/v1/fine_tuning/jobs/{job}/resume")
        threading.Timer(20, self._end, [f"/v1/fine_tuning/jobs/{job}/cancel"]).start()
        return job

    def _end(self, path: str) -> None:
        with contextlib.suppress(urllib.error.HTTPError):
            self.call("POST", path)

    def _batch(self, verb: str) -> str:
        asked = {"input_file_id": self._batch_file(""), "endpoint": "/v1/responses"}
        return self.call("POST", "/v1/batches", asked | {"completion_window": "24h"})["id"]

    def _response(self, verb: str) -> str:
        asked = {"model": BASE, "input": "Hi", "max_output_tokens": 1}
        return self.call("POST", "/v1/responses", asked)["id"]

    def _chat(self, verb: str) -> str:
        # The package's type of a stored message has the role of the assistant alone.
        messages = EXAMPLE["messages"][1:] if verb == "messages" else EXAMPLE["messages"][:1]
        asked = {"model": BASE, "messages": messages, "max_tokens": 1, "store": True}
        return self.call("POST", "/v1/chat/completions", asked)["id"]

    def _model(self, verb: str) -> str:
        if verb != "DELETE":
            return BASE
        self.number += 1
        name = f"alias-{self.number}"
        self.call("PUT", f"/v1/models/{name}/alias", {"model": BASE})
        return name

    def _upload(self, verb: str) -> str:
        asked = {"bytes": 12, "filename": "a.jsonl", "mime_type": "text/jsonl"}
        return self.call("POST", "/v1/uploads", asked | {"purpose": "assistants"})["id"]

    def part_of(self, upload: str) -> tuple[str, str]:
        """A part that makes an upload whole, and its MD5."""
        data = b"twelve bytes"
        body = b'--proxy\r\nContent-Disposition: form-data; name="data"; filename="a"\r\n\r\n'
        part = self.call("POST", f"/v1/uploads/{upload}/parts", body + data + b"\r\n--proxy--\r\n")
        return part["id"], hashlib.md5(data, usedforsecurity=False).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """One request of the tests."""

    upstream: Upstream
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        data = self.rfile.read(length) if length else b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = self._chunks()
        path, _, query = self.path.partition("?")
        kind = self.headers.get("Content-Type", "")
        try:
            path = self._path(path)
            if "json" in kind and data:
                data = json.dumps(self._body(path, json.loads(data))).encode()
            elif self.command == "POST" and path in ("/v1/responses", "/v1/responses/input_tokens"):
                data, kind = json.dumps(self._body(path, {})).encode(), "application/json"
            query = re.sub(r"(?:after|before)=[a-z]+&?", "", query)
        except urllib.error.HTTPError as error:
            return self._answer(error)
        headers = {"Authorization": f"Bearer {self.upstream.token}"}
        if kind:
            headers["Content-Type"] = kind
        url = f"{self.upstream.url}{path}" + (f"?{query}" if query else "")
        request = urllib.request.Request(url, data or None, headers, method=self.command)
        try:
            self._answer(urllib.request.urlopen(request, timeout=PATIENCE))
        except urllib.error.HTTPError as error:
            self._answer(error)

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _path(self, path: str) -> str:
        parts = path.removeprefix("/v1").strip("/").split("/")
        for at in range(1, len(parts)):
            kind = KINDS.get(parts[at - 1])
            if kind and parts[at] not in VERBS:
                verb = parts[at + 1] if at + 1 < len(parts) else self.command
                parts[at] = self.upstream.make(kind, verb)
        return "/v1/" + "/".join(parts)

    def _body(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        make = self.upstream.make
        if "model" in body or path.startswith("/v1/responses"):
            body["model"] = EMBEDDER if path == "/v1/embeddings" else BASE
        short = SHORT.get(path)
        if short and short not in body and "max_tokens" not in body:
            body[short] = 8
        if path.startswith("/v1/responses"):
            body.setdefault("input", "Hi")
        for key in ("training_file", "validation_file"):
            if key in body:
                body[key] = make("file")
        if "input_file_id" in body:
            body["input_file_id"] = make("batch_file")
        if "part_ids" in body:
            part, md5 = self.upstream.part_of(path.split("/")[-2])
            body |= {"part_ids": [part]} | ({"md5": md5} if "md5" in body else {})
        if "previous_response_id" in body:
            body["previous_response_id"] = make("response")
        return body

    def _answer(self, answer: Any) -> None:
        self.send_response(answer.status)
        for name in ("Content-Type", "x-request-id", "Retry-After"):
            if answer.headers.get(name):
                self.send_header(name, answer.headers[name])
        data = answer.read()
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    # The names that http.server looks for.
    do_GET = do_POST = do_DELETE = do_PUT = _pass_on  # noqa: N815

    def log_message(self, *words: Any) -> None:
        """Silence: pytest says what failed."""


if __name__ == "__main__":
    Handler.upstream = Upstream(sys.argv[1], sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[3])), Handler).serve_forever()
