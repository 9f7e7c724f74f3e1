"""The life of a batch: checked, answered when the machine is free, written to a file.

For: many requests that can wait. They are answered one batch after the other, and never while
a job trains; what was answered survives the death of either side. Not for: the forms of the
lines (`batch_lines`), nor the process that answers many at once (`bulk`).

    batches.submit(endpoint, input_file, completion_window="24h")
    batches.cancel("batch_abc")
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import anyio

from helpers.backend import batch_lines, bulk
from helpers.backend.answers import Choice, chat_answer, chat_head, chat_sampling
from helpers.backend.batch_lines import Line
from helpers.backend.executor import start_bulk
from helpers.backend.files import keep
from helpers.backend.models import ServedModel
from helpers.backend.schemas import ApiError, ChatRequest, new_id, not_found
from helpers.backend.store import Document, Store
from helpers.settings import Settings
from helpers.tokens import local_tokenizer

CHAT = "/v1/chat/completions"
POLL = 0.15
WINDOW_SECONDS = 24 * 3600
AT_ONCE = 12
"""Requests of a batch at the same time: a model works on sixteen, and people come first."""
BULK_TOKENS = 6_000
"""Tokens in prompts from which a process of its own is worth its start of some ten seconds."""
CANCELLABLE = ("validating", "in_progress", "cancelling")
UNDER_WAY = (*CANCELLABLE, "finalizing")
INPUT, ANSWERS = "input.jsonl", "answers.jsonl"

Ask = Callable[[str, Mapping[str, Any]], Awaitable[tuple[int, str, Any]]]
"""Sends a body to a path of this server; status, request id and body of the answer."""


class Resolve(Protocol):
    """Finds the model of a name; raises `ApiError` for an unknown one."""

    def __call__(self, name: str) -> ServedModel: ...


class Batches:
    """Answers batches one after the other in a background thread."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        resolve: Resolve,
        cores: threading.Lock,
        share_cores: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._settings, self._store, self._resolve = settings, store, resolve
        self._cores, self._share_cores = cores, share_cores
        self._wake, self._closing = threading.Event(), threading.Event()
        self._lock = threading.RLock()
        self._bulk_is_fit = True
        self._thread: threading.Thread | None = None
        self._ask: Ask | None = None

    def start(self, ask: Ask) -> None:
        """Begin to answer, also what an earlier server left undone."""
        self._ask = ask
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a batch runs or waits."""
        return self.waiting > 0

    @property
    def waiting(self) -> int:
        """How many batches are not over yet."""
        return len(self._under_way())

    def submit(
        self,
        endpoint: str,
        input_file: str,
        *,
        metadata: Mapping[str, str] | None = None,
        output_seconds: int | None = None,
    ) -> Document:
        """Store a new batch with a copy of its requests, and queue it."""
        key, now = new_id("batch_"), int(time.time())
        folder = self._store.job_dir(key)
        folder.mkdir(parents=True)
        shutil.copyfile(self._store.files / input_file, folder / INPUT)
        moments = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling")
        body = {
            "id": key,
            "object": "batch",
            "endpoint": endpoint,
            "model": None,
            "errors": None,
            "input_file_id": input_file,
            "completion_window": "24h",
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "expires_at": now + WINDOW_SECONDS,
            **{f"{moment}_at": None for moment in (*moments, "cancelled")},
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": metadata,
            "_output_seconds": output_seconds,
        }
        self._store.put("batch", key, body)
        self._wake.set()
        return body

    def get(self, key: str) -> Document:
        batch = self._store.get("batch", key)
        if batch is None:
            raise not_found("Batch", key, "batch_id")
        return batch

    def cancel(self, key: str) -> Document:
        """Stop a batch; what was answered until then is in its output file."""
        with self._lock:
            status = self.get(key)["status"]
            if status not in CANCELLABLE:
                raise ApiError(
                    409, f"Cannot cancel a batch with status '{status}'.", code="invalid_status"
                )
            done = self._set(key, status="cancelling", cancelling_at=int(time.time()))
        self._wake.set()
        return done

    def stop(self) -> None:
        """Answer nothing more; the batch goes on at the next start."""
        self._closing.set()
        self._wake.set()

    def join(self) -> None:
        """Wait for the thread's end, after its requests to the engine have been cancelled."""
        if self._thread:
            self._thread.join(5)

    def _set(self, key: str, **changes: Any) -> Document:
        return self._store.update("batch", key, lambda batch: batch.update(changes))

    def _reach(self, key: str, status: str) -> bool:
        """The next station of a batch's life; False if somebody has stopped it."""
        with self._lock:
            if self._stopped(key):
                return False
            self._set(key, **{"status": status, f"{status}_at": int(time.time())})
            return True

    def _stopped(self, key: str) -> bool:
        """Whether nothing more is to be answered: cancelled, out of time, or the server ends."""
        batch = self.get(key)
        late = time.time() > batch["expires_at"]
        return self._closing.is_set() or batch["status"] == "cancelling" or late

    def _under_way(self) -> list[Document]:
        found, _ = self._store.list(
            "batch", newest_first=False, keep=lambda batch: batch["status"] in UNDER_WAY
        )
        return found

    def _work(self) -> None:
        while not self._closing.is_set():
            waiting = self._under_way()
            if not waiting:
                self._wake.wait(1)
                self._wake.clear()
                continue
            try:
                self._run(waiting[0])
            except Exception as error:  # noqa: BLE001 - the queue has to live on
                if not self._closing.is_set():
                    traceback.print_exception(error)
                    problem = batch_lines.Problem(
                        "server_error", f"{type(error).__name__}: {error}"
                    )
                    self._fail(waiting[0]["id"], [problem])

    def _run(self, batch: Document) -> None:
        key = batch["id"]
        source = self._store.job_dir(key) / INPUT
        lines, problems = batch_lines.read(source, endpoint=batch["endpoint"])
        if problems:
            self._fail(key, problems)
            return
        whole_lines(self._store.job_dir(key) / ANSWERS)
        counts = counted(self._answers(key)) | {"total": len(lines)}
        self._set(key, model=lines[0].body.get("model"), request_counts=counts)
        if self._reach(key, "in_progress"):
            with self._alone(key) as free:
                if free:
                    self._in_bulk(key, lines)
                    anyio.run(self._one_by_one, key, self._left(key, lines), batch["endpoint"])
        if not self._closing.is_set():
            self._finish(key, lines)

    @contextlib.contextmanager
    def _alone(self, key: str) -> Iterator[bool]:
        """Wait until nothing trains; False if the batch was stopped meanwhile."""
        while not self._cores.acquire(timeout=POLL):
            if self._stopped(key):
                yield False
                return
        try:
            yield True
        finally:
            self._cores.release()

    def _answers(self, key: str) -> list[dict[str, Any]]:
        """The answers so far."""
        try:
            text = (self._store.job_dir(key) / ANSWERS).read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return list(map(json.loads, text.splitlines()))

    def _left(self, key: str, lines: Sequence[Line]) -> list[Line]:
        done = {row["custom_id"] for row in self._answers(key)}
        return [line for line in lines if line.id not in done]

    def _answered(self, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep answers, and count them."""
        path = self._store.job_dir(key) / ANSWERS
        with self._lock:
            with path.open("a", encoding="utf-8") as stream:
                stream.writelines(json.dumps(row) + "\n" for row in rows)
            new = counted(rows)

            def count(batch: Document) -> None:
                for name, number in new.items():
                    batch["request_counts"][name] += number

            self._store.update("batch", key, count)

    async def _one_by_one(self, key: str, lines: Sequence[Line], endpoint: str) -> None:
        """Send each request to this server, some at a time."""
        assert self._ask
        ask, at_once = self._ask, anyio.CapacityLimiter(AT_ONCE)

        async def one(line: Line) -> None:
            async with at_once:
                while not self._stopped(key):
                    status, request_id, body = await ask(endpoint, line.body)
                    if self._closing.is_set():
                        return  # its answer may be that the server ends
                    if status != 429:
                        self._answered(key, [batch_lines.output(line, status, request_id, body)])
                        return
                    await anyio.sleep(1)

        async with anyio.create_task_group() as group:
            for line in lines:
                group.start_soon(one, line)

    def _in_bulk(self, key: str, lines: Sequence[Line]) -> None:
        """Answer the plain chats in a process of its own, if they are many and it is fit for it.

        What it leaves, for whatever reason, is asked one by one.
        """
        left = self._left(key, lines)
        model, prompts, chats = self._prompts(key, left)
        if model is None or sum(len(p.tokens) for p in prompts) < BULK_TOKENS:
            return
        folder = self._store.job_dir(key)
        tokenizer = local_tokenizer(model.gguf)
        adapter = str(model.adapter.parent) if model.adapter else None
        end, threads = tokenizer.end_id, self._settings.threads
        bulk.Task(str(model.gguf), adapter, end, threads, tuple(prompts)).write(folder)
        by_id = {line.id: line for line in left}
        lengths = {prompt.id: len(prompt.tokens) for prompt in prompts}

        def output(done: bulk.Answered) -> dict[str, Any]:
            chat = chats[done.id]
            reason = "stop" if done.ended else "length"
            made = len(done.tokens) + done.ended
            text = tokenizer.decode(done.tokens)
            choice = Choice(text, (), reason, lengths[done.id], made)
            body = chat_answer(chat_head(chat), [choice], chat_sampling(chat), chat)
            return batch_lines.output(by_id[done.id], 200, new_id("req_"), body)

        process = start_bulk(folder, self._settings.root)
        self._share_cores(True)
        try:
            seen, ended = 0, False
            while not ended:
                ended = process.poll() is not None
                rows = bulk.read_answers(folder, skip=seen)
                if rows:
                    self._answered(key, list(map(output, rows)))
                    seen += len(rows)
                if self._stopped(key):
                    return
                time.sleep(0 if ended else POLL)
            if process.returncode == bulk.UNFIT:
                self._bulk_is_fit = False
        finally:
            process.kill()
            process.wait()
            self._share_cores(False)

    def _prompts(
        self, key: str, lines: Iterable[Line]
    ) -> tuple[ServedModel | None, list[bulk.Prompt], dict[str, ChatRequest]]:
        """What of a batch can be answered in bulk: its model, prompts, and chats by line."""
        if self.get(key)["endpoint"] != CHAT or not self._bulk_is_fit:
            return None, [], {}
        model, prompts, chats = None, [], {}
        for line in lines:
            chat = batch_lines.plain_chat(line.body)
            if chat is None:
                continue
            try:
                model = model or self._resolve(chat.model)
                messages = [message.plain() for message in chat.messages]
            except ApiError:
                continue
            tokens = tuple(local_tokenizer(model.gguf).encode_chat(messages))
            room = model.context - len(tokens)
            if room > 0:
                prompts.append(bulk.Prompt(line.id, tokens, chat_sampling(chat).limit(room)))
                chats[line.id] = chat
        return model, prompts, chats

    def _finish(self, key: str, lines: Sequence[Line]) -> None:
        """Write the files of a batch that ran to its end, was cancelled or ran out of time."""
        with self._lock:
            batch = self.get(key)
            cancelled = batch["status"] == "cancelling"
            if not cancelled:
                self._set(key, status="finalizing", finalizing_at=int(time.time()))
        rows, left = self._answers(key), self._left(key, lines)
        code, why = (
            ("batch_cancelled", "The batch was cancelled before this request was sent.")
            if cancelled
            else ("batch_expired", "The batch's time was over before this request was sent.")
        )
        good = [row for row in rows if batch_lines.succeeded(row)]
        bad = [row for row in rows if not batch_lines.succeeded(row)]
        bad += [batch_lines.unanswered(line, code, why) for line in left]
        seconds = batch["_output_seconds"]
        files = {
            f"{kind}_file_id": keep(
                self._store,
                f"{key}_{kind}.jsonl",
                "".join(json.dumps(row) + "\n" for row in some).encode(),
                purpose="batch_output",
                seconds=seconds,
            )
            for kind, some in (("output", good), ("error", bad))
            if some
        }
        status = "cancelled" if cancelled else "expired" if left else "completed"
        self._set(
            key,
            **{"status": status, f"{status}_at": int(time.time())},
            **files,
            usage=usage(good),
            request_counts={"total": len(lines), "completed": len(good), "failed": len(bad)},
        )
        self._store.remove_job_dir(key)

    def _fail(self, key: str, problems: Sequence[batch_lines.Problem]) -> None:
        data = [problem.body() for problem in problems]
        errors = {"object": "list", "data": data}
        self._set(key, status="failed", failed_at=int(time.time()), errors=errors)
        self._store.remove_job_dir(key)


def whole_lines(path: Path) -> None:
    """Cut off the line that a crash left unfinished."""
    if path.is_file():
        data = path.read_bytes()
        os.truncate(path, data.rfind(b"\n") + 1)


def counted(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many requests were answered, and how many refused."""
    good = [batch_lines.succeeded(row) for row in rows]
    return {"completed": sum(good), "failed": len(good) - sum(good)}


def usage(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The tokens of all answers together."""
    used = [row["response"]["body"].get("usage") or {} for row in rows]
    read = sum(one.get("prompt_tokens", one.get("input_tokens", 0)) for one in used)
    made = sum(one.get("completion_tokens", one.get("output_tokens", 0)) for one in used)
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + made,
    }
