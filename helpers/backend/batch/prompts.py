"""The chats of a batch that can be answered in bulk: prompts for the process, answers from it.

For: `queue`. Not for: the process itself, see `worker`.

    chats = BulkChats(lines, resolve)
    if chats.worth_a_process: chats.task(threads=2).write(folder)
    chats.output(answered)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

from helpers.backend.batch import line_format, worker
from helpers.backend.batch.line_format import BatchLine
from helpers.backend.inference.models import ServedModel
from helpers.backend.protocol.response_format import Choice, chat_answer, chat_head, chat_sampling
from helpers.backend.protocol.schemas import ChatRequest, new_id
from helpers.base.tokens import local_tokenizer

WORTH_TOKENS = 6_000
"""Tokens in prompts from which a process of its own is worth its start of some ten seconds."""


class BulkChats:
    """Those of some lines that ask one model for the likeliest answer and nothing else."""

    def __init__(self, lines: Iterable[BatchLine], resolve: Callable[[str], ServedModel]) -> None:
        self._chats: dict[str, tuple[BatchLine, ChatRequest, worker.Prompt]] = {}
        self._model: ServedModel | None = None
        for line in lines:
            # Whatever is odd about a line, the server says it when the line is asked by itself.
            with contextlib.suppress(Exception):
                self._take(line, resolve)

    def _take(self, line: BatchLine, resolve: Callable[[str], ServedModel]) -> None:
        chat = line_format.plain_chat(line.body)
        if chat is None:
            return
        self._model = self._model or resolve(chat.model)
        if self._model.method:
            return
        messages = [message.plain() for message in chat.messages]
        tokens = tuple(local_tokenizer(self._model.gguf).encode_chat(messages))
        room = self._model.context - len(tokens)
        if room > 0:
            most = chat_sampling(chat).limit(room)
            self._chats[line.id] = line, chat, worker.Prompt(line.id, tokens, most)

    @property
    def worth_a_process(self) -> bool:
        """Whether they are so many that starting one costs less than it saves."""
        tokens = sum(len(prompt.tokens) for _, _, prompt in self._chats.values())
        return tokens >= WORTH_TOKENS

    def task(self, *, threads: int) -> worker.Task:
        """What the process is told."""
        assert self._model
        adapter = str(self._model.adapter.parent) if self._model.adapter else None
        ends = local_tokenizer(self._model.gguf).end_ids
        prompts = tuple(prompt for _, _, prompt in self._chats.values())
        return worker.Task(str(self._model.gguf), adapter, ends, threads, prompts)

    def output(self, done: worker.BatchAnswer) -> dict[str, Any]:
        """The output line of an answer."""
        assert self._model
        line, chat, prompt = self._chats[done.id]
        choice = Choice(
            local_tokenizer(self._model.gguf).decode(done.tokens, special=False),
            (),
            "stop" if done.ended else "length",
            len(prompt.tokens),
            len(done.tokens) + done.ended,
        )
        body = chat_answer(chat_head(chat), [choice], chat_sampling(chat), chat)
        return line_format.output(line, 200, new_id("req_"), body)
