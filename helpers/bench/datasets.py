"""How fast the dataset tools are, against OpenAI's published checks and the clock.

For: the rows of the benchmark's table about datasets. Not for: checking a dataset.

    rows(folder=Path(".workbook/cache"), examples=100_000)
"""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from helpers import jsonl, settings
from helpers.bench.published_checks import check_file
from helpers.bench.rows import Row
from helpers.datasets.counting import OpenAICounter
from helpers.datasets.dedup import near_duplicates
from helpers.datasets.validate import validate_file
from helpers.tokens import openai_tokenizer

EXAMPLES = 100_000
SYSTEM = "You answer for the support desk of a fibre provider, in two sentences, with its facts."


def rows(folder: Path | None = None, *, examples: int = EXAMPLES) -> list[Row]:
    """Measure everything; the files are made in `folder` (default: the state's cache)."""
    folder = folder or settings.load().state / "cache"
    path = folder / f"bench-{examples}.jsonl"
    jsonl.write(path, made_examples(examples))
    try:
        return [
            *_validation(path, examples),
            _memory(path, examples),
            _near_duplicates(examples),
        ]
    finally:
        path.unlink()


def made_examples(number: int) -> Iterator[dict[str, Any]]:
    """Chat examples of about 80 words, always the same."""
    draw = random.Random(0)
    words = _words(draw)
    for _ in range(number):
        said = [" ".join(draw.choices(words, k=k)) for k in (25, 45)]
        messages = [{"role": "system", "content": SYSTEM}]
        messages.append({"role": "user", "content": said[0]})
        messages.append({"role": "assistant", "content": said[1]})
        yield {"messages": messages}


def _words(draw: random.Random) -> list[str]:
    """Three thousand invented words of two to four syllables."""
    syllables = [a + b for a in "bcdfghklmnprstvw" for b in "aeiou"]
    return ["".join(draw.choices(syllables, k=draw.randint(1, 3))) for _ in range(3000)]


def _seconds(work: Callable[[], Any], *, runs: int = 3) -> float:
    """The shortest of some runs: what the machine can do when nothing disturbs it."""
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def _validation(path: Path, examples: int) -> Iterator[Row]:
    encoding = openai_tokenizer()
    encoding.encode("warm")

    count = OpenAICounter()
    ours = _seconds(lambda: validate_file(path))
    theirs = _seconds(lambda: check_file(path, None))
    name = f"validate {examples:,} examples"
    yield Row(f"{name}: form alone", "s", ours, theirs)
    ours = _seconds(lambda: validate_file(path, count_tokens=count, max_tokens=65_536), runs=2)
    theirs = _seconds(lambda: check_file(path, encoding.encode), runs=2)
    aim = "at least 5 times faster"
    yield Row(f"{name}: form and tokens", "s", ours, theirs, aim, theirs >= 5 * ours)


def _memory(path: Path, examples: int) -> Row:
    ours, theirs = (
        _peak(lambda: validate_file(path)),
        _peak(lambda: check_file(path, None)),
    )
    name = f"peak memory of validating {examples:,} examples"
    return Row(name, "MB", ours, theirs, "constant: under 20 MB", ours < 20)


def _peak(work: Callable[[], Any]) -> float:
    """Megabytes that Python held at most while working."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def _near_duplicates(examples: int) -> Row:
    texts = [example["messages"][1]["content"] for example in made_examples(examples)]
    for place in range(0, examples, 5):
        texts[place] = texts[(place + 7) % examples] + " please"
    taken = _seconds(lambda: near_duplicates(texts), runs=1)
    name = f"near duplicates of {examples:,} rows"
    return Row(name, "s", taken, None, "within 60 s", taken <= 60)
