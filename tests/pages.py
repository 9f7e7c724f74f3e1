"""What a page's MathJax would take for a formula, in HTML and in Markdown."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from helpers.base.markup import CODE

NOT_TYPESET = {"pre", "code", "script", "style", "textarea"}
VOID = {"br", "wbr", "input", "img", "hr", "meta", "link", "col"}


class _Words(HTMLParser):
    """The texts of a page, each as MathJax sees it: up to the next element, breaks aside."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[str] = []
        self._now = ""

    def flush(self) -> None:
        if self._now and not NOT_TYPESET & set(self.open):
            self.found.append(self._now)
        self._now = ""

    def handle_starttag(self, tag, attrs):
        if tag not in ("br", "wbr"):
            self.flush()
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        self.flush()
        while tag in self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        self._now += data


def formulas_in_html(page: str) -> list[str]:
    """Texts with two dollar signs, outside code."""
    words = _Words()
    words.feed(page)
    words.flush()
    return [text for text in words.found if text.count("$") > 1]


def formulas_in_markdown(text: str) -> list[str]:
    """Paragraphs with two dollar signs, outside code; an escaped sign counts too."""
    plain = CODE.sub("", text)
    return [part for part in re.split(r"\n\s*\n", plain) if part.count("$") > 1]
