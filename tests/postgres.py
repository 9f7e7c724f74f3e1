"""A PostgreSQL of the tests' own, from Debian's package, on a socket in its own folder.

It listens on no port. Run by root, it runs as the user `postgres`, since it refuses root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

USER = "postgres"
DEBIAN = "/usr/lib/postgresql"


def _program(name: str) -> str:
    """The newest that Debian's packages brought, or the one on the PATH."""
    found = sorted(Path(DEBIAN).glob(f"*/bin/{name}"))
    program = str(found[-1]) if found else shutil.which(name)
    if program is None:
        pytest.skip(f"no {name} here: apt install postgresql")
    return program


class Cluster:
    """A running PostgreSQL; each `new` place in it is empty."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._made = folder, 0

    def _run(self, *words: str) -> None:
        # pg_ctl leaves a process that would hold a pipe open for ever.
        with (self.folder / "said").open("ab") as said:
            subprocess.run(words, check=True, stdout=said, stderr=said, **_as_user())

    def start(self) -> None:
        # Nothing here must outlive a power cut.
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=50"
        log, data = str(self.folder / "log"), str(self.folder / "data")
        self._run(_program("pg_ctl"), "-D", data, "-l", log, "-w", "-o", options, "start")

    def stop(self, how: str = "immediate") -> None:
        self._run(_program("pg_ctl"), "-D", str(self.folder / "data"), "-m", how, "-w", "stop")

    def make(self) -> None:
        words = ("-U", USER, "--auth=trust", "-E", "UTF8", "--no-sync", "--no-locale")
        self._run(_program("initdb"), "-D", str(self.folder / "data"), *words)

    def new(self) -> str:
        """The address of an empty place: a schema, which is made sooner than a database."""
        import psycopg

        self._made += 1
        name, address = f"course{self._made}", f"postgresql:///postgres?host={self.folder}"
        address += f"&user={USER}"
        with psycopg.connect(address, autocommit=True) as db:
            db.execute(f"CREATE SCHEMA {name}".encode())
        return f"{address}&options=-csearch_path%3D{name}"


def _as_user() -> dict[str, Any]:
    if os.name == "posix" and os.getuid() == 0:
        return {"user": USER, "group": USER, "extra_groups": []}
    return {}


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """One that ends with the block; the test is skipped where the packages are not there."""
    pytest.importorskip("psycopg", reason='no psycopg here: pip install "psycopg[binary]"')
    _program("initdb")
    # Not below pytest's folder, which another user cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="workbook-postgres-"))
    if _as_user():
        shutil.chown(folder, USER, USER)
    found = Cluster(folder)
    try:
        found.make()
        found.start()
        yield found
        found.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
