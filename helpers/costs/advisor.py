"""A decision guide: answers about a case in, a method with its reasons out.

For: a first choice before anything is built. The rules are few and can be read below; each
leaves a reason. Not for: the last word, which is an evaluation on your own questions.

    advice = recommend(Case(facts="changing", documents=True, examples=20))
    advice.method           # 'retrieval'
    advice.reasons
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from helpers.base.errors import DataError
from helpers.base.markup import html_text
from helpers.costs.monthly import BOTH, FEW_SHOT, METHODS, RETRIEVAL, TUNED

Facts = Literal["in the question", "fixed", "changing"]
FACTS: tuple[Facts, ...] = ("in the question", "fixed", "changing")
FEWEST, ENOUGH = 10, 50
"""Examples that a job accepts, and from which OpenAI's guide sees improvements."""
MANY_QUESTIONS = 100_000
"""A month, from which a longer prompt is worth counting."""
FIRST = {
    FEW_SHOT: "Write the prompt with three to five examples and measure it (notebook 5).",
    RETRIEVAL: "Index the documents and measure the search alone (notebook 6).",
    TUNED: "Split and check the examples, then train (notebooks 1 and 2).",
    BOTH: "Measure the search alone, then train on questions with their notes (notebook 6).",
}


@dataclass(frozen=True)
class Case:
    """What you know before you begin."""

    facts: Facts = "fixed"
    """Where the facts of a right answer stand: in the question itself, or outside it and
    fixed, or outside it and changing."""
    documents: bool = False
    """There are texts in which those facts can be looked up."""
    examples: int = 0
    """Questions with the answer that you would sign."""
    form: bool = False
    """Every answer must keep a tone or a form that a prompt has not achieved."""
    questions: int = 1_000
    """A month."""
    private: bool = False
    """The customers' words must not leave your own machines."""
    sources: bool = False
    """An answer must say where it comes from."""
    today: bool = False
    """Something must run by this evening."""
    test_questions: int = 0
    """Questions with known answers that are kept for judging."""


@dataclass(frozen=True)
class Advice:
    """What to begin with, and why."""

    method: str
    place: str
    reasons: tuple[str, ...]
    against: dict[str, str]
    """Why not each of the other methods."""
    first: tuple[str, ...]
    """What to do next, in order."""

    def __repr__(self) -> str:
        lines = [f"Begin with: {self.method}, on {self.place}."]
        lines += [f"  because: {reason}" for reason in self.reasons]
        lines += [f"  not {method}: {why}" for method, why in self.against.items()]
        lines += [f"  {place}. {step}" for place, step in enumerate(self.first, start=1)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        reasons = "".join(f"<li>{html_text(reason)}</li>" for reason in self.reasons)
        against = "".join(
            f"<li><b>{html_text(method)}</b>: {html_text(why)}</li>"
            for method, why in self.against.items()
        )
        first = "".join(f"<li>{html_text(step)}</li>" for step in self.first)
        return (
            f"<p><b>Begin with: {html_text(self.method)}</b>, on {html_text(self.place)}.</p>"
            f"<p>Because:</p><ul>{reasons}</ul><p>Next:</p><ol>{first}</ol>"
        ) + (f"<p>Not yet the others:</p><ul>{against}</ul>" if against else "")


def recommend(case: Case) -> Advice:
    """The method to begin with. Raises `DataError` for answers that cannot be."""
    if case.facts not in FACTS:
        raise DataError(f"no facts {case.facts!r}", fix=f"one of {', '.join(FACTS)}")
    if min(case.examples, case.questions, case.test_questions) < 0:
        raise DataError("a number is below zero", fix="count again")
    method, reasons = _method(case)
    place, why = _place(case, method)
    against = {other: _why_not(case, other) for other in METHODS[1:] if other != method}
    return Advice(method, place, (*reasons, why), against, _steps(case, method))


def looked_up(case: Case) -> bool:
    """Whether the facts belong in a store: they change, or must be cited, or stand there."""
    outside = case.facts != "in the question"
    return outside and (case.facts == "changing" or case.sources or case.documents)


def _method(case: Case) -> tuple[str, list[str]]:
    trainable, lookup = case.examples >= ENOUGH, looked_up(case)
    # Before everything else: no other method is judged within a day.
    if case.today:
        return FEW_SHOT, ["A prompt is the quickest experiment, and the baseline for the rest."]
    # Before training: weights would have to be trained again for each fact that changes.
    if lookup:
        reason = _why_look_up(case)
        if case.form and trainable:
            form = f"{case.examples} examples can teach the form, which notes cannot."
            return BOTH, [reason, form]
        return RETRIEVAL, [reason]
    if trainable and (case.form or case.facts == "fixed" or case.questions >= MANY_QUESTIONS):
        reasons = [f"{case.examples} examples are enough to see whether training helps."]
        if case.form:
            reasons.append("Form and tone are what fine-tuning teaches best.")
        if case.facts == "fixed":
            reasons.append("The facts are fixed: what is trained stays true.")
        if case.questions >= MANY_QUESTIONS:
            reasons.append("With so many questions, a short prompt is worth a job.")
        return TUNED, reasons
    have = f"{case.examples} examples fit" if case.examples else "The first examples fit"
    return FEW_SHOT, [f"{have} into a prompt; with {ENOUGH} good ones, look again."]


def _why_look_up(case: Case) -> str:
    if case.facts == "changing":
        return "Facts change: they belong in a store that is edited, not into weights."
    if case.sources:
        return "An answer must say where it comes from: only retrieval knows."
    return "The facts stand in documents: they can be looked up."


def _place(case: Case, method: str) -> tuple[str, str]:
    if case.private:
        return "a machine of your own", "The words may not leave it: embeddings included."
    if method in (TUNED, BOTH):
        return (
            "an open model, on your own machine or with a host",
            "An open model keeps your adapter when a platform closes.",
        )
    return (
        "any compatible endpoint, hosted or your own",
        "Nothing is trained, so the model can be changed any day.",
    )


def _why_not(case: Case, method: str) -> str:
    if method == FEW_SHOT:
        if looked_up(case):
            return "Examples show the form; they hold few of the facts."
        return "Its examples are paid for with every question. It is still the baseline."
    if method == RETRIEVAL:
        if case.facts == "in the question":
            return "There is nothing to look up."
        if not case.documents:
            return "There are no documents yet: somebody has to write them."
        return "Notes bring facts, but no form." if case.form else "It comes after the prompt."
    return _why_not_train(case, method)


def _why_not_train(case: Case, method: str) -> str:
    if case.examples < FEWEST:
        return f"A job needs at least {FEWEST} examples, and about {ENOUGH} to show something."
    if case.examples < ENOUGH:
        return f"{case.examples} examples are few; about {ENOUGH} show something."
    if case.today:
        return "It takes longer than a day to judge whether a trained model is better."
    if method == TUNED and looked_up(case):
        return "It would go on saying what was true when it was trained."
    if method == BOTH:
        return "Two parts to look after: only if one of them alone is not enough."
    return "A prompt with notes gives it all, and is easier to change."


def _steps(case: Case, method: str) -> tuple[str, ...]:
    steps = []
    if case.test_questions < ENOUGH:
        steps.append(f"Put at least {ENOUGH} questions aside for judging (notebook 3).")
    if method in (RETRIEVAL, BOTH) and not case.documents:
        steps.append("Write the facts down, one topic an article.")
    return (*steps, FIRST[method], "Compare with the plain base model on the same questions.")
