"""Any text may be asked, and one long article or question stops nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from helpers.base.errors import DataError
from helpers.rag.answering import NOTE_TOKENS, QUERY_TOKENS, Rag, notes_of
from helpers.rag.documents import Article, token_count
from helpers.rag.index import build
from tests.rag.test_answering import Words

FEE = Article("late-fee", "Late payment", "## The fee\n\nThe late fee is 5 dollars a month.")
MOVE = Article("moving", "Moving", "Tell us 10 days ahead when you move to another home.")
ROWS = "\n".join(f"| Country {n} | 0.{n} EUR |" for n in range(400))
ROAMING = Article("roaming", "Roaming", f"## Prices\n\n| land | minute |\n|---|---|\n{ROWS}")


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    asked = {"late-fee": ["what does it cost to pay late", "  "], "moving": [""]}
    return build([FEE, MOVE, ROAMING], Words(), tmp_path_factory.mktemp("kb"), questions=asked)


QUERIES = {
    "quotes": '"late fee"',
    "a quote": 'the "late fee',
    "nothing in quotes": '""',
    "apostrophe": "what's the fee'",
    "operators": "+late -fee (late AND fee) OR NOT fee~2 late* passage:fee fee^2 [a TO b] \\ /",
    "sql": "'; DROP TABLE chunks; --",
    "stop words": "how do I the of a",
    "Chinese": "什么时候付账单",
    "Arabic": "متى ندفع الفاتورة؟",
    "emoji": "🙂",
    "empty": "",
    "blanks": " \n\t",
    "nul": "late\x00fee",
    "half a pair": "late \ud83d fee",
    "long": "late fee " * 5_000,
    "long and all different": " ".join(f"w{n}" for n in range(10_000)),
    "one long word": "x" * 60_000,
}
FOUND = {"quotes", "a quote", "operators", "half a pair", "long"}


@pytest.mark.parametrize("mode", ["bm25", "dense", "hybrid", "questions"])
@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_search_gives_hits_or_none(index, mode, query):
    hits = index.search(query, mode=mode, per_article=True, leave_out=True)
    [again] = index.search_all([query], mode=mode, per_article=True, leave_out=True)
    assert hits == again
    if query in {QUERIES[name] for name in FOUND} and mode != "questions":
        assert hits[0].article == "late-fee"
    if not query.strip():
        assert hits == []


def test_empty_questions_among_others_find_nothing(index):
    found = index.search_all(["", "late fee", " "], mode="dense", k=1)
    assert [len(hits) for hits in found] == [0, 1, 0]


@pytest.mark.parametrize("articles", [[FEE, MOVE, FEE], [FEE, FEE]])
def test_an_id_that_stands_twice_is_named(articles, tmp_path):
    with pytest.raises(DataError, match="'late-fee' stands for 2 articles"):
        build(articles, Words(), tmp_path)


def test_an_upsert_names_an_id_that_stands_twice_and_changes_nothing(tmp_path):
    own = build([FEE, MOVE], Words(), tmp_path)
    before = own.version
    with pytest.raises(DataError, match="late-fee"):
        own.upsert(FEE, FEE)
    assert own.version == before


def test_blank_questions_are_not_stored(tmp_path):
    own = build([FEE, MOVE], Words(), tmp_path, questions={"moving": ["", " "], "late-fee": []})
    assert own.search("late fee", k=1, mode="questions") == own.search(
        "late fee", k=1, mode="dense"
    )


def test_of_a_long_article_the_part_around_the_hit_is_read(index):
    hit = next(one for one in index.chunks("roaming") if "Country 200 " in one.text)
    [note] = notes_of(index, [hit])
    assert "| Country 200 | 0.200 EUR |" in note.text.splitlines()
    assert "| land | minute |" in note.text.splitlines()
    assert NOTE_TOKENS / 2 < token_count(note.text) <= NOTE_TOKENS
    assert note.text.startswith("Prices:\n\n| land")


class Listener:
    """A client that remembers the prompts."""

    def __init__(self) -> None:
        self.prompts: list[str] = []
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self.create))

    def create(self, messages: Any, **_: Any) -> Any:
        self.prompts.append(messages[-1]["content"])
        message = SimpleNamespace(content="5 dollars")
        return SimpleNamespace(choices=[SimpleNamespace(message=message)], usage=None)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_every_question_gets_an_answer(index, query):
    client: Any = Listener()
    rag = Rag(client, "m", {"kb": index}, system="S", decline="No.", mode="dense", min_score=0.01)
    done = rag.generate(query=query, knowledge_base="kb")
    assert done.answer in ("5 dollars", "No.")
    assert done.declined is (not client.prompts)


def test_a_long_question_is_shown_with_its_beginning_and_end_and_that_is_said(index):
    client: Any = Listener()
    rag = Rag(client, "m", {"kb": index}, system="S", decline="No.", mode="dense", min_score=0.0)
    email = f"Good day. {'I have waited for weeks. ' * 800}What is the late fee?"
    long, short = (
        rag.generate(query=query, knowledge_base="kb") for query in (email, "What is the late fee?")
    )
    assert (long.tokens_cut > 1000, short.tokens_cut) == (True, 0)
    prompt = client.prompts[0]
    assert prompt.endswith("What is the late fee?")
    assert "Question: Good day." in prompt
    assert token_count(prompt) < QUERY_TOKENS + rag.k * NOTE_TOKENS + 100
