"""A class of forty on one server, each with a key of their own; and forty tuned models in use.

For: `python3 -m helpers bench class`. Each learner does what notebook 00 does: uploads its
examples, starts its job, chats, looks again and again, and then waits for the end or cancels.
Between two questions they read, for some seconds. `WORKBOOK_BASE` names another base for the jobs,
such as a tiny one, where the server is the question and not the training. Not for: one user, see
`serving`; nor a hub.

    with measuring(root) as measurements:
        measurements["class-chat"]()
"""

from __future__ import annotations

import json
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from helpers.backend.storage.keys import Keys
from helpers.backend.storage.store import LOCAL, Store, database_of
from helpers.base.settings import BASE_MODEL, Settings
from helpers.bench.measurements import BenchRow, Measurement
from helpers.bench.serving import QUIET_SECONDS, at_most, fresh_server
from helpers.support_desk.desk import SYSTEM

if TYPE_CHECKING:
    from openai import OpenAI

NAMES = (
    "class-errors",
    "class-refusals",
    "class-crossings",
    "class-chat",
    "class-memory",
    "class-time",
    "tuned-memory",
    "tuned-switch",
)
LEARNERS, QUESTIONS = 40, 6
READS = (4.0, 16.0)
"""Seconds between two questions of a learner, each as likely."""
TOKENS = 16
LONE = 20
"""Questions of one learner, alone."""
EPOCHS = 5
TOPICS = ("ring means online", "pinhole button", "6th of each month")
"""Of the examples that notebook 00 takes."""

ENDED = ("succeeded", "failed", "cancelled")


@contextmanager
def measuring(root: Path) -> Iterator[Mapping[str, Measurement]]:
    """All measurements; the class meets once, for the first row that needs it."""
    with ExitStack() as stack:
        course = Course(root, stack)
        yield {name: getattr(course, f"row_{name.replace('-', '_')}") for name in NAMES}


@dataclass
class Seen:
    """What the learners met, all together."""

    errors: list[str] = field(default_factory=list)
    refusals: int = 0
    crossings: list[str] = field(default_factory=list)
    chats: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    ids: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of each learner's file and job, by what it is."""
    megabytes: float = 0.0
    seconds: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)
    """Set when all have ended, or must: who waits for something goes home."""


