"""Whose fault a wrong answer is, and what would be read."""

from __future__ import annotations

from helpers.evaluation.scorers import Sample
from helpers.rag.answering import Generation
from helpers.rag.diagnosis import citation_scores, note_coverage, outcomes
from helpers.rag.hits import Hit
from helpers.rag.prompts import ArticleNote

NOTE = ArticleNote("fee", "Late payment", "The late fee is 5 dollars.")


def hit(article: str, score: float = 0.5) -> Hit:
    return Hit(f"{article}#1", score, "", article, "", score)


def done(answer: str, *articles: str, declined: bool = False, cites: tuple[str, ...] = ()):
    hits = tuple(map(hit, articles))
    return Generation(answer, cites, hits, declined, notes=(NOTE,))


BOTH = Sample("t", "?", "", "two policies", article="fee;bill")
OFF = Sample("o", "?", "", "misuse")


def test_a_wrong_answer_is_the_searchs_fault_where_an_article_is_lacking():
    asked = [BOTH, BOTH, BOTH, OFF]
    said = [done("", "fee", "bill"), done("", "fee"), done("", "fee"), done("")]
    found = outcomes(asked, said, [0.0, 0.4, 0.5, float("nan")])
    assert found == ["generation miss", "retrieval miss", "right"]


def test_sentences_are_counted_and_declined_answers_are_not():
    said = [
        done("The late fee is 5 dollars. The late fee is 9 dollars.", cites=("bill",)),
        done("I can only help with bills.", declined=True),
    ]
    found = citation_scores([BOTH, BOTH], said)
    assert (found["sentences grounded"].n, found["sentences grounded"].mean) == (2, 0.5)
    assert (found["a right article cited"].n, found["a right article cited"].mean) == (2, 0.5)


def test_all_that_a_question_needs_must_be_among_the_notes():
    found = [[hit("fee", 0.9), hit("bill", 0.7)], [hit("move", 0.9), hit("fee", 0.2)]]
    wanted = [{"fee", "bill"}, {"move"}]
    assert note_coverage(wanted, found, k=1)["all it needs is there"].mean == 0.5
    read = note_coverage(wanted, found, k=2, within=0.3)
    assert read["all it needs is there"].mean == 1
    assert read["notes in a prompt"] == 1.5
