from __future__ import annotations

import time

import pytest

from helpers.datasets.cleaning.markup import strip_markup, without_tags


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>Hi</p><p>Press <b>Reset</b><br>now</p>", "Hi\nPress Reset\nnow"),
        ("a &lt; b &amp; c", "a < b & c"),
        ("<style>p {}</style>x<script>y()</script>", "x"),
        ("<div>One</div><div><br></div><div>Two</div>", "One\n\nTwo"),
        ("<ul>\n  <li>One</li>\n  <li>Two</li>\n</ul>", "- One\n- Two"),
        ("<ol><li>A<li>B</ol>", "1. A\n2. B"),
        ('See <a href="https://a.example/x">here</a>', "See here (https://a.example/x)"),
        ('<a href="https://a.example/">https://a.example</a>', "https://a.example"),
        ("<pre>a:\n  b: 1</pre>", "a:\n  b: 1"),
        ("<!-- note -->Hi<o:p></o:p>", "Hi"),
        ("Write <title>Hi</title> into it", "Write Hi into it"),
        ("Hello<p>World", "Hello\nWorld"),
        ("<table><tr><td>1</td><td>2</table>", "1 2"),
        ("<ol><li>A</li><li>B<ul><li>b</li></ul></li></ol>", "1. A\n2. B\n  - b"),
        ("<html><head><title>Mail</title></head><body>Hi</body></html>", "Hi"),
    ],
)
def test_html_becomes_what_a_reader_sees(text: str, expected: str) -> None:
    assert strip_markup(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "if 3 < 4 > 2",
        "Run ssh <user>@<host> and press <Enter>. Then type <your password>.",
        "List<String> names = new Map<K, V>();",
        "vector<b> and a<b and c>d",
        "see <https://shop.example> or <ann@post.example>",
        "<config><port>80</port></config>",
        "Enter <code>, then <title> of <address>",
        "Click <link> or <button>, <input> and <label>",
        "<Body> is sent, <Html> too",
        "the <p> element, an <a> or (<li>) one",
        "<Option> and <Tab>",
        "Write `<b>bold</b>` or `&amp;`",
        "```html\n<p>x</p>\n```",
        "https://a.example/?a=1&copy=2",
    ],
)
def test_what_html_does_not_know_is_text(text: str) -> None:
    assert strip_markup(text) == text
    assert without_tags(text) == text


def test_placeholders_stay_between_tags() -> None:
    assert strip_markup("<p>Press <Enter> <b>now</b> &amp; go</p>") == "Press <Enter> now & go"


def test_a_long_text_takes_its_share_of_time() -> None:
    blocks, spans = "<p>Press it</p>" * 3_000, "`<b>` and <br> " * 3_000
    begun = time.process_time()
    assert without_tags(blocks).split() == ["Press", "it"] * 3_000
    assert without_tags(spans).split() == ["`<b>`", "and"] * 3_000
    assert time.process_time() - begun < 1.0


def test_comments_are_cut_out_with_the_tags_in_them() -> None:
    text = "<p>One</p><!-- <b>no</b> --><p>Two</p>`<!-- x -->`"
    assert without_tags(text).split() == ["One", "Two", "`<!--", "x", "-->`"]
