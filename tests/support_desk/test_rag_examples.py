"""Training examples with notes: facts agree, memory does not help, and misses are declined."""

from __future__ import annotations

import re

from helpers.rag.documents import Article, load_articles
from helpers.rag.prompts import article_note, with_notes
from helpers.support_desk import tickets
from helpers.support_desk.desk import DECLINE, SYSTEM
from helpers.support_desk.labelled_questions import LabelledQuestion, asked_before
from helpers.support_desk.rag_examples import load_rules, rag_examples_of, renumber
from tests.places import ROOT

SUPPORT = ROOT / "data" / "support"
FEE = Article("fee", "Late fee", "# Late fee\n\n## Fee\nAfter 10 days we add $8. Pay in the app.")
BILL = Article("bill", "Bill", "# Bill\n\n## Date\nIt is made on the 6th, and takes 2 days.")
MOVE = Article("move", "Moving", "# Moving\n\n## Steps\n1. Tell us 10 days ahead.\n2. Pack.")
ASKED = LabelledQuestion("How much?", "After 10 days we add $8.", ("fee",))


def many(asked=ASKED, near=("fee", "bill"), n=200, **options):
    return rag_examples_of([asked] * n, [FEE, BILL, MOVE], [near] * n, **options)


def parts(one):
    *prompt, answer = one.example["messages"]
    return prompt[-1]["content"], answer["content"]


def test_an_unchanged_example_has_the_form_that_the_running_system_sends():
    one = next(one for one in many() if one.answerable and not one.changed)
    assert one.example["messages"][:2] == with_notes(
        "How much?", [article_note(FEE), article_note(BILL)], system=SYSTEM
    )
    assert one.example["messages"][2]["content"] == ASKED.answer


def test_every_number_of_an_answer_stands_in_its_notes():
    for one in many():
        if one.answerable:
            prompt, answer = parts(one)
            for number in re.findall(r"\$?\d+", answer):
                assert re.search(rf"(?<![\w$]){re.escape(number)}(?!\d)", prompt), (number, prompt)


def test_the_numbers_differ_so_that_memory_cannot_answer():
    answers = {parts(one)[1] for one in many() if one.changed}
    assert len(answers) > 40
    assert ASKED.answer not in answers


def test_two_numbers_never_become_one():
    for one in many():
        if one.changed:
            days, dollars = re.findall(r"\d+", parts(one)[1])
            assert days != dollars


def test_a_right_article_that_was_not_found_takes_the_place_of_the_last_one():
    one = next(one for one in many(near=("bill", "move"), notes=2) if one.answerable)
    assert one.articles == ("bill", "fee")


def test_both_articles_of_a_double_question_are_in_the_notes():
    asked = LabelledQuestion("Both?", "After 10 days we add $8. It takes 2 days.", ("fee", "bill"))
    for one in many(asked, near=("move", "fee", "bill"), notes=2):
        if one.answerable:
            assert set(one.articles) == {"fee", "bill"}


def test_without_the_answer_in_the_notes_the_example_declines():
    assert all(one.answerable for one in many())
    missing = [one for one in many(n=400, unanswered=0.06) if not one.answerable]
    assert 4 <= len(missing) <= 60
    for one in missing:
        assert "fee" not in one.articles
        assert parts(one)[1] == DECLINE


def test_a_question_without_article_keeps_its_own_refusal():
    asked = LabelledQuestion("Boil an egg?", "I can't help with that. Call 555-0142.", ())
    for one in many(asked):
        assert parts(one)[1] == asked.answer


def test_another_rule_stands_in_notes_and_answer_alike():
    rules = {"fee": [("we add $8", "we add nothing")]}
    changed = [one for one in many(rules=rules) if "we add nothing" in parts(one)[1]]
    assert 40 < len(changed) < 160
    for one in changed:
        assert "we add nothing" in parts(one)[0]


def test_the_same_seed_gives_the_same_examples():
    assert many(seed=1) == many(seed=1)
    assert many(seed=1) != many(seed=2)


def test_list_numbers_names_and_telephone_numbers_are_not_changed():
    text = "2. Call 555-0142 within 2 days, $2.50 or v2, on the 2nd, 2 a.m."
    assert renumber(text, {"2": "7", "142": "9", "555": "1", "$2": "$9"}) == (
        "2. Call 555-0142 within 7 days, $2.50 or v2, on the 2nd, 7 a.m."
    )


def test_each_written_rule_has_its_words_in_article_and_answer(made):
    known = tickets.articles(SUPPORT / "kb")
    answers = {answer.answer for answer in asked_before(made, load_articles(SUPPORT / "kb"))}
    for name, pairs in load_rules(SUPPORT / "other_rules.json").items():
        for old, new in pairs:
            assert old in known[name], (name, old)
            assert any(old in answer for answer in answers), (name, old)
            assert new not in known[name]


def test_no_written_rule_is_about_a_policy_whose_change_is_tested(made):
    tested = {
        row["article"] for row in made.test if row["kind"] == "changed policy"
    }  # its new rule must stay unseen
    assert not tested & set(load_rules(SUPPORT / "other_rules.json"))
