"""A stand-in for the Hugging Face hub that serves one folder, on this machine.

For: what is asked of huggingface_hub and what becomes of its answers; the library is the real one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

NAME, REVISION = "owner/Tiny-Qwen", "a" * 40


class Hub(BaseHTTPRequestHandler):
    """What the library asks: about a model, its tree, and its files."""

    protocol_version = "HTTP/1.1"
    folder: Path
    asked: list[str]
    gated = False

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(f"{self.command} {path}")
        if not path.startswith((f"/api/models/{NAME}", f"/{NAME}/")):
            self._refuse(404, "RepoNotFound")
        elif self.gated:
            self._refuse(403, "GatedRepo")
        elif path.startswith(f"/{NAME}/resolve/{REVISION}/"):
            self._file(self.folder / path.rpartition("/")[2])
        elif "/tree/" in path:
            self._json([self._listed(file) for file in sorted(self.folder.iterdir())])
        elif "/revision/" in path and not path.endswith((REVISION, "/main")):
            self._refuse(404, "RevisionNotFound")
        else:
            self._json(self._about())

    def _about(self) -> dict[str, Any]:
        files = sorted(self.folder.iterdir())
        siblings = [{"rfilename": file.name, "size": file.stat().st_size} for file in files]
        others = ("original/model.safetensors", "consolidated.safetensors")
        siblings += [{"rfilename": other, "size": 10**9} for other in others]
        card = {"license": "apache-2.0"}
        known = {"id": NAME, "sha": REVISION, "siblings": siblings, "cardData": card}
        return {**known, "private": False, "downloads": 0, "likes": 0, "tags": []}

    def _listed(self, file: Path) -> dict[str, Any]:
        oid = hashlib.sha1(file.read_bytes()).hexdigest()
        return {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": oid}

    def _file(self, file: Path) -> None:
        data = file.read_bytes()
        self._send(200, data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"'})

    def _json(self, body: Any) -> None:
        self._send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code})

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        headers = {"X-Repo-Commit": REVISION, "Content-Length": str(len(data)), **headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing on the screen."""


@contextlib.contextmanager
def pretended(folder: Path, *, gated: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Its address, and what it is asked."""
    asked: list[str] = []
    handler = type("OneHub", (Hub,), {"folder": folder, "asked": asked, "gated": gated})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
