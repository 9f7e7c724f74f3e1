"""Ray's Jobs interface as `ray_client` uses it, without nodes: a test says how jobs fare.

For: what the server decides. What a real cluster does, see `tests/peers/test_ray.py`.

    with pretended_ray() as ray: RayClient(ray.url, ray.token)
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "a-token-of-ray"
UNKNOWN = {"driver_exit_code": None, "error_type": None, "message": ""}


@dataclass
class PretendedRay:
    """What a test sees and sets."""

    url: str = ""
    token: str = TOKEN
    open_to_all: bool = False
    answers: bool = True
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    submitted: list[dict[str, Any]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    packages: dict[str, bytes] = field(default_factory=dict)
    nodes: list[list[float]] = field(default_factory=lambda: [[0.0, 1.0], [0.0, 1.0]])

    def end(self, key: str, status: str, **more: Any) -> None:
        """Let a job end."""
        self.jobs[key] = UNKNOWN | {"status": status} | more

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Status and body, as Ray 2.60 gives them."""
        parts = path.strip("/").split("/")
        if parts[1] == "version":
            return 200, {"ray_version": "2.60.0"}
        if parts[1] == "cluster_status":
            usage = {str(i): {"CPU": cpu} for i, cpu in enumerate(self.nodes)} | {"head": {}}
            report = {"loadMetricsReport": {"usageByNode": usage}}
            return 200, {"data": {"clusterStatus": report}}
        if parts[1] == "packages":
            if method == "PUT":
                self.packages[parts[-1]] = body
            return (200, {}) if parts[-1] in self.packages else (404, {})
        return self._job(method, parts, body)

    def _job(self, method: str, parts: list[str], body: bytes) -> tuple[int, Any]:
        if method == "POST" and len(parts) == 2:
            given = json.loads(body)
            key = given["submission_id"]
            if key in self.jobs:
                return 500, f"ValueError: Job with submission_id {key} already exists."
            self.submitted.append(given)
            self.jobs[key] = UNKNOWN | {"status": "PENDING"}
            return 200, {"submission_id": key}
        if parts[2] not in self.jobs:
            return 404, f"Job {parts[2]} does not exist"
        if method == "POST":
            self.stopped.append(parts[2])
            return 200, {"stopped": True}
        return 200, self.jobs[parts[2]]


@contextlib.contextmanager
def pretended_ray() -> Iterator[PretendedRay]:
    """It answers on a port of this machine until the end of the block."""
    ray = PretendedRay()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            known = self.headers.get("authorization") == f"Bearer {TOKEN}" or ray.open_to_all
            status, said = ray.answer(self.command, self.path, body) if known else (401, "no")
            if not ray.answers:
                status, said = 503, "not now"
            data = (said if isinstance(said, str) else json.dumps(said)).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _any  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    ray.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield ray
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
