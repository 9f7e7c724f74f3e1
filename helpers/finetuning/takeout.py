"""Bring home what an account holds, before a platform closes.

For: files, fine-tuning jobs with their events, checkpoints and result files, and stored
completions, from any endpoint that speaks OpenAI's API. It goes on where it was stopped, and
a manifest says what was fetched, with hashes. Not for: a hosted model's weights, which nobody
gets.

    done = takeout(client, "my_account")
    print(done)
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.base.errors import DataError
from helpers.base.files import write_bytes

if TYPE_CHECKING:
    from openai import OpenAI

MANIFEST = "manifest.json"
NOTE_EVERY = 1.0
"""Seconds between two notes of what came: what a kill may cost at most."""
# "file-abc/../x" becomes "file-abc_.._x": what an endpoint names must stay in the folder.
_NAME = re.compile(r"[^A-Za-z0-9._-]")


@dataclass
class Takeout:
    """What was fetched, what was there already, and what could not be had."""

    folder: Path
    fetched: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Why, by what was asked for."""

    def __str__(self) -> str:
        head = f"{len(self.fetched)} fetched, {len(self.kept)} already there"
        lines = [f"{head}, {len(self.missing)} not to be had: {self.folder.name}"]
        return "\n".join([*lines, *(f"  {what}: {why}" for what, why in self.missing.items())])


def takeout(client: OpenAI, folder: str | Path) -> Takeout:
    """Fetch everything into `folder`; what stands there with its hash is not fetched again.

    What the endpoint refuses (a file of a purpose that may not be downloaded, an address that
    it does not have) is named in the result and in the manifest. A connection that breaks, a
    wrong key and a busy service raise the client's own error: run it again, and it goes on.
    Raises `DataError` where the folder's manifest cannot be read.
    """
    run = _Run(client, Path(folder))
    complete = False
    try:
        run.files()
        run.jobs()
        run.completions()
        complete = True
    finally:
        run.write_manifest(complete=complete)
    return run.done


class _Run:
    """One run: the manifest so far, and what it adds."""

    def __init__(self, client: OpenAI, folder: Path) -> None:
        self.client, self.folder = client, folder
        self.done = Takeout(folder)
        self.hashes = _read_manifest(folder)
        self.noted = 0.0

    def files(self) -> None:
        for file in self.listed("the list of files", lambda: self.client.files.list()):
            self.json(f"files/{_safe(file.id)}.json", file.to_dict())
            self.content(file.id, file.filename)

    def jobs(self) -> None:
        jobs = self.client.fine_tuning.jobs
        for job in self.listed("the list of jobs", lambda: jobs.list()):
            place = f"jobs/{_safe(job.id)}"
            # A job that still runs changes: it is written anew each time.
            self.json(f"{place}/job.json", job.to_dict())
            self.lines(
                f"{place}/events.jsonl",
                f"events of {job.id}",
                lambda j=job: jobs.list_events(j.id),  # type: ignore[misc]
            )
            self.lines(
                f"{place}/checkpoints.jsonl",
                f"checkpoints of {job.id}",
                lambda j=job: jobs.checkpoints.list(j.id),  # type: ignore[misc]
            )
            for file_id in (job.training_file, job.validation_file, *job.result_files):
                if file_id:
                    self.content(file_id, "")

    def completions(self) -> None:
        chats = self.client.chat.completions
        for one in self.listed("stored completions", lambda: chats.list()):
            place = f"completions/{_safe(one.id)}"
            self.json(f"{place}.json", one.to_dict())
            # What was asked never changes: thousands of lists need not be asked for twice.
            if self.has(f"{place}.messages.jsonl"):
                continue
            self.lines(
                f"{place}.messages.jsonl",
                f"messages of {one.id}",
                lambda o=one: chats.messages.list(o.id),  # type: ignore[misc]
            )

    def listed(self, what: str, ask: Callable[[], Iterable[Any]]) -> Iterator[Any]:
        """Everything of a list, page by page; a list that is refused is empty, and named."""
        from openai import BadRequestError, NotFoundError, PermissionDeniedError

        try:
            yield from ask()
        except (NotFoundError, BadRequestError, PermissionDeniedError) as error:
            self.done.missing[what] = _why(error)

    def content(self, file_id: str, name: str) -> None:
        """The bytes of a file, once."""
        from openai import BadRequestError, NotFoundError, PermissionDeniedError

        place = f"files/{_safe(file_id)}.content"
        # Content never changes under its id, so that what is here is not fetched again.
        if self.has(place):
            return
        try:
            data = self.client.files.content(file_id).read()
        except (NotFoundError, BadRequestError, PermissionDeniedError) as error:
            # OpenAI gives out no content of some purposes; the rest of the account is still worth
            # having.
            self.done.missing[f"{file_id} {name}".strip()] = _why(error)
            return
        self.keep(place, data)

    def json(self, place: str, value: Any) -> None:
        self.keep(place, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())

    def lines(self, place: str, what: str, ask: Callable[[], Iterable[Any]]) -> None:
        found = self.listed(what, ask)
        rows = [json.dumps(value.to_dict(), ensure_ascii=False) + "\n" for value in found]
        # What is refused now may have been given to an earlier run, and that stays.
        if what not in self.done.missing:
            self.keep(place, "".join(rows).encode())

    def keep(self, place: str, data: bytes) -> None:
        """Write a file whole, and note it: a run that is stopped goes on from here."""
        digest = hashlib.sha256(data).hexdigest()
        same = self.hashes.get(place) == digest and self.is_intact(place)
        (self.done.kept if same else self.done.fetched).append(place)
        if not same:
            path = self.folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, data)
            self.hashes[place] = digest
            # Not for each file: the manifest of a large account is long. After a kill, what came
            # since is there without a hash, and fetched again.
            if time.monotonic() - self.noted > NOTE_EVERY:
                self.write_manifest(complete=False)

    def has(self, place: str) -> bool:
        """Whether a file of an earlier run, or of this one, is there as it came."""
        found = place in self.hashes and self.is_intact(place)
        if found and place not in (*self.done.kept, *self.done.fetched):
            self.done.kept.append(place)
        return found

    def is_intact(self, place: str) -> bool:
        path = self.folder / place
        known = self.hashes.get(place)
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == known

    def write_manifest(self, *, complete: bool) -> None:
        body = {
            # Without user and password, should the address hold any.
            "from": str(self.client.base_url.copy_with(userinfo=b"")),
            "complete": complete,
            "sha256": dict(sorted(self.hashes.items())),
            "missing": self.done.missing,
        }
        self.noted = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_bytes(self.folder / MANIFEST, json.dumps(body, indent=1).encode())


def _why(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _safe(name: str) -> str:
    """A name from elsewhere as a file name."""
    # A leading dot would hide the file, or name the folder above.
    return _NAME.sub("_", name).lstrip(".") or "_"


def _read_manifest(folder: Path) -> dict[str, str]:
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        fix = "remove it to fetch everything anew"
        raise DataError(f"{MANIFEST} cannot be read: {error}", fix=fix) from error
