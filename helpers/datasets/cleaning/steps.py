"""The cleaning steps: each does one thing and says why.

For: choosing and ordering steps, alone or through `default_steps()`; `clean.run` runs
them. Not for: deciding what is right, which is the article's or a person's task.

    run([markup(), signatures(), whitespace()], table)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from helpers.datasets import dedup
from helpers.datasets.checkable_facts import contradict, facts
from helpers.datasets.cleaning import personal_data
from helpers.datasets.cleaning.run import Step, StepOutcome
from helpers.datasets.frame import ANSWER, QUESTION, asked_texts, full_texts, map_texts

if TYPE_CHECKING:
    import pandas as pd
    from py3langid.langid import LanguageIdentifier  # type: ignore[import-untyped]

LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pl", "pt", "sv", "da", "tr")
"""Languages that are told apart. The fewer they are, the surer the guess on short texts."""
SURE = 0.95
LONGEST_MAIL, MOST_OPENINGS = 20_000, 25
"""Letters of a mail, and words "On" or "Am" in it, up to which it is searched for quotes."""
_OPENINGS = re.compile(r"\b(?:On|Am)\b")
_TAG = re.compile(r"<[a-zA-Z!/][^>]*>|&(?:#\d+|#x[0-9a-fA-F]+|[a-zA-Z]{2,8});")
_BLOCKS = ("p", "div", "li", "tr", "h1", "h2", "h3", "h4", "blockquote", "ul", "ol", "table")
_USELESS = re.compile(
    r"(?:ok(?:ay)?|done|fixed|resolved|closed|solved|yes|no|n/?a|none|see (?:above|below|attached"
    r"(?: file)?|my (?:last|previous) (?:mail|message))|as discussed(?: on the phone)?|thanks?"
    r"(?: you)?|noted|test|asdf|\W)*",
    re.IGNORECASE,
)


def text_step(name: str, why: str, change: Callable[[str], str]) -> Step:
    """A step that changes each text by itself."""
    return Step(name, why, lambda table: StepOutcome(map_texts(table, change), {}))


def reject_step(name: str, why: str, judge: Callable[[pd.Series[Any]], str]) -> Step:
    """A step that takes out the rows for which `judge` gives a reason."""

    def function(table: pd.DataFrame) -> StepOutcome:
        reasons = {index: judge(row) for index, row in table.iterrows()}
        return _without(table, {index: why for index, why in reasons.items() if why})

    return Step(name, why, function)


def _without(table: pd.DataFrame, reasons: Mapping[Any, str]) -> StepOutcome:
    return StepOutcome(table.drop(index=list(reasons)), reasons)


def encoding() -> Step:
    """Repair wrongly decoded letters with ftfy: "cafÃ©" becomes "café"."""
    import ftfy

    config = ftfy.TextFixerConfig(unescape_html=False, uncurl_quotes=False)
    return text_step(
        "encoding",
        "The model would learn to write broken letters.",
        lambda text: ftfy.fix_text(text, config),
    )


def markup() -> Step:
    """Turn HTML into plain text with BeautifulSoup; block elements become lines."""
    return text_step("markup", "The model would answer in scraps of HTML.", strip_markup)


def strip_markup(text: str) -> str:
    """The text that a reader sees; a text without tags comes back as it is."""
    if not _TAG.search(text):
        return text
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(text, "html.parser")
    for hidden in soup(["script", "style", "head"]):
        hidden.decompose()
    for tag in soup.find_all("br"):
        tag.replace_with("\n")
    for block in soup.find_all(_BLOCKS):
        block.insert_after("\n")
    return soup.get_text().strip()


def signatures() -> Step:
    """Cut signatures and quoted mails with mail-parser-reply."""
    return text_step(
        "signatures",
        "The model would sign with an agent's name and quote mails that never were.",
        strip_signature,
    )


def strip_signature(text: str) -> str:
    """The newest mail of a thread, without its signature; never an empty text.

    A text of one line, or one longer than any mail, comes back as it is.
    """
    from mailparser_reply import EmailReplyParser

    # The parser's patterns take time with the cube of what could open a quoted mail.
    openings = len(_OPENINGS.findall(text))
    if "\n" not in text or len(text) > LONGEST_MAIL or openings > MOST_OPENINGS:
        return text
    tidy = re.sub(r"\n(?:[^\S\n]*\n){2,}", "\n\n", text)
    replies = EmailReplyParser(languages=["en", "de"]).read(text=tidy).replies
    body = str(replies[0].body).strip() if replies else ""
    return body or text


def whitespace() -> Step:
    """One space between words, no blanks at line ends, at most one empty line."""
    return text_step(
        "whitespace", "Tokens are spent on blanks, and they are learnt.", tidy_whitespace
    )


def tidy_whitespace(text: str) -> str:
    """The text with its white space in order and without invisible letters."""
    text = re.sub(r"[\u200b-\u200f\u2060\ufeff\u00ad]", "", text).replace("\r\n", "\n")
    lines = [re.sub(r"[^\S\n]+", " ", line).strip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def redaction(*, keep: Collection[str] = (), orders: bool = False) -> Step:
    """Replace personal data by placeholders; `keep` names values that may stay."""
    kinds = (*personal_data.KINDS, "order") if orders else personal_data.KINDS
    return text_step(
        "redaction",
        "The model could repeat a customer's data to another one.",
        lambda text: personal_data.redact(text, kinds=kinds, keep=keep).text,
    )


def useless(*, words: int = 3) -> Step:
    """Take out rows without a question, and answers that say nothing."""

    def judge(row: pd.Series[Any]) -> str:
        if not row[QUESTION].strip():
            return "no question"
        answer = row[ANSWER].strip()
        if not answer:
            return "no answer"
        if _USELESS.fullmatch(answer):
            return "the answer says nothing"
        return "" if len(answer.split()) >= words else f"an answer of fewer than {words} words"

    return reject_step("useless", "The model would learn to say nothing.", judge)


def language(wanted: str = "en") -> Step:
    """Take out rows whose question or answer is surely in another language (py3langid)."""

    def judge(row: pd.Series[Any]) -> str:
        for column in (QUESTION, ANSWER):
            found = guess_language(row[column])
            if found not in ("", wanted):
                return f"the {column} is in another language ({found})"
        return ""

    return reject_step("language", "The model would mix languages in its answers.", judge)


def guess_language(text: str) -> str:
    """The language as a two-letter code, or "" where a text is too short to be sure."""
    if len(text.split()) < 4:
        return ""
    code, sure = _identifier().classify(text)
    return str(code) if sure >= SURE else ""


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(LANGUAGES))
    return identifier


def duplicates(*, near: bool = True, threshold: float = 0.8) -> Step:
    """Keep the first of each group of equal, or nearly equal, examples."""

    def function(table: pd.DataFrame) -> StepOutcome:
        texts = full_texts(table)
        exact = dedup.exact_duplicates(texts).labels
        labels = dedup.near_duplicates(texts, threshold=threshold).labels if near else exact
        reasons = {}
        for place, first in enumerate(labels.tolist()):
            if first != place:
                kind = "duplicate" if exact[place] == exact[first] else "near duplicate"
                reasons[table.index[place]] = f"{kind} of row {table.index[first]}"
        return _without(table, reasons)

    return Step(
        "duplicates",
        "Repeated examples weigh more, and leak from training into the test.",
        function,
    )


def contradictions(
    *,
    article: Callable[[str], str] | None = None,
    newest: str | None = None,
    threshold: float = dedup.THRESHOLD,
) -> Step:
    """Of nearly equal questions with other facts in the answer keep one answer's side.

    Right is the answer whose facts stand in `article(question)`, if that is given and
    tells them apart; else the newest by the column `newest`; else what most answers say.
    """

    def function(table: pd.DataFrame) -> StepOutcome:
        groups = dedup.near_duplicates(asked_texts(table), threshold=threshold).members()
        reasons: dict[Any, str] = {}
        for places in groups:
            group = table.iloc[places]
            right = _right_row(group, article, newest)
            stated = facts(str(group.at[right, ANSWER]))
            for index in group.index:
                if contradict(str(group.at[index, ANSWER]), stated):
                    reasons[index] = f"contradicts row {right}"
        return _without(table, reasons)

    return Step(
        "contradictions", "The model would guess between two answers to one question.", function
    )


def _right_row(
    group: pd.DataFrame, article: Callable[[str], str] | None, newest: str | None
) -> Any:
    """Index of the row whose answer is taken as right."""
    stated = {index: facts(str(group.at[index, ANSWER])) for index in group.index}
    rows = list(group.index)
    if article is not None:
        known = facts(article(group.iloc[0][QUESTION]))
        agreeing = [index for index in rows if stated[index] and stated[index] <= known]
        rows = agreeing or rows
    if newest is not None and newest in group:
        return max(rows, key=lambda index: (str(group.at[index, newest]), -rows.index(index)))
    agree = {i: sum(not contradict(stated[i], stated[j]) for j in rows) for i in rows}
    return max(rows, key=lambda index: (bool(stated[index]), agree[index], -rows.index(index)))


def default_steps(*, keep: Collection[str] = (), wanted: str = "en") -> list[Step]:
    """The usual order: repair texts first, then judge rows, then compare them."""
    return [
        encoding(),
        markup(),
        signatures(),
        whitespace(),
        redaction(keep=keep),
        useless(),
        language(wanted),
        duplicates(),
        contradictions(),
    ]
