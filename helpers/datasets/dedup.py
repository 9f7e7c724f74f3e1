"""Exact and near duplicates among many texts.

For: 100,000 rows in seconds on two cores. Near means that the sets of shingles (runs of
five letters) of two normalised texts overlap: their Jaccard similarity reaches a threshold.
Method: MinHash signatures (Broder 1997), candidates by banding (Leskovec, Rajaraman,
Ullman, "Mining of Massive Datasets", chapter 3), each candidate pair checked exactly.
Not for: texts that mean the same in other words; whether two like questions ask for the
same thing, see `same_question`.

    groups = near_duplicates(["The wifi is down", "the WiFi is down!", "A refund"])
    groups.labels       # array([0, 0, 2])
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

SHINGLE = 5
"""Letters in one shingle."""
BANDS, ROWS = 24, 4
"""24 bands of 4 rows: a pair of similarity 0.6 becomes a candidate with 97 % chance,
one of 0.7 with 99.8 %."""
THRESHOLD = 0.6
NEIGHBOURS = 8
"""Rows of one bucket that each row is compared with: bounds the work of large buckets,
whose rows are joined through one another all the same."""
MARGIN = 0.2
"""Pairs whose estimated similarity is this far below the threshold are not checked."""
BATCH = 200_000
"""Letters hashed at a time: bounds the memory, and fits into a processor's cache."""

_WORDS = re.compile(r"\w+(?:[+#]+(?!\w))?|[$€£¥₹%]")
"""Words; "C++", "C#" and "A+" keep the signs that tell them apart, and so do "$1" and "£1"."""

Hashes = npt.NDArray[np.uint64]
Signatures = npt.NDArray[np.uint32]


def normalise(text: str) -> str:
    """Lower case, one space between words and units, no punctuation, compatible letters equal."""
    folded = (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold()
    # A text of signs alone, "???", has no words and stays what it is.
    return " ".join(_WORDS.findall(folded)) or folded.strip()


def fingerprint(text: str) -> int:
    """64 bits that are equal for texts whose normal form is equal."""
    return hash64(normalise(text))


def hash64(plain: str) -> int:
    """64 bits of a text that is normalised already."""
    data = plain.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())


@dataclass(frozen=True)
class Groups:
    """Which rows belong together: each row carries the index of its group's first row."""

    labels: npt.NDArray[np.int64]

    def members(self) -> list[list[int]]:
        """Each group of two or more rows, as ascending row indices."""
        order = np.argsort(self.labels, kind="stable")
        cuts = np.flatnonzero(np.diff(self.labels[order])) + 1
        return [group.tolist() for group in np.split(order, cuts) if len(group) > 1]

    @property
    def repeated(self) -> int:
        """Rows that are not the first of their group."""
        return int(np.count_nonzero(self.labels != np.arange(len(self.labels))))


class Union:
    """Union-find over row indices; the smallest index of a group is its root."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, row: int) -> int:
        """The first row of this row's group."""
        parent = self._parent
        while parent[row] != row:
            # Halves the way for the next look, so that long chains never form.
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    def join(self, one: int, other: int) -> None:
        """Put two rows into one group."""
        # The smaller index stays the root, whatever the order of joining: groups name their first.
        first, second = sorted((self.root(one), self.root(other)))
        self._parent[second] = first

    def groups(self) -> Groups:
        """The groups as they are now."""
        return Groups(np.array([self.root(row) for row in range(len(self._parent))], np.int64))


def exact_duplicates(texts: Sequence[str]) -> Groups:
    """Groups of rows whose normal form is equal."""
    first: dict[int, int] = {}
    labels = [first.setdefault(fingerprint(text), row) for row, text in enumerate(texts)]
    return Groups(np.array(labels, np.int64))


def near_duplicates(texts: Sequence[str], *, threshold: float = THRESHOLD) -> Groups:
    """Groups of rows that are nearly equal, directly or through a row between them."""
    exact = exact_duplicates(texts)
    union = Union(len(texts))
    for group in exact.members():
        for row in group[1:]:
            union.join(group[0], row)
    rows = np.flatnonzero(exact.labels == np.arange(len(texts)))
    _join_similar([normalise(texts[row]) for row in rows.tolist()], rows, union, threshold)
    return union.groups()


def _join_similar(
    plain: Sequence[str], rows: npt.NDArray[np.int64], union: Union, threshold: float
) -> None:
    """Join those of `rows` whose normalised texts are similar."""

    @lru_cache(maxsize=1024)
    def shingles_of(place: int) -> frozenset[str]:
        return shingles(plain[place])

    signed = signatures(plain)
    roots = rows
    for turn, pairs in enumerate(candidates(signed)):
        # Roots that are a little old leave out fewer pairs, and never one too many.
        roots = union.groups().labels[rows] if turn % NEIGHBOURS == 0 else roots
        pairs = pairs[roots[pairs[:, 0]] != roots[pairs[:, 1]]]
        pairs = pairs[estimate(signed, pairs) >= threshold - MARGIN]
        # Sorted, so that a row's pairs come together and its shingles are made once.
        for first, second in pairs[np.argsort(pairs[:, 0])].tolist():
            one, other = int(rows[first]), int(rows[second])
            # Joined meanwhile, by a pair of this turn: the exact comparison is spared.
            if union.root(one) == union.root(other):
                continue
            if jaccard(shingles_of(first), shingles_of(second)) >= threshold:
                union.join(one, other)


