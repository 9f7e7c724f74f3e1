"""Text from tokens as they come: whole letters only, and nothing of a stop string.

For: engines that choose tokens themselves. Not for: whole answers, which `decode` reads at once.

    pieces = TextPieces(tokenizer, stop=("\\n",))
    pieces.add(token, None)      # (text that is certain now, what is reported of its tokens)
    pieces.stopped               # whether a stop string has come
"""

from __future__ import annotations

from collections.abc import Sequence

from helpers.backend.protocol.sampling import TokenLogprob
from helpers.base.local_tokenizer import LocalTokenizer

Piece = tuple[str, tuple[TokenLogprob, ...]]


class TextPieces:
    """The text of one answer, held back as long as it may be the beginning of a stop string."""

    def __init__(self, tokenizer: LocalTokenizer, stop: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.special_tokens.values())
        # Bytes, not letters: a token may end in the middle of a letter.
        self._stop = [text.encode() for text in stop if text]
        self._held = b""
        self._entries: list[tuple[int, TokenLogprob]] = []
        """What is reported of tokens not yet given out, and where in `_held` they begin."""
        self.stopped = False

    def add(self, token: int, entry: TokenLogprob | None) -> Piece:
        """What can be given out now that this token has come."""
        if entry is not None:
            self._entries.append((len(self._held), entry))
        if token not in self._special:
            self._held += self._tokenizer.bytes_of(token)
        found = [place for text in self._stop if (place := self._held.find(text)) >= 0]
        self.stopped = bool(found)
        return self._give(min(found) if found else len(self._held) - self._doubtful())

    def rest(self) -> Piece:
        """What was held back, at the end of an answer without a stop string."""
        text, entries = self._give(len(self._held) - _open_letter(self._held))
        return text, (*entries, *(entry for _, entry in self._entries))

    def _doubtful(self) -> int:
        """Bytes at the end that may begin a stop string, or a letter of several bytes."""
        begun = [
            size
            for text in self._stop
            for size in range(1, min(len(text), len(self._held) + 1))
            if self._held.endswith(text[:size])
        ]
        doubtful = max(begun, default=0)
        sure = self._held[: len(self._held) - doubtful]
        return doubtful + _open_letter(sure)

    def _give(self, size: int) -> Piece:
        given, self._held = self._held[:size], self._held[size:]
        ready = tuple(entry for start, entry in self._entries if start < size)
        self._entries = [(start - size, entry) for start, entry in self._entries if start >= size]
        return given.decode("utf-8", "replace"), ready


def _open_letter(data: bytes) -> int:
    """Bytes at the end that are the beginning of a letter in UTF-8."""
    # UTF-8: 110xxxxx begins a letter of two bytes, 1110xxxx of three, 11110xxx of four; 10xxxxxx
    # goes on.
    for size in range(1, min(4, len(data) + 1)):
        byte = data[-size]
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return size if size < needed else 0
        if byte < 0x80:
            return 0
    return 0
