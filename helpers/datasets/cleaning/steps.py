"""The cleaning steps: each does one thing and says why.

For: choosing and ordering steps, alone or through `default_steps()`; `run` runs them.
Not for: deciding what is right, which is the article's or a person's task.

    run(default_steps(without=["signatures"]), table)
    run([markup(), whitespace()], table)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from helpers.base.errors import Candidate, ChoiceNeeded, DataError
from helpers.base.remedies import argument
from helpers.datasets import dedup, personal_data
from helpers.datasets.checkable_facts import facts
from helpers.datasets.cleaning.contradicting import contradicting_rows
from helpers.datasets.cleaning.languages import (
    MANY_WORDS,
    SURER,
    guess_language,
    is_other,
    table_language,
)
from helpers.datasets.cleaning.mails import split_mail, strip_signature
from helpers.datasets.cleaning.markup import strip_markup, without_tags
from helpers.datasets.cleaning.run import Kinds, Step, StepOutcome
from helpers.datasets.frame import (
    ANSWER,
    QUESTION,
    TURNS,
    asked_texts,
    full_texts,
    map_texts,
    texts_of,
)
from helpers.datasets.same_question import QuestionTexts, same_questions
from helpers.datasets.task import Task

if TYPE_CHECKING:
    import pandas as pd

# Answers of nothing but such phrases and signs: "Done. Thanks!"
_USELESS = re.compile(
    r"(?:ok(?:ay)?|done|fixed|resolved|closed|solved|n/?a|none|see (?:above|below|attached"
    r"(?: file)?|my (?:last|previous) (?:mail|message))|as discussed(?: on the phone)?|thanks?"
    r"(?: you)?|noted|test|asdf|\W)*",
    re.IGNORECASE,
)
_NEGATIONS = re.compile(
    r"\b(?:not|no|never|cannot|without|nicht|kein\w*|nie|ohne|pas|jamais|sans|nunca|sin|non|senza)\b"
    r"|n['’]t\b",
    re.IGNORECASE,
)


def text_step(
    name: str, why: str, change: Callable[[str], str], kinds: Kinds | None = None
) -> Step:
    """A step that changes each text by itself."""
    return Step(name, why, lambda table: StepOutcome(map_texts(table, change), {}), kinds)


def reject_step(name: str, why: str, judge: Callable[[pd.Series[Any]], str]) -> Step:
    """A step that takes out the rows for which `judge` gives a reason."""

    def function(table: pd.DataFrame) -> StepOutcome:
        reasons = {index: judge(row) for index, row in table.iterrows()}
        return _without(table, {index: why for index, why in reasons.items() if why})

    return Step(name, why, function)


def _without(
    table: pd.DataFrame, reasons: Mapping[Any, str], notes: tuple[str, ...] = ()
) -> StepOutcome:
    return StepOutcome(table.drop(index=list(reasons)), reasons, notes)


# Excel's escape of a control sign, "_x000D_".
_EXCEL = re.compile(r"_x(00(?:0[0-9A-Fa-f]|1[0-9A-Fa-f]|7[Ff]))_")
_EXPLAINED = {
    "fix_latin_ligatures": "ligatures",
    "remove_control_chars": "control characters",
    "remove_terminal_escapes": "control characters",
    "fix_c1_controls": "control characters",
    "normalize": "letters in two parts",
}


def encoding() -> Step:
    """Repair wrongly decoded letters with ftfy: "cafÃ©" becomes "café"; `_x000D_` goes."""
    import ftfy

    # Wide letters are how Chinese and Japanese texts are written, and no fault; ends of
    # lines are the business of `whitespace`, which calls them by their name.
    config = ftfy.TextFixerConfig(
        unescape_html=False, uncurl_quotes=False, fix_line_breaks=False, fix_character_width=False
    )

    def repaired(text: str) -> str:
        if "_x0" in text:
            text = _EXCEL.sub(lambda found: chr(int(found[1], 16)), text)
        # A text of plain letters has nothing to repair: most of a table, and ftfy is slow.
        return text if text.isascii() and text.isprintable() else ftfy.fix_text(text, config)

    def kinds(before: str, after: str) -> list[str]:
        told = ftfy.fix_and_explain(before, config).explanation or []
        found = [_EXPLAINED.get(one.parameter, "wrongly decoded letters") for one in told]
        return ["Excel's escapes"] * bool(_EXCEL.search(before)) + found

    return text_step("encoding", "The model would learn to write broken letters.", repaired, kinds)


def markup() -> Step:
    """Turn HTML into plain text with BeautifulSoup; what HTML does not know is text."""

    def kinds(before: str, after: str) -> list[str]:
        return ["HTML tags"] if without_tags(before) != before else ["HTML entities"]

    return text_step("markup", "The model would answer in scraps of HTML.", strip_markup, kinds)


def signatures() -> Step:
    """Cut signatures and quoted mails."""

    def kinds(before: str, after: str) -> list[str]:
        mail = split_mail(before)
        return ["signature"] * bool(mail.signature) + ["quoted mail"] * bool(mail.quoted)

    return text_step(
        "signatures",
        "The model would sign with an agent's name and quote mails that never were.",
        strip_signature,
        kinds,
    )


_INVISIBLE = re.compile(
    r"[\u2060\ufeff\u00ad]|(?<![\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])\u200b"
)
"""Letters that show nothing. The joiners U+200C and U+200D stay: Persian, Hindi and emoji
are spelt with them; so do the breaks between words of Thai and its neighbours."""
# A fence of code, to its end or that of the text; in a group, so that `split` keeps it.
_FENCE = re.compile(r"(^```.*?(?:^```|\Z))", re.DOTALL | re.MULTILINE)


def whitespace() -> Step:
    """One blank between words, none at line ends, at most one empty line; code stays."""

    def kinds(before: str, after: str) -> list[str]:
        plain = before.replace("\r\n", "\n").replace("\r", "\n")
        found = ["line ends of Windows (CR)"] * (plain != before)
        found += ["invisible letters"] * bool(_INVISIBLE.search(plain))
        return found + ["blanks and empty lines"] * (_INVISIBLE.sub("", plain) != after)

    why = "Tokens are spent on blanks, and they are learnt."
    return text_step("whitespace", why, tidy_whitespace, kinds)


def tidy_whitespace(text: str) -> str:
    """The text with its white space in order and without invisible letters.

    Blanks at the beginning of lines stay where they say what belongs to what, as in lists
    and code; between fences of code nothing but line ends is touched.
    """
    text = _INVISIBLE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    parts = [part if part.startswith("```") else _tidied(part) for part in _FENCE.split(text)]
    return "".join(parts).strip("\n")


def _tidied(text: str) -> str:
    lines = text.split("\n")
    if len(lines) == 1:
        return re.sub(r"[^\S\n]+", " ", text).strip()
    tidy = [_tidied_line(line) for line in lines]
    # What all lines have in common is no indentation, as in texts that were quoted whole.
    least = min((_indent(line) for line in tidy if line), default=0)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line[least:] for line in tidy))


def _tidied_line(line: str) -> str:
    """A line with its indentation, which a tab may be part of, and single blanks behind it."""
    rest = line.lstrip()
    if not rest:
        return ""
    indent = re.sub(r"[^\S\t]", " ", line[: len(line) - len(rest)])
    return indent + re.sub(r"\s+", " ", rest).rstrip()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def redaction(*, keep: Collection[str] = (), own: bool = True, orders: bool = False) -> Step:
    """Replace personal data, with `orders` order numbers too, by placeholders.

    `keep` names values that may stay. With `own`, the desk's own contacts stay too: the
    addresses, numbers and accounts that answers to many rows give and their questions do not.
    """

    def function(table: pd.DataFrame) -> StepOutcome:
        found = own_contacts(table) if own else {}
        stays = frozenset(keep) | found.keys()
        cleaned = map_texts(
            table, lambda text: personal_data.redact(text, kinds=sought, keep=stays).text
        )
        return StepOutcome(cleaned, {}, _kept_note(found, keep))

    sought = (*personal_data.KINDS, "order") if orders else personal_data.KINDS

    def kinds(before: str, after: str) -> list[str]:
        marks = [f"[{kind}]" for kind in sought]
        return [mark for mark in marks if after.count(mark) > before.count(mark)]

    why = "The model could repeat a customer's data to another one."
    return Step("redaction", why, function, kinds)


CONTACTS = ("email", "phone", "iban")
"""Kinds of personal data that a desk gives of itself."""
OWN_ROWS, OWN_SHARE = 3, 0.001
"""Rows, and share of all rows, whose answers must give a contact for it to be the desk's."""


