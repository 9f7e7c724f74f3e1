"""Whether two questions ask the same thing, as far as their words can tell.

For: near duplicates, contradictions, splitting and the check for leakage, which all use
this one measure. Two questions are the same if what stands in them apart from politeness
is equal word by word, but for a slip of the pen. "the Titanium card" and "the Titanium
Royale card" are two questions, however many letters they share. Not for: the same thing
asked in other words, which no rule finds.

    same_questions(["How do I pay?", "how do I pay, please", "How do I pray?"]).members()
    # [[0, 1]]
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import OSA

from helpers.datasets import dedup

_FILLER_WORDS = (
    "a an the please pls kindly hi hello hey dear thanks thank you i im m s me my mine we our us "
    "can could would will may do does did is am are be just really actually so and it this that "
    "der die das den dem ein eine einen einem einer bitte hallo guten tag danke ich mich mir mein "
    "meine meinen meinem meiner wir uns unser unsere kann könnte können bin ist sind mal denn und "
    "le la les un une des bonjour merci je mon ma mes nous notre peux puis pouvez vous est suis "
    "el los las una unos unas hola gracias yo mi mis puedo puede es por favor "
    "il lo gli uno ciao grazie io mio mia posso è per favore de het een hallo dank ik mijn"
)
_FILLERS = frozenset(_FILLER_WORDS.split())
"""Words that do not change what is asked, in the languages that a desk meets most. Left out
are all that may: not, on and off, to and from, who, how and when."""
_TYPO_FROM, _TWO_TYPOS_FROM = 5, 9
"""Letters of a word from which one, and two, wrong ones are a slip of the pen."""
LONGEST = 2000
"""Letters of a question that are compared."""
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
"""Scripts without blanks, in which one letter may be another word."""


def content_words(plain: str) -> tuple[str, ...]:
    """The words of a normalised text that say what it is about; all, if they are fillers."""
    words = plain.split()
    return tuple(word for word in words if word not in _FILLERS) or tuple(words)


class QuestionTexts:
    """Normalised questions and their words, for comparing any two of them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.plain = [dedup.normalise(text[:LONGEST]) for text in texts]
        self.words = [content_words(text) for text in self.plain]
        self._rows_with = Counter(word for words in self.words for word in set(words))

    def __len__(self) -> int:
        return len(self.plain)

    def same(self, one: int, other: int) -> bool:
        """Whether two rows say the same word by word, but for a slip of the pen."""
        first, second = self.words[one], self.words[other]
        if first == second:
            return True
        if len(first) != len(second):
            return "".join(first) == "".join(second)
        pairs = [pair for pair in zip(first, second, strict=True) if pair[0] != pair[1]]
        return all(self._slip(*pair) for pair in pairs)

    def similarity(self, one: int, other: int) -> float:
        """How far the letters of two rows overlap, 0 to 1."""
        return dedup.jaccard(*(dedup.shingles(self.plain[row]) for row in (one, other)))

    def _slip(self, one: str, other: str) -> bool:
        """Whether one word is the other, misspelt: a word that other rows use is none."""
        short, long = sorted((one, other), key=len)
        if len(short) >= _TYPO_FROM - 1 and long == f"{short}s":
            return True
        if len(short) < _TYPO_FROM or any(letter.isdigit() for letter in one + other):
            return False
        if min(self._rows_with[one], self._rows_with[other]) > 1 or _UNSPACED.search(one + other):
            return False
        allowed = 1 if len(short) < _TWO_TYPOS_FROM else 2
        return OSA.distance(one, other, score_cutoff=allowed) <= allowed


def same_questions(texts: Sequence[str], *, threshold: float = dedup.THRESHOLD) -> dedup.Groups:
    """Groups of rows that ask the same."""
    questions = QuestionTexts(texts)
    union = dedup.Union(len(texts))
    first: dict[tuple[str, ...], int] = {}
    for row, words in enumerate(questions.words):
        union.join(first.setdefault(words, row), row)
    # The rest is found among one row of each set of words: long tables repeat themselves.
    rows = np.array(sorted(first.values()), np.int64)
    alike = dedup.near_duplicates(
        [questions.plain[row] for row in rows.tolist()],
        threshold=threshold,
        same=lambda one, other: questions.same(int(rows[one]), int(rows[other])),
    )
    for place, root in enumerate(alike.labels.tolist()):
        union.join(int(rows[root]), int(rows[place]))
    return union.groups()


def asked_in_both(
    known: Sequence[str], asked: Sequence[str], *, threshold: float = dedup.THRESHOLD
) -> dict[int, int]:
    """For each row of `asked` that `known` asks too, a row of `known` that does.

    Here the letters must overlap as well, to the threshold: a test may ask in other words.
    """
    questions = QuestionTexts([*known, *asked])
    first = {words: row for row, words in reversed([*enumerate(questions.words[: len(known)])])}
    pairs = [
        (first[words], row)
        for row, words in enumerate(questions.words[len(known) :], start=len(known))
        if words in first
    ]
    found: dict[int, int] = {}
    for one, other in [*pairs, *_across(questions, len(known), threshold)]:
        if other - len(known) not in found and questions.similarity(one, other) >= threshold:
            found[other - len(known)] = one
    return found


def _across(questions: QuestionTexts, known: int, threshold: float) -> Iterator[tuple[int, int]]:
    """Pairs of a known and an asked row that may be similar and ask the same."""
    signed = dedup.signatures(questions.plain)
    for found in dedup.candidates(signed):
        pairs = _crossing(found, known)
        pairs = pairs[dedup.estimate(signed, pairs) >= threshold - dedup.MARGIN]
        for one, other in pairs.tolist():
            if questions.same(one, other):
                yield one, other


def _crossing(pairs: npt.NDArray[np.int64], known: int) -> npt.NDArray[np.int64]:
    """Those pairs of which one row is known and the other is not, in that order."""
    ordered = np.sort(pairs, axis=1)
    return ordered[(ordered[:, 0] < known) & (ordered[:, 1] >= known)]
