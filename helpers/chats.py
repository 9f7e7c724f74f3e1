"""Send many chats: some at once, one by one with a clock, or as a batch that may wait.

For: asking a whole test set. Not for: what the answers are worth, see `helpers.evaluation`.

    replies = send_all(client, [{"model": model, "messages": [...], "temperature": 0}, ...])
    send_all(client, bodies, batch=True)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from helpers.errors import BackendError

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.chat import ChatCompletion

ENDPOINT: Final = "/v1/chat/completions"
OVER = ("completed", "failed", "cancelled", "expired")
Body = Mapping[str, Any]
Told = Callable[[int, int], None]
"""Called with how many are answered, and how many there are."""


@dataclass(frozen=True)
class Reply:
    """What came back for one chat."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float | None
    """How long it took; None where others were under way at the same time."""


def send_all(
    client: OpenAI,
    bodies: Sequence[Body],
    *,
    workers: int = 16,
    in_a_row: int = 1,
    timed: int = 0,
    batch: bool = False,
    on_reply: Told | None = None,
) -> list[Reply]:
    """The reply to each chat, in their order.

    `timed` of them, spread over all, are sent one after the other and say how long they took.
    The others are sent by `workers` threads, each taking `in_a_row` of them at a time: chats
    that begin alike should follow each other, so that a server need not read that again. With
    `batch` they are sent as one batch for each model instead. OpenAI takes half the price for
    it, and up to a day. An endpoint that knows no batches gets them from the threads.

    Raises `BackendError` if a batch fails, or a chat in it.
    """
    apart = set(range(0, len(bodies), max(1, -(-len(bodies) // timed)))) if timed else set()
    replies: dict[int, Reply] = {}

    def keep(place: int, reply: Reply) -> None:
        replies[place] = reply
        if on_reply:
            on_reply(len(replies), len(bodies))

    for place in sorted(apart):
        keep(place, _send(client, bodies[place], alone=True))
    rest = [place for place in range(len(bodies)) if place not in apart]
    if not (batch and _as_batches(client, bodies, rest, keep)):
        runs = [rest[i : i + in_a_row] for i in range(0, len(rest), in_a_row)]

        def work(run: Sequence[int]) -> None:
            for place in run:
                keep(place, _send(client, bodies[place]))

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, runs))
    return [replies[place] for place in range(len(bodies))]


def _send(client: OpenAI, body: Body, *, alone: bool = False) -> Reply:
    start = time.perf_counter()
    answer = client.chat.completions.create(**body)
    return _reply(answer, time.perf_counter() - start if alone else None)


def _reply(answer: ChatCompletion, seconds: float | None = None) -> Reply:
    used = answer.usage
    counts = (used.prompt_tokens, used.completion_tokens) if used else (0, 0)
    return Reply((answer.choices[0].message.content or "").strip(), *counts, seconds)


def _as_batches(
    client: OpenAI,
    bodies: Sequence[Body],
    places: Sequence[int],
    keep: Callable[[int, Reply], None],
) -> bool:
    """Send the chats at `places` as a batch for each model; False if there are none here."""
    from openai import NotFoundError

    for model in dict.fromkeys(bodies[place]["model"] for place in places):
        own = [place for place in places if bodies[place]["model"] == model]
        try:
            answers = run_batch(client, [bodies[place] for place in own])
        except NotFoundError:
            return False
        for place, answer in zip(own, answers, strict=True):
            keep(place, _reply(answer))
    return True


def run_batch(
    client: OpenAI,
    bodies: Sequence[Body],
    *,
    every: float = 0.2,
    on_progress: Told | None = None,
) -> list[ChatCompletion]:
    """Send chats for one model as a batch, wait for it, and return the answers in their order.

    Whoever interrupts the wait cancels the batch. Raises `BackendError` if the batch fails or
    ends early, or if a chat was refused: the message says which and why.
    """
    rows = [
        {"custom_id": str(number), "method": "POST", "url": ENDPOINT, "body": body}
        for number, body in enumerate(bodies)
    ]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file = client.files.create(file=("chats.jsonl", data), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h")
    try:
        while batch.status not in OVER:
            time.sleep(every)
            batch = client.batches.retrieve(batch.id)
            if on_progress and batch.request_counts:
                on_progress(batch.request_counts.completed, len(bodies))
    except KeyboardInterrupt:
        client.batches.cancel(batch.id)
        raise
    if batch.errors and batch.errors.data:
        raise BackendError(f"the batch failed: {batch.errors.data[0].message}")
    answered = {}
    for key in (batch.error_file_id, batch.output_file_id):
        for line in client.files.content(key).text.splitlines() if key else ():
            row = json.loads(line)
            answered[row["custom_id"]] = _answer_in(row)
    return [answered[row["custom_id"]] for row in rows]


def _answer_in(row: Mapping[str, Any]) -> ChatCompletion:
    """The answer in an output line. Raises `BackendError` for a refusal."""
    from openai.types.chat import ChatCompletion

    body = (row["response"] or {}).get("body") or {}
    wrong = row["error"] or body.get("error")
    if wrong:
        raise BackendError(f"request {row['custom_id']} of the batch: {wrong['message']}")
    return ChatCompletion.construct(**body)