def own_contacts(table: pd.DataFrame) -> dict[str, int]:
    """Addresses, phone numbers and bank accounts that answers of many rows give, and how many."""
    said: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for *before, answer in texts_of(table):
        said.update({one.value for one in personal_data.find(answer, kinds=CONTACTS)})
        told = "\n".join(before)
        asked.update({one.value for one in personal_data.find(told, kinds=CONTACTS)})
    enough = max(OWN_ROWS, OWN_SHARE * len(table))
    # A customer's own number may come back in the answer, but then the question has it as well.
    own = ((n, value) for value, n in said.items() if n >= enough and n > 2 * asked[value])
    return {value: n for n, value in sorted(own, key=lambda one: (-one[0], one[1]))}


def _kept_note(found: Mapping[str, int], keep: Collection[str]) -> tuple[str, ...]:
    named = [f"{value} (in {rows} answers)" for value, rows in found.items() if value not in keep]
    if not named:
        return ()
    more = f" and {len(named) - 10} more" if len(named) > 10 else ""
    said = f"taken for the desk's own and kept: {', '.join(named[:10])}{more}"
    less = f"{argument('own', False)} redacts them too, {argument('keep', ['CONTACT'])} keeps one"
    return (f"{said}; {less}",)


def useless(*, words: int = 0, task: Task = "answers") -> Step:
    """Take out rows without a question, and answers that say nothing; a chat ends before them.

    Short answers are no fault: "Yes", "7%". `words` asks for a least number of them, which
    only languages with blanks have. Of labels, any may be the name of a class.
    """

    def judge(question: str, answer: str) -> str:
        if not question.strip():
            return "no question"
        if not answer.strip():
            return "no answer"
        if task == "answers" and _USELESS.fullmatch(answer.strip()):
            return "the answer says nothing"
        return "" if len(answer.split()) >= words else f"an answer of fewer than {words} words"

    def function(table: pd.DataFrame) -> StepOutcome:
        judged = map(judge, table[QUESTION], table[ANSWER])
        reasons = {row: why for row, why in zip(table.index, judged, strict=True) if why}
        # A chat ends before its empty answer; the row goes only where no earlier answer is left.
        ends = {row: end for row in reasons if (end := _earlier_end(table.loc[row], judge))}
        shorter = _ended_earlier(table, ends) if ends else table
        return _without(shorter, {row: why for row, why in reasons.items() if row not in ends})

    def kinds(before: str, after: str) -> list[str]:
        return ["the end of a chat whose last answer says nothing"]

    return Step("useless", "The model would learn to say nothing.", function, kinds)


