"""Problems that show only across examples or inside their texts.

For: duplicates, contradictory answers, class balance, damaged letters, personal data,
and leakage between two files. Keeps fingerprints and signatures, about 1 KB an example,
never the texts. Not for: the form of an example, see `schema`.

    for found in leakage("train.jsonl", "test.jsonl"):
        print(found)        # line 12: leakage: …
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ftfy.badness
import numpy as np

from helpers.base import files, jsonl
from helpers.datasets import dedup, personal_data
from helpers.datasets.checkable_facts import NUMBER, contradict, facts
from helpers.datasets.example import Kind, kind_of, sides
from helpers.datasets.same_question import LONGEST, asked_in_both
from helpers.datasets.validation.codes import Problem, problem
from helpers.datasets.validation.schema import short

NEAR = 0.8
"""Similarity from which two whole examples count as near duplicates."""
CLASSES = 50
"""Most distinct answers for which a file is taken for a classification task."""
IMBALANCE = 10
"""How many times more frequent than the rarest the most frequent class may be."""
SEEN = 2**18
"""Letters of a text that count for its likeness to others: what is beyond 65,536 tokens is
cut off in training, and one endless line must not fill the memory."""


class CrossChecker:
    """Looks at the examples of one file in turn, then at what they have in common."""

    def __init__(self, *, label: str | None = None, keep: Collection[str] = ()) -> None:
        self.label, self.keep = label, keep
        # Arrays of 8 bytes a number: a list of Python's integers would take several times as much.
        self._lines = array("q")
        self._whole = array("Q")
        self._signing, self._asked = dedup.MinHasher(), dedup.MinHasher()
        self._numbers = array("Q")
        self._first_facts: dict[int, tuple[int, frozenset[str]]] = {}
        self._classes: Counter[str] = Counter()
        self._spelt: dict[str, str] = {}
        self._many_classes = False
        self._systems: dict[str, int] = {}

    def look(self, line: int, kind: Kind, example: dict[str, Any]) -> Iterator[Problem]:
        """Problems of one example, and contradictions to earlier ones."""
        seen = sides(kind, example)
        if seen.system not in self._systems:
            # Checked once, however many examples repeat it.
            self._remember(seen.system)
            yield from _text_problems(line, seen.system, self.keep)
        spoken = f"{seen.question}\n{seen.answer}"
        yield from _text_problems(line, spoken, self.keep)
        plain = dedup.normalise(spoken)
        system = self._systems[seen.system]
        self._lines.append(line)
        # The same question under another system prompt is another example.
        self._whole.append(dedup.hash64(plain) ^ system)
        self._signing.add(plain[:SEEN])
        self._asked.add(dedup.normalise(seen.question)[:SEEN])
        # Near duplicates with other numbers are two examples: "size 38", "size 39".
        self._numbers.append(dedup.hash64(" ".join(NUMBER.findall(spoken))))
        self._count_class(example, seen.answer)
        asked = dedup.fingerprint(seen.question) ^ system
        stated = facts(seen.answer)
        first, known = self._first_facts.setdefault(asked, (line, stated))
        if contradict(known, stated):
            text = f"Line {line} answers the question of line {first} with other facts"
            here, there = sorted(stated - known), sorted(known - stated)
            detail = f"{short(', '.join(here))} against {short(', '.join(there))}"
            yield problem("contradictory_answers", line, f"{text}: {detail}")

    def finish(self) -> Iterator[Problem]:
        """Problems of the file as a whole."""
        whole = np.frombuffer(self._whole, np.uint64) if self._whole else np.empty(0, np.uint64)
        _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
        original = first[inverse] if len(whole) else np.empty(0, np.int64)
        for row in np.flatnonzero(original != np.arange(len(whole))).tolist():
            there = self._lines[int(original[row])]
            text = f"Line {self._lines[row]} is the example of line {there} again"
            yield problem("duplicate_example", self._lines[row], text)
        yield from self._near(np.flatnonzero(original == np.arange(len(whole))))
        yield from self._balance()

    def _remember(self, system: str) -> None:
        """Keep the fingerprint of a system prompt; of a thousand, the newest."""
        if len(self._systems) >= 1000:
            del self._systems[next(iter(self._systems))]
        self._systems[system] = dedup.fingerprint(system)

    def _near(self, rows: np.ndarray[Any, np.dtype[np.int64]]) -> Iterator[Problem]:
        """Examples whose whole text and whose question come nearly again, numbers exactly."""
        whole, asked = self._signing.all()[rows], self._asked.all()[rows]
        numbers = np.array(self._numbers, np.uint64)[rows]
        union = dedup.Union(len(rows))
        for pairs in dedup.candidates(whole):
            one, other = pairs[:, 0], pairs[:, 1]
            same = numbers[one] == numbers[other]
            for signed in (whole, asked):
                same &= dedup.estimate(signed, pairs) >= NEAR
            for first, second in pairs[same].tolist():
                union.join(first, second)
        labels = union.groups().labels
        for place in np.flatnonzero(labels != np.arange(len(labels))).tolist():
            line, there = (self._lines[int(rows[i])] for i in (place, int(labels[place])))
            text = f"Line {line} is nearly the example of line {there}"
            yield problem("near_duplicate", line, text)

    def _count_class(self, example: dict[str, Any], answer: str) -> None:
        if self._many_classes:
            return
        held = example.get("metadata")
        for place in (example, held if isinstance(held, dict) else {}):
            if self.label is not None and self.label in place:
                # A label that was named stands for the answer, however long the answers are.
                answer = str(place[self.label])
        # As a label is compared: its signs tell it from others, as in "-1" and "1".
        plain = " ".join(answer.casefold().split())[:100]
        self._classes[plain] += 1
        self._spelt.setdefault(plain, answer.strip()[:100])
        if self.label is None and len(self._classes) > CLASSES:
            self._many_classes = True
            self._classes.clear()
            self._spelt.clear()

    def _balance(self) -> Iterator[Problem]:
        counts = self._classes.most_common()
        total = sum(self._classes.values())
        repeated = self.label is not None or total >= 3 * len(counts)
        if len(counts) < 2 or not repeated:
            return
        (most, often), (least, rarely) = counts[0], counts[-1]
        if often >= IMBALANCE * rarely:
            most, least = (short(self._spelt[plain]) for plain in (most, least))
            text = f'"{most}" is the class of {often} examples, "{least}" of {rarely}'
            yield problem("class_imbalance", 0, text)


def _text_problems(line: int, text: str, keep: Collection[str]) -> Iterator[Problem]:
    # A text of plain letters cannot be damaged, and the look for it is slow.
    if not text.isascii() and ("\ufffd" in text or ftfy.badness.is_bad(text)):
        yield problem("damaged_text", line, f"Line {line} holds wrongly decoded letters")
    for finding in personal_data.find(text, keep=keep):
        code = "secret_key" if finding.kind == "key" else "personal_data"
        message = f"Line {line} holds a value that looks like {_NAMES[finding.kind]}"
        yield problem(code, line, f"{message}: {finding.masked}")


_NAMES = {
    "key": "an API key",
    "email": "an e-mail address",
    "iban": "a bank account",
    "card": "a payment card",
    "phone": "a phone number",
}


@dataclass(frozen=True)
class FileQuestions:
    """The questions of one file: line, fingerprint and text of each."""

    lines: Sequence[int]
    prints: Sequence[int]
    texts: Sequence[str]


class QuestionCollector:
    """Keeps what `leaks` needs of each question.

    Of long questions the beginning is held: texts in memory stay below their file.
    """

    def __init__(self) -> None:
        self._lines: list[int] = []
        self._prints: list[int] = []
        self._texts: list[str] = []

    def look(self, line: int, kind: Kind, example: dict[str, Any]) -> Iterator[Problem]:
        """Remember one question; it shows no problem by itself."""
        question = sides(kind, example).question
        self._lines.append(line)
        self._prints.append(dedup.fingerprint(question))
        self._texts.append(question[:LONGEST])
        return iter(())

    def finish(self) -> Iterator[Problem]:
        """Nothing: leakage shows between two files."""
        return iter(())

    def all(self) -> FileQuestions:
        """The questions so far."""
        return FileQuestions(self._lines, self._prints, self._texts)


def leakage(train: files.Readable, other: files.Readable) -> list[Problem]:
    """Questions of `other` that `train` asks too, equal or but for a slip of the pen.

    The measure is that of `split` (`same_question`), so that what it split passes. Lines are
    those of `other`. Two files with the same questions give the single problem `same_file`.
    Lines that cannot be read are passed over: `validate_file` reports those.
    """
    return leaks(_questions(train), _questions(other))


def leaks(learnt: FileQuestions, asked: FileQuestions) -> list[Problem]:
    """As `leakage`, for files whose questions were collected while they were checked."""
    if asked.prints and set(asked.prints) == set(learnt.prints):
        return [problem("same_file", 0, "Both files hold the same questions")]
    # From behind, so that the first line with a question is the one that is named.
    places = dict(zip(reversed(learnt.prints), reversed(learnt.lines), strict=True))
    near = asked_in_both(learnt.texts, asked.texts)
    found = []
    for row, (line, mark) in enumerate(zip(asked.lines, asked.prints, strict=True)):
        if mark in places:
            text = f"The question of line {line} is that of line {places[mark]} in training"
            found.append(problem("leakage", line, text))
        elif row in near:
            there = learnt.lines[near[row]]
            text = f"Line {line} asks but for a few letters what line {there} in training asks"
            remedy = f"remove line {line} here, or line {there} from training"
            found.append(problem("near_leakage", line, text, fix=remedy))
    return found


def _questions(source: files.Readable) -> FileQuestions:
    collector = QuestionCollector()
    for line in jsonl.lines(source):
        try:
            example = None if line.over_long else jsonl.parse(line.raw)
        except ValueError:
            continue
        kind = kind_of(example) if isinstance(example, dict) else None
        if kind is not None and isinstance(example, dict):
            collector.look(line.number, kind, example)
    return collector.all()
