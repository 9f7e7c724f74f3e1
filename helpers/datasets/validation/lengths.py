"""How long examples are, and what a limit cuts off.

For: totals and percentiles of a file, and a warning for each example that loses its end. Not
for: counting, see `helpers.datasets.token_counts`.

    check = LengthCheck(TokenCounter(local_tokenizer().count), max_tokens=2048)
    [problem.code for problem in check.look(3, "chat", example)]    # ["example_too_long"]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from helpers.datasets.example import Kind
from helpers.datasets.token_counts import Part, TokenCounter
from helpers.datasets.validation.codes import Problem, problem
from helpers.datasets.validation.report import TokenLengths
from helpers.datasets.validation.schema import short

QUOTED = 60
"""Letters of what is lost that a warning quotes."""


class LengthCheck:
    """Measures examples in turn; `max_tokens` None measures without a limit."""

    def __init__(self, counter: TokenCounter | None, *, max_tokens: int | None) -> None:
        self._counter, self._limit = counter, max_tokens
        self._lengths: Counter[int] = Counter()

    @property
    def lengths(self) -> TokenLengths:
        """What was measured so far."""
        return TokenLengths(dict(self._lengths))

    def look(self, line: int, kind: Kind, example: dict[str, Any]) -> Iterator[Problem]:
        """Measure an example, and say what of it is cut off."""
        assert self._counter
        yield from self.take(line, self._counter.sequences(kind, example))

    def take(self, line: int, sequences: Sequence[Sequence[Part]]) -> Iterator[Problem]:
        """The same for an example whose parts are counted already."""
        totals = [sum(part.tokens for part in parts) for parts in sequences]
        self._lengths.update(totals)
        if self._limit is None or max(totals, default=0) <= self._limit:
            return
        longest = sequences[totals.index(max(totals))]
        yield problem("example_too_long", line, f"Line {line} {_cut(longest, self._limit)}")
        if any(_nothing_left(parts, self._limit) for parts in sequences):
            text = f"Line {line} has no word of an answer within {self._limit:,} tokens"
            yield problem("answer_cut_off", line, text)

    def finish(self) -> Iterator[Problem]:
        """Nothing is wrong with the lengths of a file as a whole."""
        return iter(())


def _cut(parts: Sequence[Part], limit: int) -> str:
    """What is lost, as a clause: how much, from which message on, and its first words."""
    total = sum(part.tokens for part in parts)
    place, kept = _first_cut(parts, limit)
    first, after = parts[place], parts[place + 1 :]
    text = f"has {total:,} tokens; the last {total - limit:,} are cut off: "
    text += f"the end of its {place + 1}. part ({first.role})" if kept else ""
    whole = after if kept else parts[place:]
    if whole:
        answers = sum(part.learnt for part in whole)
        counted = f"{len(whole)} whole part{'s' if len(whole) > 1 else ''}"
        text += f"{' and ' if kept else ''}{counted}, {answers} of them to be learnt"
    # Letters and tokens differ, so the quoted place is near the cut, not exact.
    lost = first.text[int(len(first.text) * kept) :] or (after[0].text if after else "")
    return f'{text}: "{short(" ".join(lost.split()), QUOTED)}"' if lost.strip() else text


def _first_cut(parts: Sequence[Part], limit: int) -> tuple[int, float]:
    """The first part that the limit touches, and which share of its text is kept."""
    start = 0
    for place, part in enumerate(parts):
        if start + part.tokens > limit:
            # `lead` are tokens that a part has before its first word.
            said = max(1, part.tokens - part.lead)
            return place, min(1.0, max(0, limit - start - part.lead) / said)
        start += part.tokens
    raise ValueError("nothing is cut")


def _nothing_left(parts: Sequence[Part], limit: int) -> bool:
    """Whether no answer begins within the limit."""
    start = 0
    for part in parts:
        if part.learnt and start + part.lead < limit:
            return False
        start += part.tokens
    return True
