"""Whether two questions ask the same thing, as far as their words can tell.

For: near duplicates, contradictions, splitting and the check for leakage, which all use
this one measure. Two questions are the same if what stands in them apart from politeness
is equal word by word, but for a slip of the pen. "the Titanium card" and "the Titanium
Royale card" are two questions, however many letters they share. Strictly, which is how rows
are deleted, only politeness and articles may differ. Not for: the same thing asked in other
words, which no rule finds.

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
    "a an the please pls kindly hi hello hey dear thanks thank you i im me my mine we our us "
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
_POLITE_WORDS = (
    "a an the please pls kindly hi hello hey dear thanks "
    "der die das den dem ein eine einen einem einer bitte hallo danke "
    "le la les un une des bonjour merci el los las una unos unas hola gracias "
    "il lo gli uno ciao grazie het een dank"
)
_POLITE = frozenset(_POLITE_WORDS.split())
"""Without these nothing is lost: not even who asks, or whether he asks for it or about it."""
_SHORTENED = re.compile(r"['’´`][sm]\b", re.IGNORECASE)
"""Of "what's" and "I'm"; alone the letters are a size or a plan."""
_ACRONYM = re.compile(r"\b[A-Z]{2,3}\b")
"""Among small letters, "to the US" and "the IT desk" hold no pronouns."""
_TYPO_FROM, _TWO_TYPOS_FROM = 5, 9
"""Letters of a word from which one, and two, wrong ones are a slip of the pen."""
_PREFIX_WORDS = (
    "in de un re im ex en em dis mis pre post sub up down out over under "
    "an ab auf aus ein zu be ver ent er vor nach um sous sur"
)
_PREFIXES, _LONGEST_PREFIX = frozenset(_PREFIX_WORDS.split()), 5
"""What makes another word, however few letters it takes: no slip of the pen."""
_CAPITAL = re.compile(r"(?<=\s)[^\W\d_a-z]\w+")
Pairs = npt.NDArray[np.int64]

LONGEST = 2000
"""Letters of a question that are compared."""
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
"""Scripts without blanks, in which one letter may be another word."""


def content_words(plain: str, fillers: frozenset[str] = _FILLERS) -> tuple[str, ...]:
    """The words of a normalised text that say what it is about; all, if they are fillers."""
    words = plain.split()
    return tuple(word for word in words if word not in fillers) or tuple(words)


def _named(text: str) -> str:
    """The text with a mark behind words in capitals that would else be fillers."""
    # All in capitals, capitals tell nothing.
    if text.isupper():
        return text
    return _ACRONYM.sub(lambda m: f"{m[0]}_" if m[0].lower() in _FILLERS else m[0], text)


class QuestionTexts:
    """Normalised questions and their words, for comparing any two of them.

    `strictly`: over their whole length, and but for politeness and articles.
    """

    def __init__(self, texts: Iterable[str], *, strictly: bool = False) -> None:
        longest = None if strictly else LONGEST
        fillers = _POLITE if strictly else _FILLERS
        shown = [_named(_SHORTENED.sub(" ", text[:longest])) for text in texts]
        self._names = _names(shown) if strictly else frozenset()
        self.plain = [dedup.normalise(text) for text in shown]
        # A word that many rows have is held once.
        held: dict[str, str] = {}
        self.words = [
            tuple(held.setdefault(word, word) for word in content_words(text, fillers))
            for text in self.plain
        ]
        self.keys = ["".join(map(_singular, words)) for words in self.words]
        """Equal where two rows ask the same without any slip of the pen."""
        self._rows_with = Counter(word for words in self.words for word in set(words))
        self._lengths = np.array([len(words) for words in self.words], np.int64)
        self._rare = np.array([self._holds_rare(words) for words in self.words], bool)

    def same(self, one: int, other: int) -> bool:
        """Whether two rows say the same word by word, but for a slip of the pen."""
        if self.keys[one] == self.keys[other]:
            return True
        first, second = self.words[one], self.words[other]
        pairs = zip(first, second, strict=False)
        return len(first) == len(second) and all(a == b or self._slip(a, b) for a, b in pairs)

    def similarity(self, one: int, other: int) -> float:
        """How far the letters of two rows overlap, 0 to 1."""
        return dedup.jaccard(*(dedup.shingles(self.plain[row]) for row in (one, other)))

    def may_slip(self, pairs: Pairs) -> Pairs:
        """Those pairs that could be the same for all their keys differ: a quick look."""
        one, other = pairs[:, 0], pairs[:, 1]
        # A slip of the pen is a word that no other row has: without one, different keys are
        # different questions.
        rare = self._rare[one] | self._rare[other]
        return pairs[rare & (self._lengths[one] == self._lengths[other])]

    def _holds_rare(self, words: Sequence[str]) -> bool:
        return any(self._rows_with[word] == 1 for word in words)

    def _slip(self, one: str, other: str) -> bool:
        """Whether one word is the other, misspelt: a word that other rows use is none."""
        if _singular(one) == _singular(other):
            return True
        if min(self._rows_with[one], self._rows_with[other]) > 1:
            return False
        short = min(len(one), len(other))
        if short < _TYPO_FROM or any(letter.isdigit() for letter in one + other):
            return False
        if _own_words(one, other) or {one, other} <= self._names:
            return False
        allowed = 1 if short < _TWO_TYPOS_FROM else 2
        # With swaps of neighbours as one mistake: "recieve".
        near = OSA.distance(one, other, score_cutoff=allowed) <= allowed
        return near and not _UNSPACED.search(one + other)


def _names(texts: Iterable[str]) -> frozenset[str]:
    """Words that stand with a capital inside a text: "Ember" and "Amber" may be two plans."""
    return frozenset(word.casefold() for text in texts for word in _CAPITAL.findall(text))


def _own_words(one: str, other: str) -> bool:
    """Whether their form tells that both are meant: "available", "unavailable"; "employee"."""
    short, long = sorted((one, other), key=len)
    # Of one length, and other only in the last two letters: "employee" and "employer" are both
    # words; letters that are merely swapped are a slip.
    other_end = len(short) == len(long) and short[:-2] == long[:-2]
    swapped = sorted(short) == sorted(long)
    return long.endswith(short) or _other_prefix(one, other) or (other_end and not swapped)


def _other_prefix(one: str, other: str) -> bool:
    """Whether two words differ in the prefix alone: "increased", "decreased"; "anmelden"."""
    lengths = range(2, _LONGEST_PREFIX + 1)
    return any(
        {one[:left], other[:right]} <= _PREFIXES and one[left:] == other[right:]
        for left in lengths
        for right in lengths
    )


def _singular(word: str) -> str:
    plural = len(word) >= _TYPO_FROM and word.endswith("s") and not word[-2].isdigit()
    return word[:-1] if plural else word  # "X100S" is another thing than "X100"


def same_questions(
    texts: Sequence[str], *, threshold: float = dedup.THRESHOLD, strictly: bool = False
) -> dedup.Groups:
    """Groups of rows that ask the same; `strictly` in the same words, politeness apart."""
    questions = QuestionTexts(texts, strictly=strictly)
    union = dedup.Union(len(texts))
    first: dict[str, int] = {}
    for row, key in enumerate(questions.keys):
        union.join(first.setdefault(key, row), row)
    # The rest is found among one row of each key: long tables repeat themselves.
    rows = np.array(sorted(first.values()), np.int64)
    signed = dedup.signatures([questions.plain[row] for row in rows.tolist()])
    for pairs in dedup.candidates(signed):
        pairs = pairs[dedup.estimate(signed, pairs) >= threshold - dedup.MARGIN]
        for one, other in questions.may_slip(rows[pairs]).tolist():
            if questions.same(one, other) and questions.similarity(one, other) >= threshold:
                union.join(one, other)
    return union.groups()


def asked_in_both(
    known: Sequence[str], asked: Sequence[str], *, threshold: float = dedup.THRESHOLD
) -> dict[int, int]:
    """For each row of `asked` that `known` asks too, a row of `known` that does.

    Here the letters must overlap as well, to the threshold: a test may ask in other words.
    """
    questions, border = QuestionTexts([*known, *asked]), len(known)
    first = {questions.keys[row]: row for row in reversed(range(border))}
    found: dict[int, int] = {}
    for one, other in _across(questions, border, first, threshold):
        if other - border not in found and questions.similarity(one, other) >= threshold:
            found[other - border] = one
    return found


def _across(
    questions: QuestionTexts, border: int, first: dict[str, int], threshold: float
) -> Iterator[tuple[int, int]]:
    """Pairs of a row before and one behind the border that ask the same."""
    for row, key in enumerate(questions.keys[border:], start=border):
        if key in first:
            yield first[key], row
    signed = dedup.signatures(questions.plain)
    for found in dedup.candidates(signed):
        pairs = questions.may_slip(_crossing(found, border))
        for one, other in pairs[dedup.estimate(signed, pairs) >= threshold - dedup.MARGIN].tolist():
            if questions.same(one, other):
                yield one, other


def _crossing(pairs: Pairs, border: int) -> Pairs:
    """Those pairs of which one row stands before the border and the other does not."""
    ordered = np.sort(pairs, axis=1)
    return ordered[(ordered[:, 0] < border) & (ordered[:, 1] >= border)]
