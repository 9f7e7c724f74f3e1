"""Ray's Jobs interface over HTTP: submit, ask, stop; and what nodes are free.

For: `ray_jobs` and `doctor`. Not for: tasks, actors or data; the Ray package is not needed here.
Written for Ray 2.60, https://docs.ray.io/en/latest/cluster/running-applications/job-submission/

    ray = RayClient("http://10.0.0.5:8265", token)
    ray.submit("ftjob-a-1", "python train.py", cpus=2, package="_ray_pkg_ab.zip")
    ray.job("ftjob-a-1").status
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from helpers.base.errors import BackendError

PORT = 8265
SECONDS = 10
OVER = ("SUCCEEDED", "FAILED", "STOPPED")


class Unreachable(Exception):
    """The cluster does not answer, or not as it should; it may do so later."""


@dataclass(frozen=True)
class RayJob:
    """What Ray says of a job."""

    status: str
    code: int | None
    """Of the entry point, if that has run to its end."""
    error: str | None
    """Ray's kind of error."""
    message: str

    @property
    def over(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.status in OVER


@dataclass(frozen=True)
class RayNode:
    """A node's processors, as Ray counts them."""

    total: float
    used: float


def address_of(executor: str) -> str:
    """The Jobs address that `WORKBOOK_EXECUTOR` names, as http:// or https://."""
    scheme, _, rest = executor.partition("://")
    host = rest.rstrip("/")
    if scheme not in ("ray", "http", "https") or not host:
        raise BackendError(
            f"WORKBOOK_EXECUTOR is {executor!r}",
            fix="leave it out for this machine, or set ray://HOST:8265 or https://HOST",
        )
    if scheme == "ray":
        # Behind "]", if there is one: an IPv6 address such as [::1] has colons of its own.
        return f"http://{host}" if ":" in host.rpartition("]")[2] else f"http://{host}:{PORT}"
    return f"{scheme}://{host}"


class RayClient:
    """One cluster."""

    def __init__(self, address: str, token: str) -> None:
        self.address, self._token = address, token
        headers = {"Authorization": f"Bearer {token}"}
        # Nobody's proxy: a cluster is in one's own network, and the token is for it alone.
        self._http = httpx2.Client(
            base_url=address, headers=headers, timeout=SECONDS, trust_env=False
        )

    def is_guarded(self) -> bool:
        """Whether the cluster refuses who has no token. Raises `Unreachable`."""
        try:
            answer = httpx2.get(f"{self.address}/api/version", timeout=SECONDS, trust_env=False)
        except httpx2.HTTPError as error:
            raise Unreachable(f"{self.address}: {error}") from error
        return answer.status_code in (401, 403)

    def version(self) -> str:
        """Ray's version. Raises `Unreachable`, also where the token is not the cluster's."""
        return str(self._ask("GET", "/api/version").json()["ray_version"])

    def job(self, key: str) -> RayJob | None:
        """A job; None where Ray does not know it."""
        answer = self._ask("GET", f"/api/jobs/{key}", missing=True)
        if answer.status_code == 404:
            return None
        body = answer.json()
        return RayJob(
            body["status"], body["driver_exit_code"], body["error_type"], body["message"] or ""
        )

    def submit(self, key: str, entrypoint: str, *, cpus: int, package: str) -> None:
        """Hand in a job under a name of ours; one that is there already stays the only one."""
        body = {
            "submission_id": key,
            "entrypoint": entrypoint,
            "entrypoint_num_cpus": cpus,
            "runtime_env": {"working_dir": f"gcs://{package}"},
        }
        try:
            self._ask("POST", "/api/jobs/", json=body)
        except Unreachable:
            # Also what it says of a name that is taken; an answer may have been lost.
            if self.job(key) is None:
                raise

    def stop(self, key: str) -> None:
        """End a job: SIGTERM, and SIGKILL 3 s later."""
        self._ask("POST", f"/api/jobs/{key}/stop", missing=True)

    def keep_package(self, name: str, make: Callable[[], bytes]) -> None:
        """See to it that Ray has a package of code, which it unpacks on nodes."""
        place = f"/api/packages/gcs/{name}"
        if self._ask("GET", place, missing=True).status_code == 404:
            self._ask("PUT", place, content=make())

    def nodes(self) -> list[RayNode]:
        """The nodes that take jobs: a head without processors is none."""
        body = self._ask("GET", "/api/cluster_status").json()
        report = (body["data"]["clusterStatus"] or {}).get("loadMetricsReport") or {}
        found = [node.get("CPU") for node in (report.get("usageByNode") or {}).values()]
        # Ray gives a pair, used and total; a node without processors has no entry.
        return [RayNode(total=cpu[1], used=cpu[0]) for cpu in found if cpu]

    def _ask(self, method: str, path: str, *, missing: bool = False, **more: Any) -> Any:
        try:
            answer = self._http.request(method, path, **more)
        except httpx2.HTTPError as error:
            raise Unreachable(f"{self.address}: {error or type(error).__name__}") from error
        if answer.status_code in (401, 403):
            raise Unreachable(f"{self.address} refuses the token in RAY_AUTH_TOKEN")
        if answer.status_code >= 400 and not (missing and answer.status_code == 404):
            # The last line of a traceback.
            said = answer.text.strip().splitlines()[-1:] or [""]
            raise Unreachable(f"{self.address} says {answer.status_code}: {said[0][:200]}")
        return answer
