"""What each method sends: whole talks, examples before them, notes in the last message."""

from __future__ import annotations

import numpy as np

from helpers.capstone.lookup import Found, OwnArticles, PastAnswers, load_store
from helpers.capstone.methods import PromptForm, example, prompt
from helpers.capstone.samples import MESSAGE, newest, readable, search_text, turns
from helpers.costs.monthly import BASE, BOTH, FEW_SHOT, RETRIEVAL, TUNED
from helpers.rag.documents import Article, token_count
from tests.capstone.fake import embed


def message(role, content):
    return {"role": role, "content": content}


TALK = [
    message("system", "You answer."),
    message("user", "My parcel is late."),
    message("assistant", "Shall I trace it?"),
    message("user", "yes"),
    message("assistant", "It is in Berlin."),
]
SHORT = [message("user", "When do you open?"), message("assistant", "At 9.")]
FORM = PromptForm("You answer.")


def test_every_answer_of_a_conversation_is_one_to_score():
    found = turns([TALK, SHORT])
    assert [turn.id for turn in found] == ["row-1.1", "row-1.2", "row-2"]
    assert [turn.talk for turn in found] == [1, 1, 2]
    assert [turn.answer for turn in found] == ["Shall I trace it?", "It is in Berlin.", "At 9."]


def test_a_greeting_before_any_question_is_no_answer():
    assert turns([[message("assistant", "Hello!"), *SHORT]])[0].answer == "At 9."


def test_the_search_knows_the_whole_talk_and_not_the_last_yes():
    asked = turns([TALK])[1].search_text
    assert "parcel" in asked
    assert asked.endswith("yes")
    assert "You answer" not in asked


def test_a_long_talk_is_searched_by_its_end():
    asked = search_text([message("user", "first " * 2000 + "last")])
    assert asked.endswith("last")
    assert len(asked) < 2000
    digits = search_text([message("user", "7" * 5000)])
    assert len(digits) <= 512


def test_of_many_past_answers_the_nearest_come_first_and_of_equal_ones_the_earlier():
    n = 200
    near = np.round(np.random.default_rng(2).random(n), 1).astype(np.float32)
    talks = [[message("user", str(i)), message("assistant", f"{i} or {i % 3}")] for i in range(n)]
    past = PastAnswers(tuple(turns(talks)), near[:, None])
    found = past.find(["x"], np.ones((1, 1), dtype=np.float32), k=n)[0]
    assert [one.place for one in found] == sorted(range(n), key=lambda i: (-near[i], i))


def test_examples_stand_before_the_customers_talk():
    talk = turns([TALK])[1].before
    sent = FORM.few_shot(talk, turns([SHORT]))
    assert [m["content"] for m in sent] == [
        "You answer.", "When do you open?", "At 9.", "My parcel is late.", "Shall I trace it?",
        "yes",
    ]  # fmt: skip


def test_the_nearest_example_comes_last_and_a_talk_is_shown_whole():
    near = [*turns([TALK])[1:], *turns([SHORT])]
    sent = FORM.few_shot([message("user", "Hi")], near)
    texts = [m["content"] for m in sent]
    assert texts.index("At 9.") < texts.index("It is in Berlin.")
    assert "My parcel is late." in texts


def test_of_a_long_example_the_end_is_shown_from_a_customers_message_on():
    long = [message("user", "a" * 5000), message("assistant", "b"), *SHORT]
    assert [m["content"] for m in example(turns([long])[1])] == ["When do you open?", "At 9."]


def test_notes_stand_in_the_last_message_and_the_talk_stays():
    talk = turns([TALK])[1].before
    notes = [Found("Late parcels", "We trace them.", 0.9), Found("Far", "Cats.", 0.1)]
    sent = FORM.looked_up(talk, notes)
    assert [m["content"] for m in sent[:-1]] == [m["content"] for m in TALK[:3]]
    assert "We trace them." in sent[-1]["content"]
    assert sent[-1]["content"].endswith("Question: yes")
    assert "Cats" not in sent[-1]["content"]


def test_labels_are_told_to_a_model_that_was_not_trained_on_them():
    form = PromptForm("Sort.", labels=("refund", "delivery"))
    talk = [message("user", "Where is it?")]

    def system(method):
        return prompt(method, form, talk, notes=[], examples=[])[0]["content"]

    assert all("refund; delivery" in system(method) for method in (BASE, FEW_SHOT, RETRIEVAL))
    assert {system(TUNED), system(BOTH)} == {"Sort."}


def test_past_answers_are_found_by_what_was_asked_without_ones_own(tmp_path):
    talks = [
        [message("user", "where is my parcel"), message("assistant", "In Berlin.")],
        [message("user", "where is my letter"), message("assistant", "In Paris.")],
        [message("user", "parcel where"), message("assistant", "In Berlin.")],
    ]
    past = PastAnswers.build(turns(talks), embed)
    texts = [turn.search_text for turn in past.turns]
    found = past.find(texts, past.vectors, k=2)
    assert [note.text for note in found[0]] == ["In Berlin.", "In Paris."]
    without = past.find(texts, past.vectors, k=2, without=[1, 2, 3])
    assert without[0][0].place == 2
    past.save(tmp_path)
    again = load_store(tmp_path, embed).find(texts, past.vectors, k=2)
    assert [[note.text for note in notes] for notes in again] == [
        [note.text for note in notes] for notes in found
    ]


def test_own_articles_are_found_after_they_were_carried_away(tmp_path):
    store = OwnArticles.build([Article("a", "Fee", "It costs 4 euros.")], embed, tmp_path / "here")
    store.save(tmp_path / "there")
    again = load_store(tmp_path / "there", embed)
    assert again.find(["fee"], embed(["fee"]), k=1)[0][0].text == "It costs 4 euros."


def test_of_a_very_long_question_beginning_and_end_are_read():
    long = message("user", f"My router fails. {'noise ' * 3000}What is the fee?")
    read = readable([long, message("assistant", long["content"])])
    assert token_count(read[0]["content"]) <= MESSAGE
    assert read[0]["content"].startswith("My router")
    assert read[0]["content"].endswith("the fee?")
    assert read[1]["content"] == long["content"]
    assert readable([SHORT[0]]) == [SHORT[0]]


def test_of_a_very_long_talk_the_newest_messages_are_read_from_a_customers_on():
    part = "word " * 700
    talk = [message(role, part) for role in ("user", "assistant") * 5] + [SHORT[0]]
    kept = newest(talk)
    assert kept == tuple(talk[-len(kept) :])
    assert 1 < len(kept) < len(talk)
    assert kept[0]["role"] == "user"
    assert newest(talk[:1]) == tuple(talk[:1])