def estimate(signed: Signatures, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Similarity of pairs by their signatures; off by 0.05 (one standard error)."""
    parts = [pairs[i : i + BATCH // 10] for i in range(0, len(pairs), BATCH // 10)]
    shares = [(signed[part[:, 0]] == signed[part[:, 1]]).mean(axis=1) for part in parts]
    return np.concatenate([np.empty(0), *shares])


def shingles(plain: str) -> frozenset[str]:
    """All shingles of a normalised text; a shorter text is one shingle."""
    return frozenset(plain[i : i + SHINGLE] for i in range(max(1, len(plain) - SHINGLE + 1)))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Shared shingles in proportion to all shingles, 0 to 1."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


class MinHasher:
    """MinHash signatures of normalised texts, made in batches that bound the memory."""

    def __init__(self) -> None:
        self._done: list[Signatures] = [np.empty((0, BANDS * ROWS), np.uint32)]
        self._waiting: list[str] = []
        self._letters = 0

    def add(self, plain: str) -> None:
        """Take the next text."""
        self._waiting.append(plain)
        self._letters += len(plain)
        if self._letters >= BATCH:
            self._sign()

    def all(self) -> Signatures:
        """The signatures of all texts so far, in their order: (texts, BANDS * ROWS)."""
        self._sign()
        return np.concatenate(self._done)

    def _sign(self) -> None:
        if self._waiting:
            self._done.append(_batch(self._waiting))
        self._waiting, self._letters = [], 0


def signatures(plain: Iterable[str]) -> Signatures:
    """MinHash signatures of normalised texts: (texts, BANDS * ROWS)."""
    hasher = MinHasher()
    for text in plain:
        hasher.add(text)
    return hasher.all()


def _batch(plain: Sequence[str]) -> Signatures:
    """Signatures of some texts: hash every shingle once, then take minima of mixed hashes."""
    # A text that is shorter than a shingle is filled up to one.
    padded = [text.ljust(SHINGLE, "\0") for text in plain]
    # One number a letter, whatever its script.
    letters = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.fromiter(map(len, padded), np.int64, len(padded))
    hashes = _shingle_hashes(letters.astype(np.uint64))
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    # All texts stand in one row of letters: a run that reaches into the next one is no shingle.
    inside = np.ones(len(letters), bool)
    for back in range(1, SHINGLE):
        inside[starts + lengths - back] = False
    hashes = hashes[inside[: len(hashes)]]
    counts = lengths - SHINGLE + 1
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    result = np.empty((len(plain), BANDS * ROWS), np.uint32)
    for column, (factor, offset) in enumerate(_mixers()):
        # Of a product's bits the upper ones are the well mixed ones.
        mixed = ((hashes * factor + offset) >> np.uint64(32)).astype(np.uint32)
        result[:, column] = np.minimum.reduceat(mixed, first)
    return result


def _shingle_hashes(letters: Hashes) -> Hashes:
    """A 64-bit hash of each run of SHINGLE letters."""
    size = len(letters) - SHINGLE + 1
    hashes = np.zeros(size, np.uint64)
    for place in range(SHINGLE):
        # 2**64 divided by the golden ratio: near values end far apart (Knuth, volume 3, 6.4).
        hashes = (hashes ^ letters[place : place + size]) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(32)
    return hashes


def _mixers() -> list[tuple[np.uint64, np.uint64]]:
    """A factor and an offset for each row of the signature; always the same."""
    random = np.random.default_rng(0)
    drawn = random.integers(0, 2**63, size=(BANDS * ROWS, 2), dtype=np.uint64)
    # An odd factor only reorders the hashes: no two become one.
    return [(factor | np.uint64(1), offset) for factor, offset in drawn]


def candidates(signed: Signatures) -> Iterator[npt.NDArray[np.int64]]:
    """Pairs of rows that agree in a whole band, as arrays (pairs, 2); some come again."""
    for band in range(BANDS):
        keys = _band_keys(signed, band)
        # Sorted, the rows of a bucket stand side by side: no table of buckets is needed.
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        for apart in range(1, min(NEIGHBOURS + 1, len(order))):
            same = np.flatnonzero(ordered[:-apart] == ordered[apart:])
            if not len(same):
                break
            yield np.stack((order[same], order[same + apart]), axis=1)


def _band_keys(signed: Signatures, band: int) -> Hashes:
    """One 64-bit hash of each row's part in a band."""
    keys = np.zeros(len(signed), np.uint64)
    for column in range(band * ROWS, (band + 1) * ROWS):
        keys = (keys ^ signed[:, column]) * np.uint64(0xD6E8FEB86659FD93)
        keys ^= keys >> np.uint64(32)
    return keys
