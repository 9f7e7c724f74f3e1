"""A Ray cluster on one machine: a head and nodes, each in a network namespace with its own /tmp.

For: `bench cluster`, and the tests of real clusters. It needs root on Linux, `ip` and `unshare`,
and Ray in an environment of its own. A node can be killed with all that runs on it, or be cut off
from the others and go on computing. Not for: clusters that somebody works with.

    with RayCluster(ray, folder, nodes=4) as cluster: cluster.kill("n1")
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2

from helpers.backend.executors.interface import ANSWERER, TRAINER
from helpers.bench.cluster_server import until

NET, HERE, HEAD = "10.77.0", "10.77.0.1", "10.77.0.2"
ADDRESS = f"{HEAD}:8265"
BRIDGE = "wbray0"
GCS = f"{HEAD}:6379"
HEAD_WORDS = (
    "--head", f"--node-ip-address={HEAD}", "--port=6379", "--num-cpus=0",
    "--dashboard-host=0.0.0.0", "--dashboard-port=8265",
)  # fmt: skip
STORE_BYTES = "78643200"
SECONDS = 600
"""For a head or a node to come up."""
CGROUP = Path("/sys/fs/cgroup")
PERIOD = 100_000
"""Microseconds over which a node's share of the processors is counted."""


def possible() -> bool:
    """Whether this machine lets us make network namespaces."""
    tools = all(shutil.which(name) for name in ("ip", "unshare", "mount"))
    if not tools or os.name != "posix" or os.geteuid():
        return False
    made = subprocess.run(["ip", "netns", "add", "wbtry"], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", "wbtry"], capture_output=True, check=False)
    return made.returncode == 0


class RayCluster:
    """A head without processors, and nodes of one each.

    `share`: how much of a processor a node really has, where the machine has fewer than there are
    nodes. `seen`: folders below /tmp that all nodes see as they are here. `words`: variables of
    the nodes' environment.
    """

    def __init__(
        self,
        ray: Path,
        folder: Path,
        *,
        nodes: int,
        share: float | None = None,
        seen: Sequence[Path] = (),
        words: Mapping[str, str] | None = None,
    ) -> None:
        self.ray, self.folder, self._share = ray, folder, share
        self._seen = [ray.parents[1], *seen]
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
        self.env |= words or {}
        self._blocks: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> RayCluster:
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{HERE}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        try:
            self.add("head")
            until(lambda: self.ask("/api/version") or self._again("head"), SECONDS)
            for name in self.names:
                # One after the other: Ray gives a node 30 s to come up, whatever else runs here.
                self.add(name)
                self.wait_for(name)
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
        if name == "head":
            self._start(name, 2, HEAD_WORDS)
            return
        number = 10 + int(name[1:])
        place = [f"--address={GCS}", f"--node-ip-address={NET}.{number}"]
        self._start(name, number, [*place, "--num-cpus=1"])

    def wait_for(self, name: str) -> None:
        """Until a node that was added takes jobs."""
        place = f"{NET}.{10 + int(name[1:])}"
        until(lambda: place in self.alive() or self._again("head") or self._again(name), SECONDS)

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
        if self._share:
            with contextlib.suppress(OSError):
                _cgroup(space).rmdir()

    def set_share(self, share: float | None) -> None:
        """Give each node that runs so much of a processor; None for as much as it can take."""
        for name in self._blocks.keys() - {"head"}:
            _limited(f"wb-{name}", share)

    def cut_off(self, name: str) -> None:
        """Take the network from a node; what runs there goes on, and a shared folder is seen."""
        _ip("link", "set", f"wb-{name}", "down")

    def ask(self, path: str) -> Any:
        """What the head answers; None while it does not."""
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            answer = httpx2.get(
                f"http://{ADDRESS}{path}", headers=headers, timeout=10, trust_env=False
            )
        except httpx2.HTTPError:
            return None
        return answer.json() if answer.status_code == 200 else None

    def alive(self) -> list[str]:
        """Addresses of the nodes that the head counts as alive, and that take jobs."""
        found = self.ask("/nodes?view=summary")
        nodes = ((found or {}).get("data") or {}).get("summary") or []
        rays = [node.get("raylet") or {} for node in nodes]
        found = [one["nodeManagerAddress"] for one in rays if one.get("state") == "ALIVE"]
        return [place for place in found if place != HEAD]

    def submissions(self) -> list[str]:
        """Names of all runs that were ever handed in."""
        return [job["submission_id"] for job in self.ask("/api/jobs/") or ()]

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
            if {TRAINER.encode(), ANSWERER.encode()} & set(words):
                return True
        return False

    def _again(self, name: str) -> bool:
        """Start again what gave up while the machine was busy."""
        if self._blocks[name].poll() is not None:
            self.kill(name)
            self.add(name)
        return False

    def _start(self, name: str, number: int, words: Sequence[str]) -> None:
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
        script = " && ".join([*self._inside(own / "tmp"), 'exec "$@"'])
        command = ["ip", "netns", "exec", space, "unshare", "-m", "sh", "-c", script, "sh", *ray]
        if self._share and name != "head":
            # Out here: what `ip` starts has a /sys of its own, without groups of processes.
            group = shlex.quote(str(_limited(space, self._share) / "cgroup.procs"))
            command = ["sh", "-c", f'echo $$ > {group} && exec "$@"', "sh", *command]
        with (own / "ray.log").open("ab") as log:
            # In the root: a folder below /tmp is hidden from the node by its own, and Ray's
            # dashboard, which goes there again, then never comes up.
            self._blocks[name] = subprocess.Popen(
                command, env=self.env, stdout=log, stderr=log, cwd="/", start_new_session=True
            )

    def _inside(self, tmp: Path) -> list[str]:
        """What the shell of a node does before Ray starts."""
        lines = []
        for path in self._seen:
            if path.is_relative_to("/tmp"):
                target = shlex.quote(str(tmp / path.relative_to("/tmp")))
                lines += [f"mkdir -p {target}", f"mount --bind {shlex.quote(str(path))} {target}"]
        # A /tmp of its own: nodes of a real cluster share no disk.
        return [*lines, f"mount --rbind {shlex.quote(str(tmp))} /tmp"]


def _limited(name: str, share: float | None) -> Path:
    """A group of processes that gets so much of a processor and no more."""
    place = _cgroup(name)
    place.mkdir(exist_ok=True)
    if (place / "cpu.max").exists():
        quota = "max" if share is None else str(int(share * PERIOD))
        (place / "cpu.max").write_text(f"{quota} {PERIOD}")
    else:
        (place / "cpu.cfs_period_us").write_text(str(PERIOD))
        quota = "-1" if share is None else str(int(share * PERIOD))
        (place / "cpu.cfs_quota_us").write_text(quota)
    return place


def _cgroup(name: str) -> Path:
    """Where such a group stands: below that of this process, or of all in the newer form."""
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, kinds, place = line.split(":", 2)
        if "cpu" in kinds.split(","):
            return CGROUP / "cpu" / place.lstrip("/") / name
    return CGROUP / name


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True)
