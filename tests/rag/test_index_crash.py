"""A writer that is killed in the middle of its work leaves an index that holds together."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from helpers.rag.documents import Article
from helpers.rag.index import build, load
from tests.places import ROOT

pytestmark = pytest.mark.slow
unix = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is not a signal of Windows")

SECTIONS, ARTICLES = 40, 3


class Same:
    """An embedder without a model: the vectors do not matter here."""

    name = "same"

    def __call__(self, texts):
        return np.ones((len(texts), 8), np.float32) / 8**0.5


def edition(name, number):
    """An article whose every section names the edition, with one section more in odd ones."""
    parts = [f"## Part {i}\nThis is edition {number}." for i in range(SECTIONS + number % 2)]
    return Article(name, name.upper(), "\n\n".join(parts))


CHANGES = ("add", "delete", "update", "optimize")


def write_and_die(folder, calls):
    """What a killed process does: one upsert, killed after so many changes of the table."""
    from lancedb.merge import LanceMergeInsertBuilder
    from lancedb.table import LanceTable

    left = calls

    def dying(work):
        def call(*args, **kwargs):
            nonlocal left
            result = work(*args, **kwargs)
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    own = load(folder, Same())
    for owner, name in [(LanceMergeInsertBuilder, "execute"), *((LanceTable, n) for n in CHANGES)]:
        setattr(owner, name, dying(getattr(owner, name)))
    own.upsert(*(edition(f"a{i}", 1) for i in range(ARTICLES)))
    print("survived", flush=True)


def write_without_end(folder):
    """The same at a moment that nobody chose: put in one edition after another."""
    own = load(folder, Same())
    for number in range(2, 100_000):
        own.upsert(*(edition(f"a{i}", number) for i in range(ARTICLES)))
        print(number, flush=True)


def started(call):
    return subprocess.Popen(
        [sys.executable, "-c", f"import tests.rag.test_index_crash as t; t.{call}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def whole_edition(folder):
    """The number of the edition that every part of every article in the index is of."""
    own = load(folder, Same())
    editions = set()
    for i in range(ARTICLES):
        texts = [hit.text for hit in own.chunks(f"a{i}")]
        numbers = [int(re.findall(r"edition (\d+)", text)[0]) for text in texts]
        assert len(set(numbers)) == 1, f"a{i}: parts of editions {sorted(set(numbers))}"
        assert len(texts) == SECTIONS + numbers[0] % 2
        editions.add(numbers[0])
    assert len(editions) == 1, f"articles of several editions: {editions}"
    assert own.search("edition", k=1, mode="hybrid")
    return editions.pop()


@pytest.fixture
def folder(tmp_path):
    build([edition(f"a{i}", 0) for i in range(ARTICLES)], Same(), tmp_path)
    return tmp_path


@unix
def test_a_writer_killed_between_two_steps_leaves_old_or_new_and_no_mixture(folder):
    steps = 0
    for calls in range(1, 9):
        writer = started(f"write_and_die({str(folder)!r}, {calls})")
        assert writer.stdout is not None
        survived = "survived" in writer.stdout.read()
        assert writer.wait() == (0 if survived else -signal.SIGKILL)
        assert whole_edition(folder) in (0, 1)
        if survived:
            break
        steps = calls
    assert survived
    assert steps >= 1
    assert whole_edition(folder) == 1


@unix
def test_a_writer_killed_at_any_moment_leaves_what_it_reported(folder):
    writer = started(f"write_without_end({str(folder)!r})")
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(3)]
    time.sleep(0.02)
    os.kill(writer.pid, signal.SIGKILL)
    told += [int(line) for line in writer.stdout.read().split()]
    assert writer.wait() == -signal.SIGKILL
    # At most the write under way came on top of what was reported.
    assert whole_edition(folder) in (told[-1], told[-1] + 1)
    own = load(folder, Same())
    own.upsert(edition("a0", 7))
    assert {hit.text for hit in own.chunks("a0")} == {"This is edition 7."}
