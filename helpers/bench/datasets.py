"""How fast the dataset tools are, against OpenAI's published checks and the clock.

For: the rows of the benchmark's table about datasets. Not for: checking a dataset.

    with measuring(root) as measurements:
        measurements["validate"]()
"""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from helpers.base import jsonl, settings
from helpers.base.tokens import openai_tokenizer
from helpers.bench.measurements import BenchRow, Measurement
from helpers.bench.published_checks import check_file
from helpers.datasets.dedup import near_duplicates
from helpers.datasets.token_counts import OpenAICounter
from helpers.datasets.validation.file import validate_file

NAMES = ("validate", "validate-tokens", "validate-memory", "near-duplicates")
EXAMPLES = 100_000
SYSTEM = "You answer for the support desk of a fibre provider, in two sentences, with its facts."


@contextmanager
def measuring(root: Path, *, examples: int = EXAMPLES) -> Iterator[Mapping[str, Measurement]]:
    """All measurements of this group, on one file that is made in the state's cache."""
    path = settings.load().state / "cache" / f"bench-{examples}.jsonl"
    jsonl.write(path, made_examples(examples))
    try:
        yield {
            "validate": lambda: _form(path, examples),
            "validate-tokens": lambda: _form_and_tokens(path, examples),
            "validate-memory": lambda: _memory(path, examples),
            "near-duplicates": lambda: duplicates_row(examples),
        }
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
    """Three thousand invented words of one to three syllables."""
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


def _form(path: Path, examples: int) -> BenchRow:
    ours = _seconds(lambda: validate_file(path))
    theirs = _seconds(lambda: check_file(path, None))
    return BenchRow("validate", f"validate {examples:,} examples: form alone", "s", ours, theirs)


def _form_and_tokens(path: Path, examples: int) -> BenchRow:
    encoding = openai_tokenizer()
    # Loading the tables is not what is compared.
    encoding.encode("warm")
    count = OpenAICounter()
    ours = _seconds(lambda: validate_file(path, count_tokens=count, max_tokens=65_536), runs=2)
    theirs = _seconds(lambda: check_file(path, encoding.encode), runs=2)
    what, aim = f"validate {examples:,} examples: form and tokens", "at least 5 times faster"
    return BenchRow("validate-tokens", what, "s", ours, theirs, aim, theirs >= 5 * ours)


def _memory(path: Path, examples: int) -> BenchRow:
    ours, theirs = _peak(lambda: validate_file(path)), _peak(lambda: check_file(path, None))
    what, aim = f"peak memory of validating {examples:,} examples", "constant: under 20 MB"
    return BenchRow("validate-memory", what, "MB", ours, theirs, aim, ours < 20)


def _peak(work: Callable[[], Any]) -> float:
    """Megabytes that Python held at most while working."""
    # Python's own allocations; it slows the work down, so that time is measured elsewhere.
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def duplicates_row(examples: int) -> BenchRow:
    """Every fifth text is another one with a word more."""
    texts = [example["messages"][1]["content"] for example in made_examples(examples)]
    # Every fifth row is nearly another one: something has to be found.
    for place in range(0, examples, 5):
        texts[place] = texts[(place + 7) % examples] + " please"
    taken = _seconds(lambda: near_duplicates(texts), runs=1)
    what = f"near duplicates of {examples:,} rows"
    return BenchRow("near-duplicates", what, "s", taken, None, "within 60 s", taken <= 60)
