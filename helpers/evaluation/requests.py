"""Send many chats: some at once, one by one with a clock, or as a batch that may wait.

For: asking a whole test set. Not for: what the answers are worth, see `helpers.evaluation.grading`.

    replies = send_all(client, [{"model": model, "messages": [...], "temperature": 0}, ...])
    send_all(client, bodies, batch=True)
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from helpers.base.errors import BackendError
from helpers.base.progress_bar import Tell, counted

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types import Batch
    from openai.types.chat import ChatCompletion

ENDPOINT: Final = "/v1/chat/completions"
MOST_SECONDS = 30
"""Between two looks at a batch."""
OVER = ("completed", "failed", "cancelled", "expired")
Body = Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """What came back for one chat."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float | None
    """How long it took; None where others were under way at the same time."""
    cut: bool = False
    """Whether it reached the most tokens that were allowed."""


def send_all(
    client: OpenAI,
    bodies: Sequence[Body],
    *,
    workers: int = 16,
    in_a_row: int = 1,
    timed: int = 0,
    batch: bool = False,
    on_reply: Tell | None = None,
) -> list[Reply]:
    """The reply to each chat, in their order.

    `timed` of them, spread over all, are sent one after the other and say how long they took.
    The others are sent by `workers` threads, each taking `in_a_row` of them at a time: chats
    that begin alike should follow each other, so that a server need not read that again. With
    `batch` they are sent as one batch for each model instead. OpenAI takes half the price for
    it, and up to a day. An endpoint that knows no batches gets them from the threads.

    Raises `BackendError` if a batch fails, or a chat in it.
    """
    timed = min(timed, len(bodies))
    # Evenly spread, since the end of a test set may hold other kinds of question than its start.
    apart = {i * len(bodies) // timed for i in range(timed)}
    rest = [place for place in range(len(bodies)) if place not in apart]
    with _progress(len(bodies), on_reply) as tell:
        replies = {}
        # Before all others, while nothing else is under way: what is shared would be timed as well.
        for place in sorted(apart):
            replies[place] = _send(client, bodies[place], alone=True)
            tell(len(replies))
        found = _as_batches(client, bodies, rest, tell) if batch else None
        if found is None:
            runs = [rest[i : i + in_a_row] for i in range(0, len(rest), in_a_row)]
            found = _by_threads(client, bodies, runs, workers, tell)
    return [(replies | found)[place] for place in range(len(bodies))]


@contextlib.contextmanager
def _progress(total: int, on_reply: Tell | None) -> Iterator[Callable[[int], None]]:
    """How threads tell that so many are answered; a number only ever grows."""
    told, lock = 0, threading.Lock()
    with counted("answers") as show:

        def tell(done: int) -> None:
            # Threads arrive here out of order: a bar that steps back looks like a fault.
            nonlocal told
            with lock:
                if done > told:
                    told = done
                    show(done, total)
                    if on_reply:
                        on_reply(done, total)

        yield tell


def _send(client: OpenAI, body: Body, *, alone: bool = False) -> Reply:
    start = time.perf_counter()
    answer = client.chat.completions.create(**body)
    return _reply(answer, time.perf_counter() - start if alone else None)


def _reply(answer: ChatCompletion, seconds: float | None = None) -> Reply:
    used = answer.usage
    counts = (used.prompt_tokens, used.completion_tokens) if used else (0, 0)
    choice = answer.choices[0]
    text = (choice.message.content or "").strip()
    # Some endpoints, and answers in a batch's file, leave the reason out.
    return Reply(text, *counts, seconds, getattr(choice, "finish_reason", None) == "length")


def _by_threads(
    client: OpenAI,
    bodies: Sequence[Body],
    runs: Sequence[Sequence[int]],
    workers: int,
    tell: Callable[[int], None],
) -> dict[int, Reply]:
    """The replies at the places in `runs`; each run is the work of one thread."""
    before = len(bodies) - sum(map(len, runs))
    replies: dict[int, Reply] = {}

    def work(run: Sequence[int]) -> None:
        for place in run:
            replies[place] = _send(client, bodies[place])
            tell(before + len(replies))

    with ThreadPoolExecutor(workers) as pool:
        # The list drains the results, so that an error in a thread is raised here.
        list(pool.map(work, runs))
    return replies


def _as_batches(
    client: OpenAI, bodies: Sequence[Body], places: Sequence[int], tell: Callable[[int], None]
) -> dict[int, Reply] | None:
    """The replies at `places`, from a batch for each model; None if there are no batches here."""
    from openai import NotFoundError

    before = len(bodies) - len(places)
    replies: dict[int, Reply] = {}
    for model in dict.fromkeys(bodies[place]["model"] for place in places):
        own = [place for place in places if bodies[place]["model"] == model]

        # The default binds the count at this batch's start; a closure would read a later one.
        def told(done: int, _: int, so_far: int = before + len(replies)) -> None:
            tell(so_far + done)

        try:
            answers = run_batch(client, [bodies[place] for place in own], on_progress=told)
        except NotFoundError:
            # At the first one: later, something else is missing.
            if replies:
                raise
            return None
        replies |= {place: _reply(one) for place, one in zip(own, answers, strict=True)}
    return replies


def run_batch(
    client: OpenAI,
    bodies: Sequence[Body],
    *,
    every: float = 0.2,
    on_progress: Tell | None = None,
) -> list[ChatCompletion]:
    """Send chats for one model as a batch, wait for it, and return the answers in their order.

    It looks after `every` seconds, and ever more seldom in a long wait. Whoever interrupts that
    cancels the batch. No file of one that ran to its end stays at the endpoint. Raises
    `BackendError` if the batch fails or ends early, or if a chat was refused: the message says
    which and why.
    """
    from openai import APIError

    rows = [
        {"custom_id": str(number), "method": "POST", "url": ENDPOINT, "body": _written(body)}
        for number, body in enumerate(bodies)
    ]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file = client.files.create(file=("chats.jsonl", data), purpose="batch")
    batch, pause = None, every
    try:
        batch = client.batches.create(
            input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h"
        )
        while batch.status not in OVER:
            time.sleep(pause)
            # 2% more each time, so that the pause stays about 2% of the time that was waited so
            # far.
            pause = min(pause * 1.02, MOST_SECONDS)
            batch = client.batches.retrieve(batch.id)
            if on_progress and batch.request_counts and batch.request_counts.completed:
                on_progress(batch.request_counts.completed, len(bodies))
        lines = _lines_of(client, batch)
    # KeyboardInterrupt too: a batch that nobody waits for would go on costing.
    except BaseException:
        with contextlib.suppress(APIError):
            if batch:
                client.batches.cancel(batch.id)
        raise
    finally:
        # Files stay at an endpoint until they are deleted, and count towards an account's storage.
        results = (batch.output_file_id, batch.error_file_id) if batch else ()
        for key in filter(None, (file.id, *results)):
            with contextlib.suppress(APIError):
                client.files.delete(key)
    if batch.errors and batch.errors.data:
        raise BackendError(f"the batch failed: {batch.errors.data[0].message}")
    answers = {row["custom_id"]: _answer_in(row) for row in lines}
    # One that expired has answered some of its requests only.
    missing = [row["custom_id"] for row in rows if row["custom_id"] not in answers]
    if missing:
        raise BackendError(f"the batch is {batch.status}; request {missing[0]} has no answer")
    return [answers[row["custom_id"]] for row in rows]


def _written(body: Body) -> Body:
    """A chat as its request is written: what OpenAI's own package does not know stands beside."""
    return {key: value for key, value in body.items() if key != "extra_body"} | body.get(
        "extra_body", {}
    )


def _lines_of(client: OpenAI, batch: Batch) -> list[dict[str, Any]]:
    """What the files of a batch say, refusals first."""
    texts = [
        client.files.content(key).text
        for key in (batch.error_file_id, batch.output_file_id)
        if key is not None
    ]
    # Other characters that end a line for Python may stand inside an answer.
    return [json.loads(line) for text in texts for line in text.split("\n") if line]


def _answer_in(row: Mapping[str, Any]) -> ChatCompletion:
    """The answer in an output line. Raises `BackendError` for a refusal."""
    from openai.types.chat import ChatCompletion

    body = (row["response"] or {}).get("body") or {}
    wrong = row["error"] or body.get("error")
    if wrong:
        raise BackendError(f"request {row['custom_id']} of the batch: {wrong['message']}")
    return ChatCompletion.construct(**body)
