"""HTML to the text that a reader sees, without taking what is no HTML for it.

For: answers and mails out of a help desk. Only elements that HTML knows are markup:
`<user>@<host>`, `<Enter>`, `List<String>`, `<https://shop.example>` and XML are text, and
so is all that stands in backticks. Not for: whole web pages.

    strip_markup("<p>Press <Enter> <b>now</b></p>")     # "Press <Enter> now"
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from bs4.element import Tag

_BLOCKS_NAMES = (
    "address article aside blockquote body center dd details dir div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol p "
    "pre section summary table tbody tfoot thead tr ul"
)
_BLOCK = frozenset(_BLOCKS_NAMES.split())
_VOID_NAMES = "area base basefont br col embed hr img input link meta param source track wbr"
_VOID = _VOID_NAMES.split()
_INLINE_NAMES = (
    "a abbr acronym audio b bdi bdo big button caption cite code colgroup data datalist del "
    "dfn em font head i iframe ins kbd label map mark object optgroup option output picture q "
    "rp rt ruby s samp script select small span strike strong style sub sup svg td textarea "
    "th time title tt u var video noscript"
)
_INLINE = _INLINE_NAMES.split()
_ELEMENTS = frozenset([*_BLOCK, *_VOID, *_INLINE])
_ALONE = frozenset(["br", "hr", "wbr"])
"""Elements that are markup wherever they stand. Others that have no end, such as `<link>` and
`<input>`, are nothing without an attribute."""
_MAY_STAY_OPEN = frozenset(["p", "li", "dt", "dd"])
"""Elements that HTML lets stand without an end: inside a sentence, as in "the <p> element",
they are named."""
_PARTS = frozenset(["tr", "td", "th", "option", "thead", "tbody"])
"""Elements that may stand open too, but only inside others."""
# "the <p> element", "(<li>": a letter and a blank, or an opening sign, stand before it.
_IN_A_SENTENCE = re.compile(r"[^\W\d_]['’)\]]?,? \(?$|[(\"“„«]$")
_LONGEST_BEFORE = 8
"""More signs than that pattern takes."""
_HIDDEN = ["script", "style", "head"]
# A name, then attributes as HTML writes them; "a < b" and "<user@host>" have none of that form.
# Names with a colon are Word's.
_TAG = re.compile(
    r"<(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9]*|(?:o|w|v|st1):[a-z]+)"
    r"(?P<attributes>(?:\s+[^\s<>=\"'/]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s<>\"']+))?)*)\s*/?>"
)
_COMMENT = re.compile(r"<!--.*?-->|<!doctype[^>]*>", re.DOTALL | re.IGNORECASE)
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
# With its semicolon: "&copy=2" in an address is no ©.
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")


def strip_markup(text: str) -> str:
    """The text that a reader sees; a text without markup comes back as it is.

    Blocks become lines, items of a list begin with "- " or their number, the address of a
    link follows its words in brackets.
    """
    marked = list(_markup(text))
    if not marked:
        return _unescaped(text) if _ENTITY.search(text) else text
    from bs4 import BeautifulSoup

    # What is no markup is escaped first, so that the parser takes it for text.
    soup = BeautifulSoup(_only_markup(text, marked), "html.parser")
    tags = soup.find_all(True)
    if any(tag.name in _BLOCK for tag in tags):
        _unindent(soup)
    places: Counter[int] = Counter()
    for tag in tags:
        _as_text(tag, places)
    return re.sub(r"\n(?:[^\S\n]*\n)+", _at_most_one_empty_line, soup.get_text()).strip()


def _as_text(tag: Tag, places: Counter[int]) -> None:
    """What a browser shows of a tag beyond its text; `places` counts the items of lists."""
    if tag.name in _HIDDEN:
        tag.decompose()
    elif tag.name == "br":
        tag.replace_with("\n")
    elif tag.name in ("td", "th"):
        tag.insert_after(" ")
    elif tag.name == "a":
        _show_address(tag)
    elif tag.name in _BLOCK and tag.parent is not None:
        tag.insert_before("\n")
        tag.insert_after("\n")
        if tag.name == "li":
            listed = tag.find_parent(["ol", "ul"])
            places[id(listed)] += 1
            ordered = listed is not None and listed.name == "ol"
            indent = "  " * (len(tag.find_parents(["ol", "ul"])) - 1)
            tag.insert(0, indent + (f"{places[id(listed)]}. " if ordered else "- "))


def _show_address(link: Tag) -> None:
    """Where a link leads, behind its words, unless those say it."""
    address = str(link.get("href", ""))
    if address.startswith(("http:", "https:", "mailto:", "tel:")):
        address = address.removeprefix("mailto:").removeprefix("tel:")
        if address.rstrip("/") not in link.get_text().replace(" ", ""):
            link.append(f" ({address})")


def without_tags(text: str) -> str:
    """The text with its markup cut out, and nothing else done: for counting its letters."""
    parts, done = [], 0
    for start, end in sorted(_markup(text)):
        if start >= done:
            parts.append(text[done:start])
            done = end
    return " ".join([*parts, text[done:]])


def _markup(text: str) -> Iterator[tuple[int, int]]:
    """Places of tags and comments of HTML, outside of code."""
    if "<" not in text:
        return
    code = [match.span() for match in _CODE.finditer(text)]
    tags = [tag for tag in _TAG.finditer(text) if tag["name"].lower() in _ELEMENTS or ":" in tag[0]]
    tags = [tag for tag in tags if not _is_inside(code, tag.start())]
    opened = Counter(tag["name"].lower() for tag in tags if not tag["end"])
    closed = Counter(tag["name"].lower() for tag in tags if tag["end"])
    for comment in _COMMENT.finditer(text):
        if not _is_inside(code, comment.start()):
            yield comment.span()
    sure = {tag.start() for tag in tags if _is_sure(tag, opened, closed)}
    for tag in tags:
        name, at = tag["name"].lower(), tag.start()
        # Beside sure markup, an open <p> is markup too.
        beside = bool(sure) and name in _MAY_STAY_OPEN | _PARTS
        if at in sure or beside or (name in _MAY_STAY_OPEN and not _in_a_sentence(text, at)):
            yield tag.span()


def _is_inside(spans: list[tuple[int, int]], at: int) -> bool:
    """Whether a place lies in one of the spans, which stand in order and apart."""
    before = bisect_right(spans, at, key=itemgetter(0))
    return before > 0 and at < spans[before - 1][1]


def _in_a_sentence(text: str, at: int) -> bool:
    # The few signs before a place tell it: a search from the start takes as long for each tag
    # as the text before it.
    return _IN_A_SENTENCE.search(text, max(0, at - _LONGEST_BEFORE), at) is not None


def _is_sure(tag: re.Match[str], opened: Counter[str], closed: Counter[str]) -> bool:
    """Whether a tag is markup whatever stands around it."""
    name = tag["name"].lower()
    paired = opened[name] > 0 and closed[name] > 0
    within = name in _PARTS and len(_PARTS & opened.keys()) > 1
    return paired or within or name in _ALONE or ":" in name or "=" in tag["attributes"]


def _only_markup(text: str, marked: list[tuple[int, int]]) -> str:
    """The text as HTML in which nothing but its markup is a tag."""
    parts, done = [], 0
    for start, end in sorted(marked):
        if start >= done:
            parts += [_escaped(text[done:start]), text[start:end]]
            done = end
    return "".join([*parts, _escaped(text[done:])])


# Entities first, and then all signs are escaped: "&lt;" must not become a tag.
def _escaped(text: str) -> str:
    return html.escape(_unescaped(text), quote=False)


def _unescaped(text: str) -> str:
    """Entities as letters, outside of code; "&copy=2" of a link is none."""
    parts, done = [], 0
    for code in _CODE.finditer(text):
        parts += [_ENTITY.sub(_letter, text[done : code.start()]), code[0]]
        done = code.end()
    return "".join([*parts, _ENTITY.sub(_letter, text[done:])])


def _letter(entity: re.Match[str]) -> str:
    return html.unescape(entity[0])


def _at_most_one_empty_line(blank: re.Match[str]) -> str:
    return "\n" if blank[0].count("\n") <= 2 else "\n\n"


def _unindent(soup: BeautifulSoup) -> None:
    """Drop the blanks around blocks and before lines, which a browser does not show."""
    from bs4.element import NavigableString, Tag

    for node in list(soup.find_all(string=True)):
        if type(node) is not NavigableString or node.find_parent(["pre", "code", "textarea"]):
            continue
        beside = [one for one in (node.previous_sibling, node.next_sibling) if isinstance(one, Tag)]
        if "\n" in node and node.isspace() and any(one.name in _BLOCK for one in beside):
            node.extract()
        elif (plain := re.sub(r"\n[^\S\n]+", "\n", node)) != node:
            node.replace_with(NavigableString(plain))
