"""How cost grows with work: jobs, streams, files, indices and tables of growing size.

For: `python3 -m helpers bench growth`, which also draws growth.svg beside bench.md. It takes an
hour or so and some GB of disk. Not for: comparing with other programs, see the other groups.

    with measuring(root) as measurements:
        measurements["job-200"]()
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.base import jsonl, settings
from helpers.bench import datasets, retrieval
from helpers.bench.measurements import BenchRow, Measurement
from helpers.bench.serving import PROMPT, QUIET_SECONDS, chat, fresh_server
from helpers.bench.training import prepared, train_once
from helpers.datasets.validation.file import validate_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from openai import OpenAI

SIZES = {
    "job": (50, 200, 800, 3_200),
    "streams": (1, 4, 16, 64, 256),
    "latency": (1, 4, 16, 64, 256),
    "validate": (10, 100, 1_000),
    "search": (10_000, 100_000, 1_000_000),
    "recall": (10_000, 100_000, 1_000_000),
    "duplicates": (10_000, 100_000, 1_000_000),
}
"""By kind: examples, chats at once (twice), megabytes, chunks (twice), rows."""
AXES = {
    "job": ("examples, one epoch", "s"),
    "streams": ("chats at once", "tokens/s"),
    "latency": ("chats at once", "s for a whole answer"),
    "validate": ("megabytes", "s"),
    "search": ("chunks", "ms for a hybrid search"),
    "recall": ("chunks", "share of the ten nearest"),
    "duplicates": ("rows", "s"),
}
NAMES = tuple(f"{kind}-{size}" for kind, sizes in SIZES.items() for size in sizes)
BATCH, TOKENS = 8, 48
PANELS = 4
"""Side by side in the figure."""


@contextmanager
def measuring(root: Path) -> Iterator[Mapping[str, Measurement]]:
    """All measurements of this group; what two kinds share is measured once."""
    with ExitStack() as stack:
        growth = Growth(root, stack)
        yield {
            f"{kind}-{size}": partial(getattr(growth, kind), size)
            for kind, sizes in SIZES.items()
            for size in sizes
        }


class Growth:
    """The measurements, and the server and indices that several of them need."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self._root, self._stack = root, stack
        self._asked: dict[int, tuple[float, float]] = {}
        self._searched: dict[int, tuple[float, float]] = {}

    def job(self, examples: int) -> BenchRow:
        """The desk's examples, repeated where there are too few: the trainer does not mind."""
        work = settings.load().state / "bench" / f"growth-{examples}"
        spec = prepared(self._root, work)
        source = list(jsonl.read(self._root / "data/support/train.jsonl"))
        jsonl.write(work / "train.jsonl", itertools.islice(itertools.cycle(source), examples))
        alone = replace(spec, validation_file=None, n_epochs=1, batch_size=BATCH)
        start = time.perf_counter()
        _, memory = train_once(alone, work / "job")
        taken = time.perf_counter() - start
        what = f"a job of {examples:,} examples, one epoch, start to end ({memory:,.0f} MB)"
        return BenchRow(f"job-{examples}", what, "s", taken)

    def streams(self, number: int) -> BenchRow:
        what = f"{number} chats at once"
        return BenchRow(f"streams-{number}", what, "tokens/s", self._chats(number)[0])

    def latency(self, number: int) -> BenchRow:
        what = f"a whole answer of {TOKENS} tokens, median of {number} at once"
        return BenchRow(f"latency-{number}", what, "s", self._chats(number)[1])

    @cached_property
    def _client(self) -> OpenAI:
        # A full server refuses with 429, and the client asks again: that waiting counts too.
        client = self._stack.enter_context(fresh_server())[1].with_options(max_retries=100)
        chat(client, 1)
        return client

    def _chats(self, number: int) -> tuple[float, float]:
        """Tokens a second, and the median seconds of an answer."""
        if number not in self._asked:
            client = self._client
            time.sleep(QUIET_SECONDS)
            start = time.perf_counter()
            with ThreadPoolExecutor(number) as pool:
                taken = list(pool.map(partial(_answer, client), range(number)))
            whole = time.perf_counter() - start
            self._asked[number] = number * TOKENS / whole, statistics.median(taken)
        return self._asked[number]

    def validate(self, megabytes: int) -> BenchRow:
        """Form alone, as in the row of 100,000 examples."""
        path = settings.load().state / "cache" / f"growth-{megabytes}.jsonl"
        try:
            rows = datasets.made_examples(megabytes * 1_000_000 // EXAMPLE_BYTES)
            jsonl.write(path, rows)
            size = path.stat().st_size / 1e6
            taken = _seconds(lambda: validate_file(path))
        finally:
            path.unlink(missing_ok=True)
        what = f"validate a file of {size:,.0f} MB: form alone"
        return BenchRow(f"validate-{megabytes}", what, "s", taken)

    def search(self, chunks: int) -> BenchRow:
        middle = self._index(chunks)[0]
        what = f"hybrid search in {chunks:,} chunks, median"
        return BenchRow(f"search-{chunks}", what, "ms", middle, aim="under 10", holds=middle < 10)

    def recall(self, chunks: int) -> BenchRow:
        share = self._index(chunks)[1]
        what = f"share of the ten nearest of {chunks:,} chunks that the graph index finds"
        return BenchRow(
            f"recall-{chunks}", what, "", share, aim="at least 0.95", holds=share >= 0.95
        )

    def _index(self, chunks: int) -> tuple[float, float]:
        """Milliseconds of a hybrid search, and the recall of a dense one."""
        if chunks not in self._searched:
            with retrieval.measuring(self._root, chunks=chunks) as rows:
                found = rows["search-hybrid"]().ours, rows["search-agreement"]().ours
            self._searched[chunks] = found
        return self._searched[chunks]

    def duplicates(self, rows: int) -> BenchRow:
        taken = datasets.duplicates_row(rows).ours
        return BenchRow(f"duplicates-{rows}", f"near duplicates of {rows:,} rows", "s", taken)


EXAMPLE_BYTES = 560
"""About as long as a made example is as a line."""


def _answer(client: OpenAI, number: int) -> float:
    return _seconds(lambda: chat(client, TOKENS, prompt=f"{number}. {PROMPT}"))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def figure(rows: Sequence[BenchRow]) -> Figure:
    """A panel for each kind that was measured, both axes logarithmic."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter, NullLocator

    by_kind: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        kind, _, size = row.name.rpartition("-")
        if kind in AXES and size.isdecimal():
            by_kind.setdefault(kind, []).append((int(size), row.ours))
    across = min(len(by_kind), PANELS) or 1
    down = -(-len(by_kind) // across) or 1
    drawn = Figure(figsize=(3 * across, 2.6 * down), layout="constrained")
    panels = drawn.subplots(down, across, squeeze=False).flat
    for (kind, points), ax in zip(by_kind.items(), panels, strict=False):
        sizes, values = zip(*sorted(points), strict=True)
        ax.plot(sizes, values, marker="o")
        # A share lies between 0 and 1, where powers of ten show nothing.
        ax.set(xscale="log", yscale="linear" if kind == "recall" else "log")
        ax.set(xlabel=AXES[kind][0], ylabel=AXES[kind][1], title=kind)
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xticks(sizes, labels=[_short(size) for size in sizes])
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter() if max(values) > 5 * min(values) else "{x:g}")
        ax.spines[["top", "right"]].set_visible(False)
    for ax in panels:
        ax.set_visible(False)
    return drawn


def _short(size: int) -> str:
    """10 k for 10,000, 1 M for 1,000,000."""
    for one, sign in ((1_000_000, " M"), (1_000, " k")):
        if size >= one:
            return f"{size / one:g}{sign}"
    return str(size)
