import datetime as dt
import itertools

import pytest

from helpers.base.errors import DataError
from helpers.rag.documents import (
    Article,
    Chunking,
    chunk,
    in_force,
    load_articles,
    parse_article,
    shortened,
    token_count,
)
from helpers.rag.markdown import joined, pieces, sentences

SOURCE = """---
id: router-reset
title: Reset the Halo router
product: Halo router
effective: 2025-03-01
---
# Reset the Halo router

A reset brings the router back to its first day.

## Hold the button

1. Find the pinhole.
2. Hold it for 12 seconds. The ring blinks amber.

## If it fails

Call between 7 a.m. and 9 p.m. on Monday. It costs $4.50. We help.
"""


def words(number, length=5):
    return " ".join(f"{'word ' * (length - 1)}end{i}th." for i in range(number))


def test_an_article_is_read_with_its_header():
    article = parse_article(SOURCE)
    assert (article.id, article.product) == ("router-reset", "Halo router")
    assert article.effective == dt.date(2025, 3, 1)
    assert article.text.startswith("# Reset")


@pytest.mark.parametrize(
    "source",
    ["no header", "---\ntitle: x\n---\ntext", "---\nid: a\ntitle: b\neffective: x\n---"],
)
def test_a_damaged_article_is_named(tmp_path, source):
    (tmp_path / "bad.md").write_text(source)
    with pytest.raises(DataError, match=r"bad\.md"):
        load_articles(tmp_path)


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no articles"):
        load_articles(tmp_path)


def test_the_version_that_holds_on_a_day_is_taken():
    old = Article("a", "A", "old", dt.date(2025, 1, 1))
    new = Article("a", "A", "new", dt.date(2026, 9, 1))
    assert [one.text for one in in_force([new, old])] == ["new"]
    assert [one.text for one in in_force([new, old], on=dt.date(2026, 8, 31))] == ["old"]
    assert in_force([new], on=dt.date(2025, 1, 1)) == []


def test_each_section_becomes_a_chunk_under_its_headings():
    made = chunk(parse_article(SOURCE))
    assert [one.id for one in made] == [
        "router-reset#top",
        "router-reset#hold-the-button",
        "router-reset#if-it-fails",
    ]
    assert made[1].heading == ("Reset the Halo router", "Hold the button")
    assert "12 seconds" in made[1].text
    assert made[1].passage.startswith("Reset the Halo router > Hold the button\n1. Find")


def test_an_edited_section_leaves_the_other_ids_alone():
    before = {one.id for one in chunk(parse_article(SOURCE), Chunking(size=12))}
    edited = SOURCE.replace("A reset brings", "Now and then, a reset of yours simply brings all of")
    after = {one.id for one in chunk(parse_article(edited), Chunking(size=12))}
    assert before <= after


def test_by_size_ignores_headings_and_overlaps_by_whole_sentences():
    article = Article("a", "A", words(10))
    made = chunk(article, Chunking(by="size", size=20, overlap=5))
    assert all(len(one.text.split()) <= 20 for one in made)
    for left, right in itertools.pairwise(made):
        assert left.text.split(". ")[-1].rstrip(".") == right.text.split(". ")[0]
    assert len({one.id for one in made}) == len(made)