_End = tuple[list[dict[str, Any]], str, str]
"""Turns, question and answer of a chat."""


def _earlier_end(row: pd.Series[Any], judge: Callable[[str, str], str]) -> _End | None:
    """The chat up to its last answer that says something; None if no answer does."""
    turns: Any = row.get(TURNS)
    for place in range(len(turns) - 1, 0, -1) if isinstance(turns, list) else ():
        asked, said = turns[place - 1], turns[place]
        pair = (asked["role"], said["role"]) == ("user", "assistant")
        if pair and not judge(asked["content"], said["content"]):
            return turns[: place - 1], asked["content"], said["content"]
    return None


def _ended_earlier(table: pd.DataFrame, ends: Mapping[Any, _End]) -> pd.DataFrame:
    shorter = table.copy()
    for row, end in ends.items():
        for column, value in zip((TURNS, QUESTION, ANSWER), end, strict=True):
            shorter.at[row, column] = value  # type: ignore[assignment]
    return shorter


def language(wanted: str | None = None, *, task: Task = "answers") -> Step:
    """Keep one language: take out rows whose question or answer is surely in another one.

    Without `wanted` it is the language that most of the table is in, and a note names it. A
    table that is in two languages to a good part raises `ChoiceNeeded`: which of them a model
    should answer in is not for a program to decide. "any" keeps all. (py3langid)
    """
    # A label such as "refund" is in no language.
    columns = (QUESTION, ANSWER) if task == "answers" else (QUESTION,)

    def function(table: pd.DataFrame) -> StepOutcome:
        if wanted == "any":
            return StepOutcome(table, {})
        main, notes = (wanted, ()) if wanted else _main_language(table, columns)
        reasons: dict[Any, str] = {}
        for column in columns:
            for index, text in table[column].items():
                found = guess_language(text, sure=SURER, words=MANY_WORDS, also=main)
                if main and is_other(found, main):
                    reasons.setdefault(index, f"the {column} is in another language ({found})")
        return _without(table, reasons, notes)

    return Step("language", "The model would mix languages in its answers.", function)


