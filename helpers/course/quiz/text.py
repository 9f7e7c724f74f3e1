"""The quiz as plain text, for a terminal or a notebook without widgets.

For: `helpers.widgets.quiz.ask_text`. What is typed comes from a function, so that a
test can be the reader.

    ask(session, ask=input, say=print)
"""

from __future__ import annotations

from collections.abc import Callable

from helpers.course.quiz.session import Session

HOW = {
    "one": "Type the number of one answer",
    "several": "Type the numbers of all that are right, such as 1 3",
    "order": "Type the numbers in the right order, such as 2 1 3",
    "number": "Type a number",
    "gap": "Type what belongs in ____",
}


def ask(session: Session, *, ask: Callable[[str], str], say: Callable[[str], object]) -> Session:
    """Put every question of a session; an empty line skips one, "q" ends."""
    session.review_all()
    while not session.finished:
        screen = session.screen()
        say("\n".join(question_lines(screen)))
        typed = ask(f"{HOW[screen['kind']]} (empty: skip, q: end): ").strip()
        if typed.lower() == "q":
            break
        if not typed:
            session.next()
            continue
        outcome = session.check(typed)
        say(("✓ Right. " if outcome.correct else "✗ Not yet. ") + outcome.feedback + "\n")
        stay = not outcome.counts
        if not outcome.correct and not stay:
            stay = ask("Try again? (y, empty: no) ").strip().lower() == "y"
        if not stay:
            session.next()
    session.result()
    say("\n".join(result_lines(session)))
    return session


def question_lines(screen: dict[str, object]) -> list[str]:
    """A question as lines of text, options numbered from 1."""
    lines = [f"Question {screen['place']} of {screen['count']} · {screen['topic']}"]
    lines += [str(screen["stem"])]
    lines += [f"    {line}" for line in str(screen["code"]).splitlines()]
    options = screen["options"]
    assert isinstance(options, list)
    return lines + [f"  {place}. {text}" for place, text in enumerate(options, start=1)]


def result_lines(session: Session) -> list[str]:
    """The score by topic, and what to read again."""
    lines = []
    for score in session.scores():
        lines.append(f"{score.topic}: {score.right} of {score.total} right")
        lines += [f"   read again: {notebook} · {heading}" for notebook, heading in score.reread]
    return lines
