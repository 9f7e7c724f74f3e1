"""Forty jobs on a Ray cluster, nodes and servers that are killed, and what Ray costs.

For: `python3 -m helpers bench cluster`, on Linux as root: head and nodes are network namespaces of
this machine, and each node gets `SHARE` of a processor, since four nodes of a whole one would
outnumber a small machine's. Not for: the speed of training, see `training`; the base is tiny.

    with measuring(root) as measurements:
        measurements["cluster-jobs"]()
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from helpers.backend.finetune.queue import ELSEWHERE
from helpers.base import settings
from helpers.base.errors import CourseError
from helpers.bench.cluster_server import OVER, PATIENCE, ServerApart, until
from helpers.bench.measurements import BenchRow, Measurement
from helpers.bench.ray_cluster import ADDRESS, RayCluster, possible
from helpers.legacy import environments

NAMES = (
    "cluster-overhead",
    "cluster-jobs",
    "cluster-node-killed",
    "cluster-server-killed",
    "cluster-server-killed-local",
)
SHARE = 0.4
"""Of a processor, for each node: four of them leave a machine with two some for all else."""
EPOCHS = 8
MOMENT = 8.0
"""Seconds within which a random moment lies."""


@dataclass(frozen=True)
class Sizes:
    """How much is done; a trial run takes less."""

    jobs: int = 40
    alone: int = 10
    """Of them, one after the other; their time is multiplied."""
    nodes: int = 4
    node_kills: int = 10
    server_kills: int = 20
    runs: int = 3
    """Jobs of which the median counts."""


@contextmanager
def measuring(root: Path, sizes: Sizes | None = None) -> Iterator[Mapping[str, Measurement]]:
    """All measurements of this group; the cluster is started when the first one needs it.

    Raises `CourseError` where this machine makes no network namespaces.
    """
    if not possible():
        fix = "run it as root on Linux, with the programs ip and unshare"
        raise CourseError("no cluster can be made of this machine", fix=fix)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="workbook-cluster-")))
        bench = ClusterBench(root, folder, stack, sizes or Sizes())
        yield {
            name: getattr(bench, name.removeprefix("cluster-").replace("-", "_")) for name in NAMES
        }


class ClusterBench:
    """The measurements; cluster and reference are made once."""

    def __init__(self, root: Path, folder: Path, stack: ExitStack, sizes: Sizes) -> None:
        self._root, self._folder, self._stack, self._sizes = root, folder, stack, sizes
        # The same moments each time.
        self._draw = random.Random(1)
        self._servers = 0

    @cached_property
    def _cluster(self) -> RayCluster:
        config = settings.load()
        place = (config.environments or config.state) / "peers" / "ray"
        pins = self._root / "tests" / "peers" / "pins" / "ray.txt"
        ray = environments.ensure(place, pins).with_name("ray")
        exchange = self._folder / "exchange"
        exchange.mkdir()
        seen = [exchange, Path(sys.prefix), self._root]
        made = RayCluster(ray, self._folder, nodes=self._sizes.nodes, share=SHARE, seen=seen)
        return self._stack.enter_context(made)

    @contextmanager
    def _server(self, *, cluster: bool, at_once: int | None = None) -> Iterator[ServerApart]:
        words = {"WORKBOOK_JOBS": str(at_once)} if at_once else {}
        if cluster:
            words |= {
                "WORKBOOK_EXECUTOR": f"ray://{ADDRESS}",
                "WORKBOOK_EXCHANGE": str(self._folder / "exchange"),
                "WORKBOOK_NODE_PYTHON": sys.executable,
                "WORKBOOK_NODE_THREADS": "1",
                "RAY_AUTH_TOKEN": self._cluster.token,
            }
        self._servers += 1
        folder = self._folder / f"server-{self._servers}"
        folder.mkdir()
        with ServerApart(folder, **words) as made:
            yield made

    @cached_property
    def _here(self) -> tuple[float, str]:
        """Seconds of a job on this machine, and the SHA-256 of its adapter."""
        with self._server(cluster=False) as server:
            return self._seconds_of_one(server), _adapters(server, _jobs(server))[0]

    def _seconds_of_one(self, server: ServerApart) -> float:
        taken = []
        for _ in range(self._sizes.runs + 1):
            begun = time.perf_counter()
            server.wait(server.submit(epochs=EPOCHS).id)
            taken.append(time.perf_counter() - begun)
        # The first one also pays for what is made once.
        return statistics.median(taken[1:])

    def overhead(self) -> BenchRow:
        here, _ = self._here
        # As much of a processor as a job takes here: the share would be measured, and not Ray.
        self._cluster.set_share(None)
        with self._server(cluster=True) as server:
            there = self._seconds_of_one(server)
        self._cluster.set_share(SHARE)
        what = f"a job through Ray: {there:.1f} s; without: {here:.1f} s. The difference"
        more = there - here
        return BenchRow("cluster-overhead", what, "s", more, aim="at most 10", holds=more <= 10)

    def jobs(self) -> BenchRow:
        sizes = self._sizes
        with self._server(cluster=True, at_once=1) as server:
            one_by_one = self._all(server, sizes.alone) * sizes.jobs / sizes.alone
        with self._server(cluster=True) as server:
            together = self._all(server, sizes.jobs)
        what = (
            f"{sizes.jobs} jobs on {sizes.nodes} nodes of {SHARE:g} processors each, beside one "
            f"after the other there ({sizes.alone} were run, their time taken "
            f"{sizes.jobs / sizes.alone:g} times)"
        )
        aim = 0.8 * sizes.nodes
        return BenchRow(
            "cluster-jobs",
            what,
            "s",
            together,
            theirs=one_by_one,
            aim=f"ratio at least {aim:g}",
            holds=one_by_one / together >= aim,
        )

    def _all(self, server: ServerApart, number: int) -> float:
        """Seconds until so many jobs are over."""
        begun = time.perf_counter()
        keys = [server.submit(epochs=EPOCHS).id for _ in range(number)]
        good = [key for key in keys if server.wait(key, PATIENCE * 4).status == "succeeded"]
        assert len(good) == number, f"{number - len(good)} of {number} jobs failed"
        return time.perf_counter() - begun

    def node_killed(self) -> BenchRow:
        """One job for each kill; a node comes back before the next one is killed."""
        kills = self._sizes.node_kills
        with self._server(cluster=True) as server:
            keys = [server.submit(epochs=EPOCHS).id for _ in range(kills)]
            killed = 0
            while killed < kills:
                if _over(server, keys):
                    keys.append(server.submit(epochs=EPOCHS).id)
                until(lambda: self._cluster.busy() or _over(server, keys), PATIENCE)
                time.sleep(self._draw.uniform(0, MOMENT))
                if busy := self._cluster.busy():
                    self._kill(self._draw.choice(busy))
                    killed += 1
            said = f"a node was killed {killed} times"
            return self._kept(server, keys, "cluster-node-killed", said)

    def _kill(self, name: str) -> None:
        self._cluster.kill(name)
        self._cluster.add(name)
        self._cluster.wait_for(name)

    def server_killed(self) -> BenchRow:
        with self._server(cluster=True) as server:
            keys, killed = self._kill_server(server)
            name = "cluster-server-killed"
            row = self._kept(server, keys, name, f"the server was killed {killed} times")
            lost = sum(server.events(key).count(ELSEWHERE) for key in keys)
        runs = [one for one in self._cluster.submissions() if any(key in one for key in keys)]
        # One for each job, and one more for each time that its node was lost.
        twice = len(runs) - len(keys) - lost
        what = f"{row.what}; runs handed in twice: {twice}"
        holds = bool(row.holds) and not twice
        return BenchRow(name, what, row.unit, row.ours, aim=row.aim, holds=holds)

    def server_killed_local(self) -> BenchRow:
        with self._server(cluster=False) as server:
            keys, killed = self._kill_server(server)
            said = f"the server was killed {killed} times, its jobs on this machine"
            return self._kept(server, keys, "cluster-server-killed-local", said)

    def _kill_server(self, server: ServerApart) -> tuple[list[str], int]:
        """Kill it at random moments as long as jobs run; the jobs, and how many times."""
        kills, killed = self._sizes.server_kills, 0
        keys = [server.submit(epochs=EPOCHS).id for _ in range(max(1, kills // 2))]
        while killed < kills:
            if _over(server, keys):
                keys.append(server.submit(epochs=EPOCHS).id)
            time.sleep(self._draw.uniform(0, MOMENT))
            server.kill()
            killed += 1
            server.start()
        return keys, killed

    def _kept(self, server: ServerApart, keys: Sequence[str], name: str, what: str) -> BenchRow:
        """How many jobs ended well with the adapter of an undisturbed one on this machine."""
        for key in keys:
            server.wait(key, PATIENCE * 4)
        _, wanted = self._here
        same = sum(sha256 == wanted for sha256 in _adapters(server, keys))
        return BenchRow(
            name,
            f"{what}: of {len(keys)} jobs, finished with the same adapter byte for byte",
            "jobs",
            same,
            aim=f"all {len(keys)}",
            holds=same == len(keys),
        )


def _jobs(server: ServerApart) -> list[str]:
    return [job.id for job in server.client.fine_tuning.jobs.list(limit=100)]


def _over(server: ServerApart, keys: Sequence[str]) -> bool:
    return all(server.job(key).status in OVER for key in keys)


def _adapters(server: ServerApart, keys: Sequence[str]) -> list[str]:
    """SHA-256 of the adapters of those that succeeded."""
    good = [key for key in keys if server.job(key).status == "succeeded"]
    return [server.adapter_sha256(key) for key in good]
