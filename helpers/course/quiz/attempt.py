"""One person's tries at one question: what an answer is worth, and what to say about it.

For: every form of the quiz. Not for: several questions in a row, see
`helpers.course.quiz.session`.

    attempt = Attempt(question, seed=1)
    attempt.shown                       # the options, shuffled
    attempt.answer([2]).feedback        # the third of them, chosen
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.course.quiz.questions import Kind, Question, is_number

Given = Sequence[int] | str
"""Places of the chosen options as shown, or what was typed for a number or a gap."""

# "1,000" and "12,345.6", not "12,5", whose comma is a decimal one.
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")


@dataclass(frozen=True)
class AttemptOutcome:
    """What one answer was worth, and what to say about it."""

    correct: bool
    feedback: str
    counts: bool = True
    """False for what is no answer yet: nothing chosen, or not a number."""


class Attempt:
    """One person's tries at one question, with the options in a shuffled order."""

    def __init__(self, question: Question, *, seed: int = 0) -> None:
        self.question = question
        self.seed = seed
        self.tries = 0
        self.outcome: AttemptOutcome | None = None
        self._places = list(range(len(question.options)))
        # The id is part of the seed, so that not all questions put the right answer in the same
        # place.
        random.Random(f"{seed} {question.id}").shuffle(self._places)
        # The file has the right order: shown unshuffled, it would be the answer.
        if question.kind == "order" and self._places == sorted(self._places):
            self._places.reverse()

    @property
    def shown(self) -> list[str]:
        """The options' texts in the order in which they are shown."""
        return [self.question.options[place].text for place in self._places]

    def answer(self, given: Given) -> AttemptOutcome:
        """Judge an answer: places as shown for a choice or an order, text for the rest."""
        judge: dict[Kind, Callable[[Given], AttemptOutcome]] = {
            "one": self._choices,
            "several": self._choices,
            "order": self._order,
            "number": self._number,
            "gap": self._gap,
        }
        outcome = judge[self.question.kind](given)
        # A bool as 0 or 1.
        self.tries += outcome.counts
        self.outcome = outcome
        return outcome

    def _chosen(self, given: Given) -> list[int]:
        if isinstance(given, str):
            # Typed in a terminal, where places are counted from 1: "1, 3".
            given = [int(word) - 1 for word in re.findall(r"\d+", given)]
        return [self._places[place] for place in given if 0 <= place < len(self._places)]

    def _choices(self, given: Given) -> AttemptOutcome:
        chosen = self._chosen(given)
        if not chosen or (self.question.kind == "one" and len(chosen) > 1):
            return AttemptOutcome(False, "Choose an answer first.", counts=False)
        options = self.question.options
        # Feedback on each wrong choice before a word on what is missing.
        wrong = [options[place].feedback for place in chosen if not options[place].right]
        if wrong:
            return AttemptOutcome(False, " ".join(wrong))
        right = {place for place, option in enumerate(options) if option.right}
        if set(chosen) != right:
            return AttemptOutcome(False, "What you chose is right, but something is still missing.")
        said = " ".join(options[place].feedback for place in chosen)
        return AttemptOutcome(True, f"{said} {self.question.explanation}")

    def _order(self, given: Given) -> AttemptOutcome:
        chosen = self._chosen(given)
        if sorted(chosen) != list(range(len(self.question.options))):
            return AttemptOutcome(False, "Give each step one place.", counts=False)
        if chosen == sorted(chosen):
            return AttemptOutcome(True, self.question.explanation)
        first = next(place for place, step in enumerate(chosen) if step != place)
        return AttemptOutcome(False, f"Place {first + 1} is not yet right. {self.question.hint}")

    def _number(self, given: Given) -> AttemptOutcome:
        text = plain_number(str(given))
        if text is None:
            return AttemptOutcome(False, "Type a number, for instance 12.5.", counts=False)
        value = float(text)
        # A tolerance of 0.1 must hold for 0.3 beside 0.2, which floats miss by a little.
        if abs(value - float(self.question.accepted[0])) <= self.question.tolerance + 1e-9:
            return AttemptOutcome(True, self.question.explanation)
        for typed, why in self.question.traps.items():
            if abs(value - float(typed)) <= 1e-9:
                return AttemptOutcome(False, why)
        return AttemptOutcome(False, self.question.hint)

    def _gap(self, given: Given) -> AttemptOutcome:
        typed = _code(str(given))
        if not typed:
            return AttemptOutcome(False, "Type what belongs in the gap.", counts=False)
        if typed in {_code(word) for word in self.question.accepted}:
            return AttemptOutcome(True, self.question.explanation)
        traps = {_code(word): why for word, why in self.question.traps.items()}
        return AttemptOutcome(False, traps.get(typed, self.question.hint))


def replay(question: Question, row: Mapping[str, Any]) -> tuple[Attempt, Given] | None:
    """An answer that was kept, given again under the order shown then.

    None where there is none, or where it no longer fits: the question may have been rewritten.
    Whether it is right is judged anew, so that every count of the course agrees.
    """
    given: Any = row.get("given")
    seed = row.get("seed")
    if not isinstance(seed, int) or not _fits(question, given):
        return None
    attempt = Attempt(question, seed=seed)
    if not attempt.answer(given).counts:
        return None
    attempt.tries = int(row.get("tries", 1))
    return attempt, given


def _fits(question: Question, given: Any) -> bool:
    if question.kind in ("number", "gap"):
        return isinstance(given, str)
    places = range(len(question.options))
    return isinstance(given, list) and bool(given) and all(one in places for one in given)


def plain_number(text: str) -> str | None:
    """A typed number without unit and thousands separators; a lone comma is a decimal one."""
    text = text.strip().removesuffix("%").strip().removeprefix("$").replace(" ", "")
    text = text.replace(",", "" if _THOUSANDS.fullmatch(text) else ".")
    return text if is_number(text) else None


def _code(text: str) -> str:
    """Code compared without spaces, and with one kind of quotes."""
    return re.sub(r"\s+", "", text).translate(str.maketrans('"“”‘’', "'''''"))
