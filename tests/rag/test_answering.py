"""Answers from notes: what goes into the prompt, what is declined, what is grounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from openai import NotFoundError

from helpers.base import settings
from helpers.base.errors import DataError
from helpers.evaluation.grading import Answer, load_samples
from helpers.evaluation.scorers import Sample
from helpers.rag.answering import (
    MIN_SCORE,
    UNSURE,
    Generation,
    Rag,
    answers_to,
    cited,
    grounding,
    near_best,
    notes_of,
)
from helpers.rag.documents import load_articles
from helpers.rag.hits import Hit
from helpers.rag.index import build, load
from helpers.rag.metrics import search_scores
from helpers.rag.prompts import article_note
from helpers.support_desk import tickets
from helpers.support_desk.desk import DECLINE, SYSTEM
from helpers.support_desk.labelled_questions import asked_before, by_article
from tests.places import ROOT

KB = ROOT / "data" / "support" / "kb"
HIT = Hit("a#1", 1.0, "Hold the button for 12 seconds. It is free.", "a", "Reset", 0.9)


class Words:
    """An embedder without a model: letters in runs of three, hashed into 512 places."""

    name = "words"

    def __call__(self, texts):
        rows = np.zeros((len(texts), 512), np.float32)
        for row, text in zip(rows, texts, strict=True):
            plain = text.lower()
            for i in range(len(plain) - 2):
                row[sum(ord(c) * 31**j for j, c in enumerate(plain[i : i + 3])) % 512] += 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return build(load_articles(KB), Words(), tmp_path_factory.mktemp("kb"))


def test_the_article_is_found_by_words_by_meaning_and_by_both(index):
    for mode in ("bm25", "dense", "hybrid"):
        hits = index.search("Where do I track my order number?", mode=mode, per_article=True)
        assert "track-order" in [hit.article for hit in hits], mode


def test_an_index_is_opened_again_and_refuses_another_model(index, tmp_path):
    build(load_articles(KB)[:3], Words(), tmp_path)
    assert len(load(tmp_path, Words())) > 3
    other = Words()
    other.name = "other"
    with pytest.raises(DataError, match="vectors of words"):
        load(tmp_path, other)


def test_an_edited_article_replaces_its_old_chunks(index, tmp_path):
    articles = load_articles(KB)
    own = build(articles, Words(), tmp_path)
    old = own.chunks("late-fee")
    from dataclasses import replace

    article = next(one for one in articles if one.id == "late-fee")
    own.upsert(replace(article, text="# Late payment\n\nThe fee is $77."))
    assert len(own.chunks("late-fee")) == 1 < len(old)
    assert own.search("late payment fee", k=1)[0].text.endswith("$77.")
    own.delete("late-fee")
    assert "late-fee" not in own.articles()


def test_hybrid_search_adds_the_ranks_of_both_and_keeps_their_order(index):
    query = "Where do I track my order number?"
    ranks = {}
    for mode in ("bm25", "dense"):
        for rank, hit in enumerate(index.search(query, k=30, mode=mode), start=1):
            ranks[hit.id] = ranks.get(hit.id, 0) + 1 / (60 + rank)
    best = sorted(ranks, key=lambda name: (-ranks[name], name))
    hits = index.search(query, k=5, mode="hybrid")
    assert [hit.id for hit in hits] == best[:5]
    assert [hit.score for hit in hits] == pytest.approx([ranks[name] for name in best[:5]])


def test_metrics_of_a_question_with_two_articles(index):
    sample = Sample(
        id="x",
        question="track my order and reset the router with the pinhole button",
        target="",
        kind="two policies",
        article="track-order;router-reset",
    )
    judged = search_scores(index, [sample], k=3)
    assert judged.recalls == [1.0]
    assert judged.ranks == [1.0]


def test_a_known_question_leads_to_an_article_that_shares_no_word_with_it(tmp_path):
    asked = {"referral": ["zxqv wjkp zxqv", "zxqv wjkp"]}
    own = build(load_articles(KB), Words(), tmp_path, questions=asked)
    assert own.search("zxqv wjkp", k=1, mode="dense")[0].article != "referral"
    assert own.search("zxqv wjkp", k=1, mode="questions")[0].article == "referral"
    again = load(tmp_path, Words())
    assert again.search("zxqv wjkp", k=1, mode="questions")[0].article == "referral"


def test_a_question_that_is_searched_for_itself_can_be_left_out(tmp_path):
    asked = {"referral": ["zxqv wjkp"], "late-fee": ["how much is the fee"]}
    own = build(load_articles(KB), Words(), tmp_path, questions=asked)
    kept, left = (
        own.search("zxqv wjkp", k=48, mode="questions", per_article=True, leave_out=out)
        for out in (False, True)
    )
    assert kept[0].article == "referral"
    assert left[0].article != "referral"


def test_an_article_without_known_questions_is_still_found(tmp_path):
    asked = {"late-fee": ["what does it cost to pay late"]}
    own = build(load_articles(KB), Words(), tmp_path, questions=asked)
    for query, name in (("pinhole button on the router", "router-reset"), ("cash", "late-fee")):
        found = own.search(query, k=48, mode="questions", per_article=True)
        assert name in [hit.article for hit in found]
    assert own.search("hold the pinhole button", k=1, mode="questions")[0].article == "router-reset"


def test_known_questions_of_a_deleted_article_find_nothing(tmp_path):
    own = build(load_articles(KB), Words(), tmp_path, questions={"referral": ["zxqv wjkp"]})
    before = own.version
    own.delete("referral")
    found = own.search("zxqv wjkp", k=48, mode="questions", per_article=True)
    assert "referral" not in [hit.article for hit in found]
    own.restore(before)
    assert own.search("zxqv wjkp", k=1, mode="questions")[0].article == "referral"


def test_an_index_built_anew_without_questions_forgets_the_old_ones(tmp_path):
    articles = load_articles(KB)
    build(articles, Words(), tmp_path, questions={"referral": ["zxqv wjkp"]})
    own = build(articles, Words(), tmp_path)
    by_text = own.search("zxqv wjkp", k=1, mode="dense")
    assert own.search("zxqv wjkp", k=1, mode="questions") == by_text


def test_the_note_of_an_indexed_article_is_that_of_the_article_itself(index):
    for article in load_articles(KB):
        hits = index.chunks(article.id)[-1:]
        assert notes_of(index, hits) == [article_note(article)]


def test_each_article_gives_one_note(index):
    hits = [*index.chunks("late-fee"), *index.chunks("bill-date"), *index.chunks("late-fee")]
    assert [note.article for note in notes_of(index, hits)] == ["late-fee", "bill-date"]


def test_a_number_that_stands_in_no_note_is_named():
    good, bad = grounding("Hold the button for 12 seconds. It costs 99 dollars.", [HIT.text])
    assert good.supported
    assert not bad.supported
    assert bad.missing == ("99",)


def test_only_articles_that_the_answer_comes_from_are_cited():
    fee, bill, visit = (
        article_note(article)
        for article in load_articles(KB)
        if article.id in ("late-fee", "bill-date", "visit-reschedule")
    )
    by_name = {note.article: note for note in (fee, bill, visit)}
    for name, note in by_name.items():
        assert cited(note.text, list(by_name.values())) == (name,)
    both = f"{by_name['late-fee'].text} {by_name['bill-date'].text}"
    assert cited(both, list(by_name.values())) == ("late-fee", "bill-date")


@pytest.mark.parametrize("answer", ["", "Good day.", "Penguins gather under southern moonlight."])
def test_an_answer_that_comes_from_no_note_cites_none(answer):
    assert cited(answer, [article_note(article) for article in load_articles(KB)]) == ()


def test_an_unknown_knowledge_base_is_named(client):
    with pytest.raises(DataError, match="no knowledge base 'x'"):
        Rag(client, settings.BASE_MODEL, {}, system=SYSTEM, decline=DECLINE).generate(
            query="Hi", knowledge_base="x"
        )


def test_a_real_model_answers_with_citations_and_declines(client):
    from helpers.rag.embedding import embedder

    found = embedder(client, settings.EMBEDDING_MODEL)
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        index = build(load_articles(KB)[:12], found, folder)
        rag = Rag(client, settings.BASE_MODEL, {"kb": index}, system=SYSTEM, decline=DECLINE)
        done = rag.generate(query="When is my bill made?", knowledge_base="kb", max_tokens=30)
        assert "bill-date" in [note.article for note in done.notes]
        assert set(done.citations) <= {note.article for note in done.notes}
        assert done.answer
        off = rag.generate(query="zebra giraffe savanna photograph", knowledge_base="kb")
        assert off.declined
        assert off.answer == DECLINE


def test_hits_far_below_the_best_are_left_out():
    hits = [HIT._replace(score=score) for score in (0.7, 0.6, 0.54)]
    assert near_best(hits, within=0.15) == hits[:2]
    assert near_best(hits[::-1], within=0.15) == hits[1::-1]
    assert near_best(hits, within=0.2) == hits
    assert near_best([]) == []


def test_only_articles_near_the_best_one_are_read(client, index):
    rag = Rag(
        client,
        settings.BASE_MODEL,
        {"kb": index},
        system=SYSTEM,
        decline=DECLINE,
        mode="dense",
        min_score=0.0,
        within=0.0,
    )
    asked = {"query": "When is my bill made?", "knowledge_base": "kb", "max_tokens": 2}
    alone, three = rag.generate(**asked), replace(rag, within=2.0).generate(**asked)
    assert (len(alone.notes), len(three.notes)) == (1, 3)
    assert alone.notes == three.notes[:1]


def test_where_the_search_is_unsure_another_model_is_asked_without_notes(client, index):
    rag = Rag(
        client,
        "no-such-model",
        {"kb": index},
        system=SYSTEM,
        decline=DECLINE,
        mode="dense",
        min_score=0.0,
        unsure=1.1,
    )
    asked = {"query": "When is my bill made?", "knowledge_base": "kb", "max_tokens": 2}
    with pytest.raises(NotFoundError):
        rag.generate(**asked)
    alone = replace(rag, closed_book_model=settings.BASE_MODEL).generate(**asked)
    sure = replace(rag, model=settings.BASE_MODEL, closed_book_model="no-such-model", unsure=0.0)
    noted = sure.generate(**asked)
    assert (alone.aided, noted.aided) == (False, True)
    assert alone.notes == noted.notes
    assert alone.prompt_tokens < noted.prompt_tokens / 2


@pytest.mark.slow
def test_known_questions_bring_nine_in_ten_articles_of_the_test_set(client, tmp_path):
    from helpers.rag.embedding import embedder

    articles = load_articles(KB)
    asked = by_article(asked_before(tickets.build(tickets.load(KB.parent)), articles))
    own = build(articles, embedder(client, settings.EMBEDDING_MODEL), tmp_path, questions=asked)
    judged = search_scores(own, load_samples(KB.parent / "test.jsonl"), mode="questions", k=3)
    assert judged.recall.mean >= 0.9
    assert judged.mrr.mean >= 0.8


@pytest.mark.slow
def test_the_least_scores_turn_away_few_questions_that_an_article_answers(client, tmp_path):
    from helpers.rag.embedding import embedder

    articles = load_articles(KB)
    made = tickets.build(tickets.load(KB.parent))
    asked = asked_before(made, articles)
    find = embedder(client, settings.EMBEDDING_MODEL)
    own = build(articles, find, tmp_path, questions=by_article(asked))
    asked += asked_before(made, articles, part="validation")
    found = own.search_all(
        [one.question for one in asked], mode="questions", k=1, per_article=True, leave_out=True
    )
    scores = np.array([hits[0].score for hits in found])
    has_article = np.array([bool(one.articles) for one in asked])

    def below(score, some):
        return float((scores[some] < score).mean())

    assert below(MIN_SCORE, has_article) < 0.03
    assert below(MIN_SCORE, ~has_article) > 0.5
    assert below(UNSURE, has_article) < 0.1
    assert below(UNSURE, ~has_article) > below(MIN_SCORE, ~has_article) + 0.1


def test_answers_of_many_questions_come_back_in_the_order_of_the_questions(client, index):
    asked = ["How do I reset my router?", "When is my bill made?"]
    queries = [asked[i % 2] for i in range(9)]
    rag = Rag(
        client,
        settings.BASE_MODEL,
        {"kb": index},
        system=SYSTEM,
        decline=DECLINE,
        mode="dense",
        min_score=0.0,
    )
    done = rag.generate_all(queries, knowledge_base="kb", max_tokens=2, workers=2)
    read = [[note.article for note in one.notes] for one in done]
    assert read[::2] == [read[0]] * 5
    assert read[1::2] == [read[1]] * 4
    assert read[0] != read[1]


def test_each_question_may_have_its_own_knowledge_base(client, index, tmp_path):
    own = build(load_articles(KB)[:1], Words(), tmp_path)
    rag = Rag(
        client,
        settings.BASE_MODEL,
        {"a": index, "b": own},
        system=SYSTEM,
        decline=DECLINE,
        mode="dense",
        min_score=0.0,
    )
    queries = ["When is my bill made?"] * 4
    done = rag.generate_all(queries, knowledge_base=[*"abab"], max_tokens=2)
    assert done[0] == done[2] != done[1] == done[3]
    with pytest.raises(DataError, match="no knowledge base 'c'"):
        rag.generate_all(queries, knowledge_base=["a", "b", "c", "a"])


@pytest.mark.parametrize("batch", [False, True])
def test_only_questions_that_reach_the_model_are_sent(client, index, batch):
    rag = Rag(
        client,
        settings.BASE_MODEL,
        {"kb": index},
        system=SYSTEM,
        decline=DECLINE,
        mode="dense",
        min_score=0.0,
    )
    declining = replace(rag, min_score=2.0)
    queries = ["When is my bill made?"] * 4
    asked = {"knowledge_base": "kb", "max_tokens": 2, "timed": 2, "batch": batch}
    done = rag.generate_all(queries, **asked)
    assert [one.seconds is not None for one in done] == [True, False, True, False]
    assert all(one.prompt_tokens for one in done)
    assert not any(one.declined for one in done)
    refused = declining.generate_all(queries, **asked)
    assert {one.answer for one in refused} == {DECLINE}
    assert [(one.prompt_tokens, one.seconds) for one in refused] == [(0, None)] * 4


def test_answers_to_test_questions_are_ready_to_grade():
    samples = [Sample("a", "?", "", ""), Sample("b", "?", "", "")]
    done = [
        Generation("12 s", (), (), False, prompt_tokens=7, completion_tokens=3, seconds=0.5),
        Generation("no", (), (), True),
    ]
    assert answers_to(samples, done) == [
        Answer("a", "12 s", 7, 3, 0.5),
        Answer("b", "no", 0, 0, None),
    ]
    with pytest.raises(ValueError, match="zip"):
        answers_to(samples, done[:1])
