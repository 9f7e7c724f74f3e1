"""A Ray cluster on one machine: a head and nodes, each in a network namespace with its own /tmp.

For: tests and `bench cluster`. It needs root on Linux, `ip` and `unshare`. A node can be killed
with all that runs on it, or be cut off from the others and go on computing.

    with RayCluster(ray, folder, nodes=4) as cluster: cluster.kill("n1")
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx2

NET, HERE, HEAD = "10.77.0", "10.77.0.1", "10.77.0.2"
ADDRESS = f"{HEAD}:8265"
BRIDGE = "wbray0"
GCS = f"{HEAD}:6379"
STORE_BYTES = "78643200"


def possible() -> bool:
    """Whether this machine lets us make network namespaces."""
    tools = all(shutil.which(name) for name in ("ip", "unshare", "mount"))
    if not tools or os.name != "posix" or os.geteuid():
        return False
    made = subprocess.run(["ip", "netns", "add", "wbtry"], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", "wbtry"], capture_output=True, check=False)
    return made.returncode == 0


class RayCluster:
    """A head without processors, and nodes with `cpus` each."""

    def __init__(
        self,
        ray: Path,
        folder: Path,
        *,
        nodes: int,
        cpus: int = 1,
        env: dict[str, str] | None = None,
    ) -> None:
        self.ray, self.folder, self.cpus = ray, folder, cpus
        self.token = secrets.token_hex(16)
        self.names = [f"n{number}" for number in range(1, nodes + 1)]
        self.env = os.environ | {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DISABLE_IMPORT_WARNING": "1",
        }  # fmt: skip
        for name in [name for name in self.env if name.startswith(("WORKBOOK_", "PYTHON"))]:
            del self.env[name]
        self._blocks: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> RayCluster:
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{HERE}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        try:
            head = ["--head", f"--node-ip-address={HEAD}", "--port=6379", "--num-cpus=0"]
            head += ["--dashboard-host=0.0.0.0", "--dashboard-port=8265"]
            self._start("head", 2, head)
            self.until(lambda: self.ask("/api/version") or self._again("head", 2, head))
            for count, name in enumerate(self.names, 1):
                # One after the other: Ray gives a node 30 s to come up, whatever else runs here.
                self.add(name)
                self.until(lambda count=count, name=name: self._came(count, name))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in [*self.names, "head"]:
            self.kill(name)
        _ip("link", "del", BRIDGE, check=False)

    def add(self, name: str) -> None:
        """Start a node, also again one that was killed."""
        number = 10 + int(name[1:])
        place = [f"--address={GCS}", f"--node-ip-address={NET}.{number}"]
        self._start(name, number, [*place, f"--num-cpus={self.cpus}"])

    def kill(self, name: str) -> None:
        """SIGKILL to everything on a node, and its network away."""
        space = f"wb-{name}"
        pids = subprocess.run(
            ["ip", "netns", "pids", space], capture_output=True, text=True, check=False
        ).stdout.split()
        if pids:
            subprocess.run(["kill", "-9", *pids], capture_output=True, check=False)
        if block := self._blocks.pop(name, None):
            block.wait(20)
        _ip("netns", "del", space, check=False)
        _ip("link", "del", f"wb-{name}", check=False)

    def cut_off(self, name: str) -> None:
        """Take the network from a node; what runs there goes on, and a shared folder is seen."""
        _ip("link", "set", f"wb-{name}", "down")

    def ask(self, path: str) -> Any:
        """What the head answers; None while it does not."""
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            answer = httpx2.get(f"http://{ADDRESS}{path}", headers=headers, timeout=5)
        except httpx2.HTTPError:
            return None
        return answer.json() if answer.status_code == 200 else None

    def alive(self) -> dict[str, list[float]]:
        """Used and total processors of each node that takes jobs, by Ray's id."""
        found = self.ask("/api/cluster_status")
        report = ((found or {}).get("data") or {}).get("clusterStatus") or {}
        nodes = (report.get("loadMetricsReport") or {}).get("usageByNode") or {}
        return {key: node["CPU"] for key, node in nodes.items() if "CPU" in node}

    def busy(self) -> list[str]:
        """Names of the nodes on which one of our programs runs."""
        return [name for name in self.names if self._runs(name)]

    def _runs(self, name: str) -> bool:
        command = ["ip", "netns", "pids", f"wb-{name}"]
        pids = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
        for pid in pids:
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"helpers.backend.training.worker" in words:
                return True
        return False

    def _came(self, count: int, name: str) -> bool:
        return len(self.alive()) >= count or self._again(name)

    def _again(self, name: str, *words: Any) -> bool:
        """Start a node again that gave up while the machine was busy."""
        if self._blocks[name].poll() is not None:
            self.kill(name)
            self._start(name, *words) if words else self.add(name)
        return False

    def until(self, seen: Any, seconds: float = 240) -> Any:
        """Wait for something to be so."""
        deadline = time.monotonic() + seconds
        while not (found := seen()):
            assert time.monotonic() < deadline, "the cluster did not come up"
            time.sleep(0.3)
        return found

    def _start(self, name: str, number: int, words: list[str]) -> None:
        space, own = f"wb-{name}", self.folder / name
        (own / "tmp").mkdir(parents=True, exist_ok=True)
        _ip("netns", "add", space)
        _ip("link", "add", f"wb-{name}", "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", f"wb-{name}", "master", BRIDGE)
        _ip("link", "set", f"wb-{name}", "up")
        _ip("-n", space, "addr", "add", f"{NET}.{number}/24", "dev", "eth0")
        _ip("-n", space, "link", "set", "eth0", "up")
        _ip("-n", space, "link", "set", "lo", "up")
        ray = [str(self.ray), "start", "--block", "--disable-usage-stats", *words]
        ray += [f"--object-store-memory={STORE_BYTES}"]
        # A /tmp of its own: nodes of a real cluster share no disk.
        script = f'mount --bind "{own}/tmp" /tmp && exec "$@"'
        command = ["ip", "netns", "exec", space, "unshare", "-m", "sh", "-c", script, "sh", *ray]
        with (own / "ray.log").open("ab") as log:
            self._blocks[name] = subprocess.Popen(
                command, env=self.env, stdout=log, stderr=log, cwd=own, start_new_session=True
            )


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True)
