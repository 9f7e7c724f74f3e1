"""A batch whose parts are answered on the nodes of a cluster.

For: `queue`, where an executor has nodes. Not for: what a node does, see
`helpers.backend.answerer`.

    spread = Spread(executor, folder, lines, model, answers, threads=2, **callbacks)
    spread.run()

What always holds, and why:
- A part is some hundred lines in the order of the file, so that after a restart the same lines are
  the same part: the run that an earlier server began for it is found by the part's folder.
- A node that is lost costs its part's answers that had not come yet: the part begins anew, and
  answers that are there already are not taken twice.
- Nothing but the lines of the parts that run is in memory.
"""

from __future__ import annotations

import itertools
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from helpers.backend.batch.line_format import Answers, BatchInput, BatchLine, read
from helpers.backend.executors.interface import ANSWERER, ANSWERS, LOST, Executor, NotNow, Run
from helpers.backend.inference.models import ServedModel
from helpers.backend.training.spec import SPEC
from helpers.base.errors import BackendError
from helpers.base.files import atomic, write_text

PART = 500
"""Requests of a run: enough that loading the model counts little, and few enough to lose."""
EVERY = 0.5
"""Seconds between two looks."""
ASK_EVERY = 2.0
"""Seconds between two questions for free nodes."""
MAX_DEATHS = 3
"""Of a part's program, not of the node under it."""
END_SECONDS = 60
"""For runs to end that are no longer wanted."""
REQUESTS = "requests.jsonl"

log = logging.getLogger(__name__)


class Spread:
    """One batch on its way through nodes."""

    def __init__(
        self,
        nodes: Executor,
        folder: Path,
        lines: BatchInput,
        model: ServedModel,
        answers: Answers,
        *,
        threads: int,
        stopped: Callable[[], bool],
        leaving: Callable[[], bool],
        answered: Callable[[Sequence[Mapping[str, Any]]], None],
    ) -> None:
        """`stopped`: nothing more is to be answered; `leaving`: only this server ends, and the next
        one finds what runs."""
        self._nodes, self._folder, self._model = nodes, folder, model
        self._lines, self._answers, self._threads = lines, answers, threads
        self._stopped, self._leaving, self._answered = stopped, leaving, answered
        self._runs: dict[Path, Run] = {}
        self._again: list[Path] = []
        self._deaths: dict[Path, int] = {}
        self._seen: dict[Path, int] = {}
        self._asked = 0.0

    def run(self) -> None:
        """Answer all parts. Raises `BackendError` where the program of one fails time and again."""
        parts = self._parts()
        try:
            while not self._stopped():
                waiting = self._begin(parts)
                if not (self._runs or waiting):
                    return
                for folder, run in list(self._runs.items()):
                    self._look(folder, run)
                time.sleep(EVERY)
        finally:
            if not self._leaving():
                self._end()

    def _parts(self) -> Iterator[Path]:
        """Folders of the parts in which something is left, written when they are asked for."""
        lines = iter(self._lines)
        for number in itertools.count():
            part = list(itertools.islice(lines, PART))
            if not part:
                return
            if any(line.id not in self._answers for line in part):
                yield self._written(number, part)

    def _written(self, number: int, part: Sequence[BatchLine]) -> Path:
        # With the batch's name, by which its run is known at the cluster.
        folder = self._folder / f"{self._folder.name}-{number}"
        if not (folder / SPEC).is_file():
            with atomic(folder / REQUESTS) as stream:
                for line in self._answers.left(part):
                    stream.write(line.text.strip().encode() + b"\n")
            write_text(folder / SPEC, json.dumps(self._spec(folder)))
        return folder

    def _spec(self, folder: Path) -> dict[str, Any]:
        adapter = self._model.adapter
        return {
            "model": self._model.id,
            "base_gguf": str(self._model.gguf),
            "parent_adapter": str(adapter.parent) if adapter else None,
            "context": self._model.context,
            "threads": self._threads,
            "requests": str(folder / REQUESTS),
            "endpoint": self._lines.endpoint,
        }

    def _begin(self, parts: Iterator[Path]) -> bool:
        """Start what there is room for; whether something waits for room."""
        if time.monotonic() - self._asked < ASK_EVERY:
            return True
        self._asked = time.monotonic()
        free = self._nodes.free(len(self._runs))
        while True:
            self._again += itertools.islice(parts, 0 if self._again else 1)
            if not self._again:
                return False
            if free < 1:
                return True
            folder = self._again.pop()
            try:
                self._runs[folder] = self._nodes.start(folder, ANSWERER)
            except NotNow as error:
                log.warning("%s waits: %s", folder.name, error)
                self._again.append(folder)
                return True
            free -= 1

    def _look(self, folder: Path, run: Run) -> None:
        code = run.poll()
        self._nodes.sync(folder)
        self._take(folder)
        if code is None:
            return
        del self._runs[folder]
        left = self._left(folder)
        if not left:
            self._nodes.discard(folder)
            shutil.rmtree(folder, ignore_errors=True)
            return
        log.warning("%s ended with %s and %d requests left", folder.name, code, left)
        self._deaths[folder] = self._deaths.get(folder, 0) + (code != LOST)
        if self._deaths[folder] >= MAX_DEATHS:
            raise BackendError(f"{folder.name} fails on the nodes, the last time with {code}")
        self._again.append(folder)

    def _take(self, folder: Path) -> None:
        """Take the answers that are new."""
        path = folder / ANSWERS
        size = path.stat().st_size if path.is_file() else 0
        if size == self._seen.get(folder, 0):
            return
        self._seen[folder] = size
        # The last line may be half there: the file is carried while it is written.
        rows = [json.loads(text) for text in path.read_bytes().split(b"\n")[:-1]]
        if new := [row for row in rows if row["custom_id"] not in self._answers]:
            self._answered(new)

    def _left(self, folder: Path) -> int:
        """How many requests of a part have no answer."""
        asked, _ = read(folder / REQUESTS, endpoint=self._lines.endpoint)
        return sum(1 for _ in self._answers.left(asked))

    def _end(self) -> None:
        """End the runs that are no longer wanted, before their folders go."""
        for run in self._runs.values():
            run.kill()
        deadline = time.monotonic() + END_SECONDS
        while self._runs and time.monotonic() < deadline:
            for folder, run in list(self._runs.items()):
                if run.poll() is not None:
                    self._take(folder)
                    self._nodes.discard(folder)
                    del self._runs[folder]
            time.sleep(EVERY)