def _main_language(table: pd.DataFrame, columns: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """The language of most rows, and a note that names it."""
    found = table_language(["\n".join(row) for row in table[list(columns)].to_numpy()])
    counted = ", ".join(f"{code} in {rows}" for code, rows in found.rows.most_common())
    if found.others:
        both = [found.main, *found.others]
        ways = [Candidate(code, f"{found.rows[code]} rows") for code in both]
        raise ChoiceNeeded(
            f"the table is in {len(both)} languages (rows that are surely in one: {counted})",
            argument="language",
            candidates=[*ways, Candidate("any", "all of them")],
        )
    ground = f"rows that are surely in one: {counted}" if counted else "of all texts together"
    note = f"the language is taken to be {found.main} ({ground})"
    return found.main, (f"{note}; {argument('language', 'any')} keeps all",) if found.main else ()


def duplicates(*, near: bool = True) -> Step:
    """Keep the first of each group of examples with the same question and the same answer.

    With `near`, a slip of the pen, politeness, articles and punctuation make no other
    question and no other answer. Any other word does: "Gold", "Silver" and "or Single" are
    what a row was written for.
    """

    def function(table: pd.DataFrame) -> StepOutcome:
        # First, so that the words of the questions are gone before those of the answers are there.
        groups = same_questions(asked_texts(table), strictly=True).members()
        plain = [dedup.normalise(text) for text in full_texts(table)]
        answers = [str(answer) for answer in table[ANSWER]]
        # Built once for all groups: which words are rare is a matter of the whole table.
        said = QuestionTexts(answers, strictly=True)
        reasons = {}
        for group in groups:
            for place, kept in zip(group, _same_answers(group, answers, said), strict=True):
                if place != kept and (near or plain[place] == plain[kept]):
                    kind = "duplicate" if plain[place] == plain[kept] else "near duplicate"
                    reasons[table.index[place]] = f"{kind} of row {table.index[kept]}"
        return _without(table, reasons)

    why = "Repeated examples weigh more, and leak from training into the test."
    return Step("duplicates", why, function)


def _same_answers(group: list[int], answers: list[str], said: QuestionTexts) -> list[int]:
    """For each row of a group the first one whose answer says the same."""
    first: list[int] = []
    known: dict[tuple[frozenset[str], int], list[int]] = {}
    exact: dict[tuple[str, frozenset[str]], int] = {}
    for place in group:
        stated = facts(answers[place])
        if (said.keys[place], stated) not in exact:
            # By facts and by the number of negations: "you can" and "you cannot" differ by one word
            # only.
            alike = known.setdefault((stated, len(_NEGATIONS.findall(answers[place]))), [])
            found = next((other for other in alike if said.same(other, place)), place)
            if found == place and len(alike) < MOST_COMPARED:
                alike.append(place)
            exact[said.keys[place], stated] = found
        first.append(exact[said.keys[place], stated])
    return first


MOST_COMPARED = 50
"""Answers to one question that a further one is compared with, word by word."""


def contradictions(
    *,
    article: Callable[[str], str] | None = None,
    newest: str | None = None,
    task: Task = "answers",
) -> Step:
    """Of answers to one question that state other facts keep one side.

    Which is a person's choice to make: this is none of the default steps. Right is the
    answer whose facts stand in `article(question)`, if that is given and tells them apart;
    else the newest by the column `newest`; else what most answers say.
    """

    def function(table: pd.DataFrame) -> StepOutcome:
        known = contradicting_rows(table, article=article, newest=newest, task=task)
        return _without(table, {one.row: f"contradicts row {one.other}" for one in known})

    return Step(
        "contradictions", "The model would guess between two answers to one question.", function
    )


def default_steps(
    *,
    keep: Collection[str] = (),
    own: bool = True,
    wanted: str | None = None,
    task: Task = "answers",
    without: Collection[str] = (),
    majority: bool = False,
) -> list[Step]:
    """The usual order: repair texts first, then judge rows, then compare them.

    `keep` and `own` are those of `redaction`. `without` leaves out steps by name, and so undoes
    what they would do; with `majority` the step `contradictions` comes last.
    """
    # Texts are compared when they are clean, and judged by language when markup and mails are gone.
    steps = [
        encoding(),
        markup(),
        signatures(),
        whitespace(),
        redaction(keep=keep, own=own),
        useless(task=task),
        language(wanted, task=task),
        duplicates(),
    ]
    names = [step.name for step in steps]
    unknown = sorted(set(without) - set(names))
    if unknown:
        raise DataError(f"no step {unknown[0]!r}", fix=f"choose from: {', '.join(names)}")
    steps += [contradictions(task=task)] if majority else []
    return [step for step in steps if step.name not in without]
