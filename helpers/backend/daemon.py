"""Find the server, start it in the background, run it in the foreground, stop it.

For: `connect()` and the command line. One server for each state folder.

    address = ensure_running(settings.load())
    address.url      # "http://127.0.0.1:43121"
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import logging
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.base.errors import BackendError, CourseError
from helpers.base.files import atomic, locked, replace, write_text
from helpers.base.settings import Settings, load

if TYPE_CHECKING:
    import psutil

    from helpers.backend.service import Service
    from helpers.backend.service.limits import Limits

START_SECONDS = 180
REST_SECONDS = 10 * 60
"""A model that was not asked for so long is unloaded; the next question takes 0.5 s more."""
IDLE_SECONDS = 8 * 3600
"""A server that nobody started by hand ends itself after this long without a request or job."""
LOG_BYTES = 10 * 2**20
"""A longer log is put aside when the next server starts."""
SPIN = "2000"
"""Rounds that a thread of llama.cpp waits for the others before it gives its core away, where it
is built with GNU's OpenMP. By default it holds the core so long that, beside another busy program
on two cores, a batch of answers took more than 60 s; with this 8 to 26."""


@dataclass(frozen=True)
class Address:
    """Where the server is, and the token that opens it."""

    url: str
    """Root, without /v1."""
    token: str

    def __repr__(self) -> str:
        return f"Address({self.url})"


def ensure_running(settings: Settings) -> Address:
    """The address of the running server; it is started if there is none.

    Raises `BackendError` with the end of the log if it does not come up.
    """
    if found := find(settings):
        return found
    settings.state.mkdir(parents=True, exist_ok=True)
    # Only one process starts the server; the others wait, and then find it.
    guard = settings.state / "starting.lock"
    with locked(guard, held=_slow_start, seconds=START_SECONDS):
        # It may have come up while this process waited for the lock.
        if found := find(settings):
            return found
        spawned, present = None, _process(settings)
        deadline = time.monotonic() + START_SECONDS
        try:
            while time.monotonic() < deadline:
                if found := find(settings):
                    return found
                # One that is only slow to answer must not get a second one beside it: both
                # would run the same jobs.
                if spawned is None and (present := _process(settings)) is None:
                    spawned = _spawn(settings)
                elif spawned and spawned.poll() is not None:
                    break
                time.sleep(0.05)
        except KeyboardInterrupt:
            # It may not yet have said where it is, so that nobody could end it later.
            if spawned:
                spawned.terminate()
            raise
    raise _not_up(settings, spawned, present)


def _not_up(
    settings: Settings, spawned: subprocess.Popen[bytes] | None, present: psutil.Process | None
) -> BackendError:
    """Why nobody answers after the wait, and what to do."""
    busy = "wait until the machine is less busy"
    if spawned is None and present:
        return BackendError(
            f"the server does not answer within {START_SECONDS} s",
            fix=f"{busy}, or end process {present.pid}",
        )
    if spawned and spawned.poll() is None:
        # Nothing is wrong with it: loading took longer than anybody waits.
        return BackendError(
            f"the server is still starting after {START_SECONDS} s", fix=f"{busy}, and try again"
        )
    return BackendError(
        f"the server did not start: {_log_end(settings)}", fix="run: python3 -m helpers doctor"
    )


def _slow_start() -> BackendError:
    return BackendError("another process is starting the server", fix="try again")


def find(settings: Settings) -> Address | None:
    """The address of a server that answers for this state folder, or None."""
    try:
        known = json.loads((settings.state / "server.json").read_text(encoding="utf-8"))
        token = (settings.state / "token").read_text(encoding="utf-8").strip()
        request = urllib.request.Request(
            f"{known['url']}/v1/models", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            answer.read()
    except (OSError, ValueError, KeyError):
        return None
    return Address(known["url"], token)


def stop(settings: Settings, *, seconds: float = 10) -> bool:
    """End the server and its trainer; False if none was running. A job goes on next time."""
    import psutil

    process = _process(settings)
    if process is None:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        # Gathered before the end: afterwards nobody knows whose children they were.
        family = [process, *process.children(recursive=True)]
        process.terminate()
        _, alive = psutil.wait_procs(family, timeout=seconds)
        for left in alive:
            left.kill()
    # Another process may have started the next server meanwhile: its address stays.
    if _process(settings) is None:
        (settings.state / "server.json").unlink(missing_ok=True)
    return True


def _process(settings: Settings) -> psutil.Process | None:
    """The living process of the server that this state folder knows of, or None."""
    import psutil

    try:
        known = json.loads((settings.state / "server.json").read_text(encoding="utf-8"))
        process = psutil.Process(known["pid"])
        # The number may belong to another program since; ours carry this in their command.
        ours = any("helpers" in word for word in process.cmdline())
        return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, KeyError, psutil.Error):
        return None


def serve(
    settings: Settings,
    port: int | None = None,
    host: str = "127.0.0.1",
    *,
    idle_seconds: float | None = None,
    own_log: bool = True,
    limits: Limits | None = None,
    names: Sequence[str] = (),
    announce: Callable[[str], None] = lambda _: None,
    adopt: Callable[[Service], None] | None = None,
) -> None:
    """Run the server in this process until it is interrupted; `announce` gets its address.

    `own_log`: write what goes wrong to the log file as well, for one that was started by hand;
    what one in the background says stands there already. `limits` are those of each owner;
    `names` are host names by which others know this machine. `adopt` may give the service further
    models before the first request is taken. Raises `BackendError` if another
    server works on this state folder.
    """
    # Before llama.cpp is loaded, which reads it then. The trainer inherits it, and is as fast.
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN)
    import uvicorn

    from helpers.backend.api.connections import BoundedProtocol, ShutdownNotice

    # Held for life: two servers on one folder would both train its jobs. A lock of the
    # operating system cannot be left over, and does not depend on whether the other answers.
    with locked(settings.state / "server.lock", held=lambda: _taken(settings)):
        listener = _listen(host, port or 0)
        url = f"http://{host}:{listener.getsockname()[1]}"
        address = settings.state / "server.json"
        # Before the application is made, so that a second process sees one that is starting.
        write_text(address, json.dumps({"url": url, "pid": os.getpid()}))
        try:
            app = _app(settings, (host, *names), limits)
            if adopt:
                adopt(app.state.service)
            config = uvicorn.Config(
                ShutdownNotice(app),
                http=BoundedProtocol,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=2,
            )
            if own_log:
                _write_log(log_file(settings))
            server = uvicorn.Server(config)
            threading.Thread(
                target=_watch, args=(server, app.state.service, idle_seconds), daemon=True
            ).start()
            announce(url)
            server.run(sockets=[listener])
        finally:
            address.unlink(missing_ok=True)


def _app(settings: Settings, hosts: Sequence[str], limits: Limits | None) -> Any:
    """The application; a database that cannot be opened is said in one line."""
    from helpers.backend.api.app import LOCAL_HOSTS, create_app
    from helpers.backend.service.hub import Hub

    hub = settings.hub
    try:
        return create_app(
            settings,
            token=token_of(settings),
            hosts=(*LOCAL_HOSTS, *hosts),
            limits=limits,
            hub=Hub(hub.api_url, hub.name) if hub else None,
            prefix=hub.prefix if hub else "",
        )
    except (OSError, sqlite3.Error) as error:
        raise BackendError(
            f"the server cannot work in {settings.state}: {error}",
            fix="make room on the disk, or name another folder with WORKBOOK_STATE",
        ) from error


def _taken(settings: Settings) -> BackendError:
    try:
        known = json.loads((settings.state / "server.json").read_text(encoding="utf-8"))
        who, end = f"process {known['pid']}, {known['url']}", f"end process {known['pid']}"
    except (OSError, ValueError, KeyError):
        who, end = "it is just starting", "wait a second"
    return BackendError(
        f"another server works on {settings.state} ({who})", fix=f"use that one, or {end}"
    )


def log_file(settings: Settings) -> Path:
    """Where the server of this state folder writes what goes wrong."""
    return settings.state / "logs" / "server.log"


def _write_log(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # On a full disk each line that cannot be written would print a traceback of its own.
    logging.raiseExceptions = False
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    # uvicorn's own logger hands nothing on to the root.
    for name in (None, "uvicorn"):
        logging.getLogger(name).addHandler(handler)
    logging.getLogger().addHandler(logging.StreamHandler())


def token_of(settings: Settings) -> str:
    """The bearer token of this state folder, made at first use, readable by its owner only."""
    path = settings.state / "token"
    with contextlib.suppress(FileNotFoundError):
        # An empty one is what a full disk left of an earlier release's writing.
        if token := path.read_text(encoding="utf-8").strip():
            return token
    with atomic(path, mode=0o600) as stream:
        stream.write(f"workbook-{secrets.token_urlsafe(32)}".encode())
    return path.read_text(encoding="utf-8").strip()


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise BackendError(
            f"port {port} on {host} is taken or not allowed", fix="choose another with --port"
        ) from error


def _spawn(settings: Settings) -> subprocess.Popen[bytes]:
    """A server of its own session, so that it outlives the notebook that needed it first."""
    log_path = log_file(settings)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    if log_path.is_file() and log_path.stat().st_size > LOG_BYTES:
        replace(log_path, log_path.with_suffix(".old.log"))
    # Each platform's way to cut a process loose from its parent's terminal.
    detached: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        detached = {"creationflags": flags}
    with log_path.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "helpers.backend.daemon"],
            cwd=settings.root,
            env=os.environ | {"WORKBOOK_STATE": str(settings.state)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **detached,
        )


def _log_end(settings: Settings) -> str:
    try:
        text = log_file(settings).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "no log"
    return text.strip().splitlines()[-1] if text.strip() else "the log is empty"


def _watch(server: Any, service: Service, end_after: float | None) -> None:
    """Be modest: leave cores to others, give the memory of unused models back, and end a server
    that nobody needs any more."""
    from helpers.backend.inference.cpu_load import Neighbours

    neighbours = Neighbours(service.settings.threads)
    while not server.should_exit:
        time.sleep(1)
        service.engine.rest(REST_SECONDS)
        service.engine.share_cores(neighbours.crowd(), why="neighbours")
        if service.job_queue.busy or service.batch_queue.waiting:
            service.used()
        idle = time.monotonic() - service.last_used
        if end_after and idle > end_after:
            server.should_exit = True


if __name__ == "__main__":
    # A crash inside llama.cpp would otherwise leave an empty log.
    faulthandler.enable()
    try:
        serve(load(), idle_seconds=IDLE_SECONDS, own_log=False)
    except CourseError as error:
        sys.exit(f"error: {error}")