class Learner:
    """One of them, in a thread of their own."""

    def __init__(
        self, name: str, client: OpenAI, seen: Seen, examples: bytes, base: str = BASE_MODEL
    ) -> None:
        self.name, self._seen, self._examples, self._base = name, seen, examples, base
        # Nothing is tried again unseen: each refusal is counted.
        self._client = client.with_options(max_retries=0, timeout=600)
        self._draw = random.Random(name)

    def attend(self, number: int) -> None:
        """The whole notebook; every third cancels the job in the middle."""
        try:
            job = self._begin()
            for asked in range(QUESTIONS):
                self._pause(self._draw.uniform(*READS))
                self._chat(f"{self.name} asks question {asked}: is my router online?")
                if number % 3 == 0 and asked == QUESTIONS // 2:
                    self._cancel(job)
            self._look_at_others()
            self._seen.statuses[self._wait(job)] += 1
        except Exception as error:  # noqa: BLE001 - each one is counted, and told in the row
            self._seen.errors.append(f"{self.name}: {type(error).__name__}: {error}"[:300])

    def _begin(self) -> str:
        jobs, files = self._client.fine_tuning.jobs, self._client.files
        given = ("first_try.jsonl", self._examples)
        file = self._asked(lambda: files.create(file=given, purpose="fine-tune"))
        settings = {"n_epochs": EPOCHS, "batch_size": 8, "learning_rate_multiplier": 4.0}
        method: Any = {"type": "supervised", "supervised": {"hyperparameters": settings}}
        job = self._asked(
            lambda: jobs.create(
                model=self._base,
                training_file=file.id,
                suffix="first-try",
                seed=42,
                method=method,
            )
        )
        self._seen.ids[self.name] = {"file": file.id, "job": job.id}
        return str(job.id)

    def _asked(self, call: Any) -> Any:
        """The answer; a refusal is counted, and asked again after the time that it names."""
        from openai import RateLimitError

        while True:
            try:
                return call()
            except RateLimitError as refusal:
                self._seen.refusals += 1
                self._pause(float(refusal.response.headers.get("retry-after", 1)))

    def _pause(self, seconds: float) -> None:
        if self._seen.over.wait(seconds):
            raise InterruptedError("the class was ended")

    def _chat(self, text: str) -> None:
        start = time.perf_counter()
        self._asked(lambda: short_chat(self._client, text))
        self._seen.chats.append(time.perf_counter() - start)

    def _cancel(self, job: str) -> None:
        from openai import BadRequestError

        # It may just have ended, which is told with this error.
        with suppress(BadRequestError):
            self._asked(lambda: self._client.fine_tuning.jobs.cancel(job))

    def _wait(self, job: str) -> str:
        while True:
            found = self._asked(lambda: self._client.fine_tuning.jobs.retrieve(job))
            self._asked(lambda: self._client.fine_tuning.jobs.list_events(job, limit=5))
            if found.status in ENDED:
                return str(found.status)
            self._pause(2)

    def _look_at_others(self) -> None:
        """Ask for what others have; each answer is a crossing."""
        from openai import NotFoundError

        client, seen = self._client, self._seen
        listed = {one.id for one in self._asked(lambda: client.files.list())}
        listed |= {one.id for one in self._asked(lambda: client.fine_tuning.jobs.list())}
        others = {name: ids for name, ids in list(seen.ids.items()) if name != self.name}
        for name, ids in others.items():
            if listed & set(ids.values()):
                seen.crossings.append(f"{self.name} is shown what is {name}'s")
        for name, ids in self._draw.sample(sorted(others.items()), min(8, len(others))):
            for what, ask in (
                ("file", lambda ids=ids: client.files.content(ids["file"])),
                ("job", lambda ids=ids: client.fine_tuning.jobs.retrieve(ids["job"])),
                ("events", lambda ids=ids: client.fine_tuning.jobs.list_events(ids["job"])),
                ("cancel", lambda ids=ids: client.fine_tuning.jobs.cancel(ids["job"])),
            ):
                with suppress(NotFoundError):
                    self._asked(ask)
                    seen.crossings.append(f"{self.name} reached {name}'s {what}")


