"""Which language texts are in: one text, and a whole table.

For: keeping one language in a dataset. A single short text is guessed with care; the
language of a table, from many texts together, is nearly sure. Not for: texts that mix
languages in one sentence.

    guess_language("Mein Internet geht nicht, was soll ich tun?")      # "de"
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from helpers.base.errors import DataError

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier  # type: ignore[import-untyped]

LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pl", "pt", "sv", "da", "tr")
"""Languages that are told apart. The fewer they are, the surer the guess on short texts."""
SURE, SURER = 0.95, 0.995
WORDS, MANY_WORDS = 4, 7
"""Words from which a text is guessed at all, and from which it may lose its row."""
MINOR = 0.2
"""Share of the surely guessed rows from which a second language is no accident."""
FEW = 3
"""Rows of a second language that may still be an accident."""
BLOCK, BLOCKS = 2000, 60
"""Letters that are guessed at together, and how many such blocks of a long table."""
_SCRIPTS = {
    "zh": "\u3400-\u9fff",
    "ja": "\u3040-\u30ff",
    "ko": "\uac00-\ud7af",
    "ru": "\u0400-\u04ff",
    "el": "\u0370-\u03ff",
    "he": "\u0590-\u05ff",
    "ar": "\u0600-\u06ff",
    "hi": "\u0900-\u097f",
    "th": "\u0e00-\u0e7f",
}
_LETTERS = {code: re.compile(f"[{letters}]") for code, letters in _SCRIPTS.items()}
_FAMILIES = {
    "ar": "ar fa ur ps ku",
    "ru": "ru uk bg sr be mk kk ky mn",
    "hi": "hi mr ne",
    "zh": "zh ja",
    "he": "he yi",
}
_FAMILY = {code: script for script, codes in _FAMILIES.items() for code in codes.split()}
_SHARED = ("ar", "ru", "hi", "he")
"""Scripts of several languages that a long text tells apart."""
_KANA = _LETTERS["ja"]
_LATIN = re.compile(r"[a-zA-Z\u00c0-\u024f]")
# Words of no language: addresses, placeholders, names of files, numbers.
_NO_LANGUAGE = re.compile(r"https?://\S+|\S+@\S+|\{\{.*?\}\}|\[[a-z]+\]|\S*\d\S*")


def guess_language(
    text: str, *, sure: float = SURE, words: int = WORDS, also: str | None = None
) -> str:
    """The language as a two-letter code, or "" where a text is too short to be sure.

    Scripts other than the Latin one are told by their letters ("ru" stands for all that is
    written in Cyrillic, "ar" for Arabic letters). `also` is a language besides `LANGUAGES`.
    """
    script = script_of(text)
    if script:
        return script
    if len(text.split()) < words:
        return ""
    code, probability = _identifier(also).classify(text)
    return str(code) if probability >= sure else ""


def script_of(text: str) -> str:
    """The code of the script that most letters of a text are in, "" for the Latin one."""
    if text.isascii():
        return ""
    counts = Counter({code: len(letters.findall(text)) for code, letters in _LETTERS.items()})
    code, most = counts.most_common(1)[0]
    if most <= len(_LATIN.findall(text)):
        return ""
    # Japanese is written with Chinese signs as well, but never without kana for long.
    return "ja" if code == "zh" and _KANA.search(text) else code


def is_other(found: str, wanted: str) -> bool:
    """Whether a guess surely names another language than the wanted one.

    Of languages with one script the script does not tell which it is.
    """
    return found != "" and _FAMILY.get(found, found) != _FAMILY.get(wanted, wanted)


@dataclass(frozen=True)
class TableLanguage:
    """The language that most of a table is in, and what else is in it."""

    main: str
    """A two-letter code, or "" where no text is long enough to tell."""
    rows: Counter[str]
    """Rows by the language that they surely are in."""

    @property
    def others(self) -> list[str]:
        """Languages of so many rows that somebody must have meant them to be there."""
        total = sum(self.rows.values())
        return [
            code
            for code, number in self.rows.most_common()
            if code != self.main and number > FEW and number >= MINOR * total
        ]


def table_language(texts: Sequence[str]) -> TableLanguage:
    """What language the texts of a table, one a row, are in.

    The whole table is guessed at in blocks, among all languages that are known, so that a
    rare language is found; then each row among the usual ones and that one.
    """
    plain = [_NO_LANGUAGE.sub(" ", text) for text in texts]
    votes = Counter(filter(None, map(_of_block, _blocks(plain))))
    main = votes.most_common(1)[0][0] if votes else ""
    # Two thousand rows tell enough, and each guess costs time.
    step = max(1, len(plain) // 2000)
    sure = (guess_language(text, sure=SURER, words=MANY_WORDS, also=main) for text in plain[::step])
    # Rows are told by their script; the table as a whole says whose script it is.
    rows = Counter(main if not is_other(code, main) else code for code in sure if code)
    # Many short texts, joined, can mislead: then the rows that are sure by themselves decide.
    if rows and rows.most_common(1)[0][1] > rows[main] + FEW:
        main = rows.most_common(1)[0][0]
    return TableLanguage(main, rows)


def _blocks(texts: Sequence[str]) -> list[str]:
    """The texts joined to blocks that are long enough for a sure guess."""
    blocks, current, size = [], [], 0
    for text in texts:
        current.append(text)
        size += len(text)
        if size >= BLOCK:
            blocks.append("\n".join(current))
            current, size = [], 0
    if current and (not blocks or size > BLOCK // 2):
        blocks.append("\n".join(current))
    return blocks[:: max(1, len(blocks) // BLOCKS)]


def _of_block(block: str) -> str:
    script = script_of(block)
    if (script and script not in _SHARED) or len(block.split()) < WORDS:
        return script
    code, probability = _identifier("all").classify(block)
    fits = probability >= SURE and (not script or _FAMILY.get(code) == script)
    return str(code) if fits else script


@lru_cache(maxsize=4)
def _identifier(also: str | None) -> LanguageIdentifier:
    # A copy: choosing languages changes the object, and the weights are shared.
    identifier = copy.copy(_whole_identifier())
    if also != "all":
        extra = [also] if also and also not in _SCRIPTS else []
        try:
            identifier.set_languages(sorted({*LANGUAGES, *extra}))
        except ValueError as error:
            fix = 'use two letters such as "en" or "de", or "any"'
            raise DataError(f"no language {also!r} is known", fix=fix) from error
    return identifier


def hold() -> None:
    """Read the model of all languages, which takes 35 MB more for a moment than it takes then."""
    _whole_identifier()


def let_go() -> None:
    """Give the model's memory back, until a language is asked for again."""
    _identifier.cache_clear()
    _whole_identifier.cache_clear()


@lru_cache(maxsize=1)
def _whole_identifier() -> LanguageIdentifier:
    """The model of all languages, 75 MB that its copies share."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
