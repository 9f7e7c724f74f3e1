"""Prices stay prices on a page: nothing of ours makes a formula."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.base.markup import cell, code_html, html_text, lone_dollars, markdown_text
from helpers.costs import advisor, catalog, monthly
from helpers.course.exercises import core
from helpers.course.exercises.core import HelpText, Verdict
from helpers.course.quiz.questions import load
from helpers.widgets import cost_explorer, quiz, table
from tests.pages import formulas_in_html, formulas_in_markdown

TASKS = [task for number in range(8) for task in core.tasks(f"{number:02d}")]
PRICES = 'at $25 a million $2.33, `x = "$5"` and $$'


@given(st.text("ab$<>&`\n ", max_size=40))
def test_no_text_becomes_a_formula(text):
    assert formulas_in_html(f"<p>{html_text(text)}</p>") == []
    assert formulas_in_markdown(markdown_text(text)) == []


def test_what_stands_between_backticks_is_code():
    assert code_html("`a` < `b`, $5") == "<code>a</code> &lt; <code>b</code>, <span>$</span>5"


def test_the_words_stay_and_code_is_left_as_it_is():
    assert html_text("<i> $5") == "&lt;i&gt; <span>$</span>5"
    assert markdown_text("`$5` is $5") == "`$5` is <span>&#36;</span>5"
    assert '```python\na = "$1 $2"\n```' in markdown_text('$3\n```python\na = "$1 $2"\n```')
    assert lone_dollars("<td>$1 or $2</td>") == "<td><span>$</span>1 or <span>$</span>2</td>"


def test_the_measure_finds_what_a_page_would_typeset():
    assert formulas_in_html("<p>at $25 a million $2.33</p>")
    assert formulas_in_html("<p>at $25<br>and $2.33</p>")
    assert not formulas_in_html("<p>$25</p><p>$2.33</p><code>$1 $2</code>")
    assert formulas_in_markdown(r"at \$25 a million \$2.33")
    assert not formulas_in_markdown("`$a $b`\n\n$5\n\n$6")


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_exercises_show_no_formula(task):
    for words in (task.praise, PRICES, *task.hints):
        assert formulas_in_html(Verdict("correct", words)._repr_html_()) == []
    for words in (*task.hints, f"```python\n{task.solution}\n```", PRICES):
        assert formulas_in_markdown(HelpText(words)._repr_markdown_()) == []


def test_neither_do_quiz_costs_advice_and_tables():
    pd = pytest.importorskip("pandas")
    known = catalog.load()
    pages = [
        quiz.static_form(list(load().values()), title="All"),
        cost_explorer.static_table(monthly.Workload(), known),
        advisor.recommend(advisor.Case(facts="fixed"))._repr_html_(),
        table.sortable(pd.DataFrame({"answer": [PRICES]}))._repr_mimebundle_()[0]["text/html"],
    ]
    assert [found for page in pages if (found := formulas_in_html(page))] == []


def test_a_cell_of_words_begins_at_the_left():
    assert cell(html_text("$5 <b>"), "th") == (
        '<th style="text-align:left"><span>$</span>5 &lt;b&gt;</th>'
    )
