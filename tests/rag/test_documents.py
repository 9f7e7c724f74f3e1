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
    sentences,
)

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