def test_no_sentence_is_lost_whatever_the_size():
    text = words(9, 7)
    for size in (3, 7, 15, 200):
        for overlap in (0, size // 2):
            made = chunk(Article("a", "A", text), Chunking("size", size, overlap))
            assert set(sentences(text)) <= {s for one in made for s in sentences(one.text)}


def test_an_overlap_as_long_as_the_chunk_is_refused():
    with pytest.raises(DataError):
        Chunking(size=10, overlap=10)


def test_sentences_do_not_break_at_times_prices_or_abbreviations():
    found = sentences("Call from 7 a.m. to 9 p.m. on Monday. It costs $4.50. Stay for 12. Then go!")
    assert found == ["Call from 7 a.m. to 9 p.m. on Monday.", "It costs $4.50.", "Stay for 12.",
                     "Then go!"]  # fmt: skip


def test_list_items_are_sentences_of_their_own():
    assert sentences("Do this:\n- one thing\n- another. And more.") == [
        "Do this:",
        "- one thing",
        "- another.",
        "And more.",
    ]


@pytest.mark.parametrize(
    ("header", "title"),
    [
        ("title: Reset: the router", "Reset: the router"),
        ('title: "Reset: \\"now\\""', 'Reset: "now"'),
        ("title: >-\n  Reset\n  the router", "Reset the router"),
        ("title: Reset # the short name", "Reset"),
        ("title: 'It''s off'\ntags: [a, b]", "It's off"),
    ],
)
def test_a_header_is_read_as_yaml_and_a_bare_colon_is_allowed(header, title):
    article = parse_article(f"---\nid: 007\n{header}\n---\nText.")
    assert (article.id, article.title, article.text) == ("007", title, "Text.")


@pytest.mark.parametrize("header", ["- id: a\n- title: b", "id: [a]\ntitle: b", "id: a\ntitle:"])
def test_a_header_without_id_and_title_is_refused(header):
    with pytest.raises(ValueError, match="header"):
        parse_article(f"---\n{header}\n---\nText.")


def article_file(folder, name, day=""):
    when = f"effective: {day}\n" if day else ""
    (folder / name).write_text(f"---\nid: fee\ntitle: Fee\n{when}---\n{name}")


def test_two_files_of_one_version_are_named_and_two_versions_are_fine(tmp_path):
    article_file(tmp_path, "a.md")
    article_file(tmp_path, "b.md", "2026-01-01")
    assert [one.text for one in load_articles(tmp_path)] == ["b.md"]
    article_file(tmp_path, "c.md", "2026-01-01")
    with pytest.raises(DataError, match=r"b\.md and c\.md are both the article 'fee'"):
        load_articles(tmp_path)


TABLE = "| country | minute |\n|:---|---:|\n" + "\n".join(
    f"| Land {n} | {n} EUR |" for n in range(60)
)
CODE = "```bash\n# stop\nsudo hubctl stop\n\n    # wait\nsudo hubctl start\n```"


def in_article(text, **rule):
    return chunk(Article("a", "A", text), Chunking(**rule))


def test_a_long_table_is_cut_between_rows_and_each_chunk_has_its_head():
    made = in_article(f"## Prices\n\n{TABLE}\n\nAll with tax.", size=40)
    assert len(made) > 5
    for one in made[:-1]:
        assert one.text.startswith("| country | minute |\n|:---|---:|\n| Land")
    rows = [line for one in made for line in one.text.splitlines() if "Land" in line]
    assert rows == TABLE.splitlines()[2:]
    assert made[-1].text.endswith("\n\nAll with tax.")
    assert all(len(one.text.split()) <= 40 for one in made)


@pytest.mark.parametrize(
    "code",
    [
        CODE,
        CODE.replace("```", "~~~~"),
        CODE.replace("```bash", "````md").replace("```\n", "```\n").replace("\n```", "\n````"),
        CODE.removesuffix("\n```"),
        "    # stop\n    sudo hubctl stop\n\n    sudo hubctl start",
        "<pre>\n# stop\n  sudo hubctl stop\n</pre>",
    ],
)
def test_code_keeps_its_lines_and_has_no_headings(code):
    made = in_article(f"Log in.\n\n{code}\n")
    assert [one.heading for one in made] == [("A",)]
    inside = [line for line in code.splitlines() if "hubctl" in line or "# stop" in line]
    assert [line for line in made[0].text.splitlines() if line in inside] == inside
    assert made[0].text.startswith("Log in.\n\n")


def test_code_that_is_cut_stands_between_fences_in_each_chunk():
    lines = "\n".join(f"run step {n} --now" for n in range(40))
    made = in_article(f"```sh\n{lines}\n```", size=30)
    assert len(made) > 4
    for one in made:
        first, *inside, last = one.text.splitlines()
        assert (first, last) == ("```sh", "```")
        assert all(line.startswith("run step") for line in inside)


def test_code_in_a_list_and_a_table_in_a_quotation_stay_whole():
    text = "1. Stop it:\n\n   ```\n   # no heading\n   stop\n   ```\n2. Wait."
    assert in_article(text)[0].text.splitlines()[2:6] == text.splitlines()[2:6]
    quoted = "> |a|b|\n> |-|-|\n> |1|2|"
    assert in_article(quoted)[0].text == quoted


def test_headings_of_every_form_open_a_section():
    text = "Intro.\n\nFirst\n=====\none\n\nSecond\n---\ntwo\n\n ### Third ###\nthree\n\n#\nfour"
    made = in_article(text)
    assert [one.heading[1:] for one in made] == [
        (), ("First",), ("First", "Second"), ("First", "Second", "Third")
    ]  # fmt: skip


def test_a_line_is_no_heading_under_a_table_or_in_html():
    made = in_article(f"{TABLE[:60]}\n\n<!--\n# hidden\n-->\nEnd.", size=200)
    assert len(made) == 1


LONG = {
    "one word": "x" * 9000,
    "no full stop": "the fee of the line " * 900,
    "Chinese": "什么时候付账单呢" * 300,
    "Chinese sentences": "什么时候付账单呢。" * 300,
    "Arabic": "متى ندفع الفاتورة؟ " * 300,
    "Thai": "เมื่อไหร่จะจ่ายบิล" * 200,
    "emoji": "🙂" * 900,
    "a row": "|a|b|\n|-|-|\n|" + "word " * 2000 + "|2|",
    "a head": "|" + "name " * 1000 + "|b|\n|-|-|\n|1|2|",
    "a line of code": "```\n" + "a=1;" * 3000 + "\n```",
    "a fence": "```" + "info " * 1000 + "\ncode\n```",
    "blank lines in code": "```\na\n" + "\n" * 500 + "b\n```",
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_no_chunk_has_more_tokens_than_it_may_and_no_letter_is_lost(text):
    made = in_article(text, max_tokens=300)
    assert all(token_count(one.text) <= 300 for one in made)
    letters = "".join("".join(one.text for one in made).split())
    for letter in set("".join(text.split())):
        assert letters.count(letter) >= text.count(letter), letter


def test_words_that_no_blank_divides_fill_a_chunk_too():
    made = in_article("什么时候付账单呢。" * 60, size=40)
    assert all(len(one.text) < 100 for one in made)


def test_pieces_put_together_are_the_text_again():
    text = f"It is free. Call.\n- one\n- two\n\n{CODE}\n\nThen:\n\n{TABLE}"
    again = joined(pieces(text))
    assert again.split() == text.split()
    assert pieces(again) == pieces(text)
    for line in (CODE + "\n" + TABLE).splitlines():
        assert line in again.splitlines()


def test_a_sentence_right_below_a_table_is_no_row():
    found = pieces("|a|b|\n|-|-|\n|1|2|\nIn words: one. And two.")
    assert [one.text for one in found] == ["|1|2|", "In words: one.", "And two."]
    assert [one.line for one in found] == [True, False, False]


def test_a_long_text_is_shortened_in_its_middle():
    text = " ".join(f"word{n}" for n in range(3000))
    shown, left_out = shortened(text, 200)
    assert token_count(shown) <= 200
    assert shown.startswith("word0 word1 ")
    assert shown.endswith(" word2999")
    assert " […] " in shown
    assert left_out > 3000
    assert shortened("short", 200) == ("short", 0)


def test_no_chunk_without_tokens():
    with pytest.raises(DataError, match="0 tokens"):
        Chunking(max_tokens=0)