class Course:
    """The measurements; what several of them need is taken once."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self._root, self._stack = root, stack

    @cached_property
    def _server(self) -> tuple[Settings, OpenAI, float]:
        return self._stack.enter_context(fresh_server())

    @cached_property
    def _lone(self) -> float:
        """Seconds of a short chat when nobody else is there: the 95th of a hundred."""
        client = self._clients(["alone"])[0]
        short_chat(client, "The first one loads the model.")
        time.sleep(QUIET_SECONDS)
        taken = []
        for number in range(LONE):
            start = time.perf_counter()
            short_chat(client, f"Question {number}: is my router online?")
            taken.append(time.perf_counter() - start)
        return percentile(taken)

    def _clients(self, names: list[str]) -> list[OpenAI]:
        own, client, _ = self._server
        store = Store(own.state, database_of(own))
        try:
            keys = Keys(store)
            return [client.with_options(api_key=keys.add(name)) for name in names]
        finally:
            store.close()

    @cached_property
    def _class(self) -> Seen:
        """The class from its first upload to its last job's end."""
        _ = self._lone
        seen, examples = Seen(), first_examples(self._root)
        names = [f"learner{number:02}" for number in range(LEARNERS)]
        base = self._server[0].base or BASE_MODEL
        learners = [
            Learner(name, client, seen, examples, base)
            for name, client in zip(names, self._clients(names), strict=True)
        ]
        start = time.perf_counter()
        watch = threading.Thread(target=self._watch, args=(seen,))
        watch.start()
        with ThreadPoolExecutor(LEARNERS) as room:
            try:
                list(room.map(Learner.attend, learners, range(LEARNERS)))
            finally:
                # Also by Ctrl-C: the room waits for those who are in it.
                seen.over.set()
        seen.seconds = time.perf_counter() - start
        watch.join()
        return seen

    def _watch(self, seen: Seen) -> None:
        while not seen.over.wait(0.2):
            seen.megabytes = max(seen.megabytes, self._megabytes())

    def _megabytes(self) -> float:
        """What the server's own process holds; trainers are not counted."""
        known = json.loads((self._server[0].state / "server.json").read_text(encoding="utf-8"))
        return float(psutil.Process(known["pid"]).memory_info().rss) / 2**20

    def row_class_errors(self) -> BenchRow:
        errors, ended = self._class.errors, dict(self._class.statuses)
        said = f"; the first: {errors[0]}" if errors else ""
        what = f"errors of {LEARNERS} learners, refusals apart (jobs: {ended}{said})"
        failed = len(errors) + self._class.statuses["failed"]
        return at_most("class-errors", what, "", failed, 0)

    def row_class_refusals(self) -> BenchRow:
        what = "refusals (429) that said when to come again"
        return BenchRow("class-refusals", what, "", self._class.refusals)

    def row_class_crossings(self) -> BenchRow:
        crossings = self._class.crossings
        said = f" ({crossings[0]})" if crossings else ""
        what = f"answers about what is another learner's{said}"
        return at_most("class-crossings", what, "", len(crossings), 0)

    def row_class_chat(self) -> BenchRow:
        ours, lone = percentile(self._class.chats), self._lone
        what = f"short chat, 95th percentile of {len(self._class.chats)}, against a lone learner's"
        return BenchRow(
            "class-chat", what, "s", ours, lone, "under 3 times as long", ours < 3 * lone
        )

    def row_class_memory(self) -> BenchRow:
        what = "memory of the server, at most, its trainers apart"
        return at_most("class-memory", what, "MB", self._class.megabytes, 1200)

    def row_class_time(self) -> BenchRow:
        what = "until the last learner's job was over"
        return BenchRow("class-time", what, "s", self._class.seconds)

    @cached_property
    def _tuned(self) -> tuple[float, float, float]:
        """Megabytes with one tuned model in use and with forty, and seconds of one's first chat."""
        own, client, _ = self._stack.enter_context(fresh_server())
        self.__dict__["_server"] = (own, client, 0.0)
        names = tuned_models(own, client, first_examples(self._root), LEARNERS)
        short_chat(client, "Is my router online?", model=names[0])
        one = self._megabytes()
        taken = []
        for number in range(2 * LEARNERS):
            start = time.perf_counter()
            short_chat(client, "Is my router online?", model=names[number % LEARNERS])
            taken.append(time.perf_counter() - start)
        return one, self._megabytes(), statistics.median(taken)

    def row_tuned_memory(self) -> BenchRow:
        one, forty, _ = self._tuned
        what = f"memory of the server with {LEARNERS} tuned models in use, against one"
        aim = "at most 2.5 times"
        return BenchRow("tuned-memory", what, "MB", forty, one, aim, forty <= 2.5 * one)

    def row_tuned_switch(self) -> BenchRow:
        what = f"short chat with each of {LEARNERS} tuned models in turn, median"
        return BenchRow("tuned-switch", what, "s", self._tuned[2])


def percentile(seconds: list[float]) -> float:
    """The 95th of a hundred."""
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1]


def short_chat(client: OpenAI, text: str, *, model: str = BASE_MODEL) -> str:
    """An answer of at most some words."""
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}],
        max_completion_tokens=TOKENS,
        temperature=0,
    )
    return answer.choices[0].message.content or ""


def first_examples(root: Path) -> bytes:
    """What notebook 00 trains on."""
    lines = (root / "data" / "support" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    few = [line for line in lines if sum(topic in line for topic in TOPICS) == 1]
    return "\n".join(few).encode()


def tuned_models(own: Settings, client: OpenAI, examples: bytes, count: int) -> list[str]:
    """One job's model under so many names: for the server, each is a model of its own."""
    file = client.files.create(file=("first_try.jsonl", examples), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model=BASE_MODEL, training_file=file.id, hyperparameters={"n_epochs": 1}
    )
    while (job := client.fine_tuning.jobs.retrieve(job.id)).status not in ENDED:
        time.sleep(1)
    store = Store(own.state, database_of(own)).of(LOCAL)
    try:
        body = store.get("model", job.fine_tuned_model or "")
        if body is None:
            raise RuntimeError(f"the job ended as {job.status}: {job.error}")
        names = [f"{body['id']}-{number}" for number in range(count)]
        for name in names:
            store.put("model", name, {**body, "id": name}, parent=job.id)
        return names
    finally:
        store.close()
