"""Which engine answers on this machine: the one that a measurement of some seconds finds faster.

For: the server, if `WORKBOOK_ENGINE` names no engine, and `doctor`. The figures are kept in the
state folder; another processor or release of OpenVINO is measured anew. Not for: what a request
asks for, which both engines honour.

    choice = chosen(settings.load())
    choice.name, choice.seconds     # "openvino", {"llama.cpp": 4.1, "openvino": 1.3}
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from helpers.backend.bases.registry import find
from helpers.backend.inference.engine import CLIENT_LEFT, LLAMA_CPP, OPENVINO, Engine
from helpers.backend.inference.models import ServedModel
from helpers.backend.protocol.sampling import Sampling
from helpers.base.errors import BackendError, CourseError
from helpers.base.files import write_text
from helpers.base.settings import BASE_MODEL, Settings

AUTO = "auto"
"""The setting that asks for the measurement."""
CHATS, WORDS, TOKENS = 8, 100, 16
"""What is asked of both: so many chats at once, each of so many words, and answers of so many
tokens."""
PATIENCE = 4.0
"""So many times as long as OpenVINO takes, llama.cpp is waited for: beside a busy neighbour it can
take a hundred times as long."""
LONGEST = 60.0
"""Seconds after which any engine is given up."""


@dataclass(frozen=True)
class EngineChoice:
    """The engine that answers, and why."""

    name: str
    machine: str
    seconds: dict[str, float]
    """That each engine took; empty where there is only one."""


def chosen(settings: Settings) -> EngineChoice:
    """What is kept, if it is of this machine; else a measurement. Raises `CourseError`."""
    kept = known(settings)
    if kept is not None:
        return kept
    if openvino_release() is None:
        return EngineChoice(LLAMA_CPP, machine(), {})
    try:
        first = measured(settings, OPENVINO)
    # Not kept: what hindered it may be gone at the next start.
    except BackendError:
        return EngineChoice(LLAMA_CPP, machine(), {})
    seconds = {OPENVINO: first, LLAMA_CPP: measured(settings, LLAMA_CPP, most=PATIENCE * first)}
    choice = EngineChoice(min(seconds, key=lambda name: seconds[name]), machine(), seconds)
    write_text(_file(settings), json.dumps(asdict(choice)))
    return choice


def known(settings: Settings) -> EngineChoice | None:
    """What an earlier measurement found on this machine; None if there was none."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        kept = EngineChoice(**json.loads(_file(settings).read_text(encoding="utf-8")))
        return kept if kept.machine == machine() else None
    return None


def measured(settings: Settings, name: str, *, most: float = math.inf) -> float:
    """Seconds for the chats with one engine, its loading left out; given up after `most`.

    Raises `BackendError` if it cannot answer.
    """
    model = ServedModel.of(find(settings).fit[BASE_MODEL])
    engine = Engine(threads=settings.threads, cache=settings.state / "cache", chosen=name)

    def ask(number: int) -> None:
        # Its number stands first, or the chats would share what was read for one of them.
        prompt = f"{number}: " + "lighthouse " * WORDS
        # Set in each thread: those of a pool have contexts of their own.
        CLIENT_LEFT.set(late)
        try:
            for _ in engine.generate(model, prompt, Sampling(temperature=0, max_tokens=TOKENS)):
                pass
        except BackendError:
            if not late.is_set():
                raise

    late = threading.Event()
    timer = threading.Timer(min(most, LONGEST), late.set)
    try:
        # Before the clock starts: loading is not what is compared.
        engine.warm(model)
        timer.start()
        start = time.perf_counter()
        with ThreadPoolExecutor(CHATS) as pool:
            list(pool.map(ask, range(CHATS)))
        return time.perf_counter() - start
    finally:
        timer.cancel()
        engine.close()


def machine() -> str:
    """What a measurement is good for."""
    return f"{platform.machine()} {platform.processor()} {os.cpu_count()} {openvino_release()}"


def openvino_release() -> str | None:
    """The release of OpenVINO that is installed; None where there is no build of it."""
    try:
        return version("openvino")
    except PackageNotFoundError:
        return None


def resolved(settings: Settings) -> str:
    """The engine that `WORKBOOK_ENGINE` asks for; the faster one if it says nothing.

    Raises `CourseError` for an unknown name, or for one that is not installed.
    """
    asked = settings.engine
    if asked == AUTO:
        return chosen(settings).name
    if asked not in (LLAMA_CPP, OPENVINO):
        fix = f"write {AUTO}, {LLAMA_CPP} or {OPENVINO}"
        raise CourseError(f"there is no engine {asked!r} (WORKBOOK_ENGINE)", fix=fix)
    if asked == OPENVINO and openvino_release() is None:
        fix = f"set WORKBOOK_ENGINE to {LLAMA_CPP}, or leave it out"
        raise CourseError("OpenVINO has no build for this machine", fix=fix)
    return asked


def _file(settings: Settings) -> Path:
    return settings.state / "engine.json"
