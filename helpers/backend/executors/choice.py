"""Which executor the settings ask for.

For: the service, once at its start, and `doctor`.

    executor = choose_executor(settings.load())
    executor.describe()     # "processes on this machine, 1 at a time"
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from helpers.backend.executors.exchange import Exchange
from helpers.backend.executors.interface import Executor
from helpers.backend.executors.local import LocalExecutor
from helpers.backend.executors.ray_client import RayClient, Unreachable, address_of
from helpers.backend.executors.ray_jobs import RayExecutor
from helpers.base.errors import BackendError
from helpers.base.settings import Settings


def choose_executor(
    settings: Settings,
    cores: threading.Lock | None = None,
    share_cores: Callable[[bool], None] = lambda _: None,
) -> Executor:
    """Processes here, or a cluster. Raises `BackendError` where a cluster's setting lacks."""
    if settings.executor is None:
        at_once = settings.jobs_at_once or 1
        return LocalExecutor(settings.root, at_once=at_once, cores=cores, share_cores=share_cores)
    return RayExecutor(
        ray_client(settings),
        exchange_of(settings),
        root=settings.root,
        python=settings.node_python,
        threads=settings.job_threads,
        at_once=settings.jobs_at_once,
    )


def offers(settings: Settings) -> str:
    """What the cluster of the settings has, as a line. Raises `BackendError` with the remedy."""
    ray, exchange = ray_client(settings), exchange_of(settings)
    try:
        if not ray.is_guarded():
            raise BackendError(
                f"{ray.address} takes programs from anybody who reaches it",
                fix="start Ray with RAY_AUTH_MODE=token on all nodes",
            )
        version, nodes = ray.version(), ray.nodes()
    except Unreachable as error:
        fix = "look whether the head runs, and whether RAY_AUTH_TOKEN is its token"
        raise BackendError(str(error), fix=fix) from error
    try:
        exchange.put("doctor", b"x")
        exchange.remove("doctor")
    except OSError as error:
        fix = "look at WORKBOOK_EXCHANGE, and at AWS_ACCESS_KEY_ID for S3"
        raise BackendError(f"the exchange cannot be written: {error}", fix=fix) from error
    places = sum(int(node.total // settings.job_threads) for node in nodes)
    used = sum(node.used for node in nodes)
    return (
        f"Ray {version} at {ray.address}, a token needed: {len(nodes)} nodes, "
        f"{used:.0f} of {sum(node.total for node in nodes):.0f} processors in use, "
        f"room for {places} jobs of {settings.job_threads}; exchange writable"
    )


def ray_client(settings: Settings) -> RayClient:
    """The cluster that the settings name."""
    address = address_of(settings.executor or "")
    if not settings.ray_token:
        raise BackendError(
            f"no token for the Ray cluster at {address}",
            fix="set RAY_AUTH_TOKEN here, and RAY_AUTH_MODE=token with it on all nodes",
        )
    return RayClient(address, settings.ray_token)


def exchange_of(settings: Settings) -> Exchange:
    """Where files of jobs travel through."""
    if not settings.exchange:
        raise BackendError(
            "WORKBOOK_EXCHANGE is not set, and jobs are to run elsewhere",
            fix="name a folder that all nodes see, or s3://BUCKET/PREFIX?endpoint_override=…",
        )
    return Exchange.at(settings.exchange)
