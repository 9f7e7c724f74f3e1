from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helpers.base.errors import ChoiceNeeded, DataError
from helpers.datasets.conversion import convert_file
from helpers.datasets.reading.columns import Columns, choose, decide
from helpers.datasets.reading.source import SourceTable
from helpers.datasets.reading.to_examples import to_table


def table(columns: str, *rows: tuple[Any, ...]) -> SourceTable:
    names = tuple(columns.split(","))
    numbered = tuple((n, dict(zip(names, row, strict=True))) for n, row in enumerate(rows, 1))
    return SourceTable("a.csv", names, numbered)


@pytest.mark.parametrize(
    ("columns", "question", "answer"),
    [
        ("instruction,input,output", ("instruction", "input"), "output"),
        ("instruction,context,response,category", ("instruction", "context"), "response"),
        ("flags,instruction,category,intent,response", "instruction", "response"),
        ("text,category", "text", "category"),
        ("label,text", "text", "label"),
        ("sentence,label", "sentence", "label"),
        (
            "Ticket ID,Ticket Subject,Ticket Description,Resolution",
            ("Ticket Subject", "Ticket Description"),
            "Resolution",
        ),
        ("From,To,Subject,Body,Reply", ("Subject", "Body"), "Reply"),
        ("Id,Title,Body,Tags,AcceptedAnswer", ("Title", "Body"), "AcceptedAnswer"),
        (
            "question_title,question_body,answer_body",
            ("question_title", "question_body"),
            "answer_body",
        ),
        ("Question_ID,Questions,Answers", "Questions", "Answers"),
        ("Q,A", "Q", "A"),
        ("Problem,Priority,Solution", "Problem", "Solution"),
        ("Kundenfrage,Antwort des Supports", "Kundenfrage", "Antwort des Supports"),
        ("customer_text,agent_text", "customer_text", "agent_text"),
        ("id,subject,question,answer", "question", "answer"),
        ("ticket_id,title,description,answer", ("title", "description"), "answer"),
        ("question,agent,answer", "question", "answer"),
        ("user,question,answer,agent", "question", "answer"),
        ("Question (customer),Answer (agent),Handled by", "Question (customer)", "Answer (agent)"),
        ("Description,Agent Response,Agent Name,Tags", "Description", "Agent Response"),
        ("body,response,response_time,sla", "body", "response"),
        ("Description,Answers", "Description", "Answers"),
        ("Beschreibung,Betreff,Lösung", ("Betreff", "Beschreibung"), "Lösung"),
    ],
)
def test_names_of_many_tables(columns: str, question: Any, answer: str) -> None:
    mapping = choose(columns.split(","))
    assert (mapping.question, mapping.answer, mapping.threaded) == (question, answer, False)


@pytest.mark.parametrize(
    ("columns", "thread", "role", "text"),
    [
        ("conversation_id,author_type,body,created_at", "conversation_id", "author_type", "body"),
        ("convo_id,turn,speaker,text", "convo_id", "speaker", "text"),
        ("ticket_id,author_id,public,body,created_at", "ticket_id", "author_id", "body"),
        ("Vorgang,Absender,Nachricht,Datum", "Vorgang", "Absender", "Nachricht"),
    ],
)
def test_names_of_tables_of_messages(columns: str, thread: str, role: str, text: str) -> None:
    mapping = choose(columns.split(","))
    assert (mapping.thread, mapping.role, mapping.text) == (thread, role, text)


TICKETS = [("Cannot log in", "The portal says no.", value) for value in range(4)]


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("Agent", ["Agent Alpha", "Agent Beta", "Agent Alpha", "Agent Gamma"], "names"),
        ("First response", ["00:12:33", "01:12:33", "00:02:33", "10:00"], "durations"),
        ("Response", ["2h 5m", "45m", "1 day", "3 hours"], "durations"),
        ("Resolution", ["Done", "Won't Do", "Duplicate", "Cannot Reproduce"], "states"),
        ("Resolution", ["2024-03-01 09:00"] * 4, "times"),
        ("Reply", ["2024-03-01T09:00:00Z"] * 4, "times"),
        ("Solution", [1.5, 2.5, 3.5, 4.0], "numbers"),
    ],
)
def test_names_times_states_and_numbers_are_no_answers(
    name: str, values: list[Any], said: str
) -> None:
    rows = [("Cannot log in", f"The portal says no {n}.", value) for n, value in enumerate(values)]
    with pytest.raises(DataError, match=f"{name!r} holds {said}"):
        decide(table(f"Subject,Description,{name}", *rows))


def test_a_genuine_answer_may_be_short_or_a_number() -> None:
    rows = [(f"What is {n} plus {n}?", str(2 * n)) for n in range(5)]
    assert choose(["question", "answer"], table("question,answer", *rows).rows).answer == "answer"
    yes = table("question,answer", *[(f"Is {n} even?", "Yes" if n % 2 else "No") for n in range(9)])
    assert decide(yes).columns == Columns(question="question", answer="answer")


def test_labels_are_answers_and_never_swapped() -> None:
    rows = [
        (label, f"{text} number {n}")
        for n in range(6)
        for label, text in (("billing", "my invoice is wrong"), ("login", "I cannot enter"))
    ]
    choice = decide(table("category,text", *rows))
    assert choice.columns == Columns(question="text", answer="category")
    assert "'my invoice is wrong number 0' → 'billing'" in choice.notes[0]
    assert "holds 2 labels" in choice.notes[1]


@pytest.mark.parametrize(
    "values", [("True", "False"), ("yes", "no"), ("5", "1"), ("open", "closed")]
)
def test_beside_one_text_a_flag_a_state_or_few_numbers_are_labels(values: tuple[str, str]) -> None:
    rows = [(f"we had trouble with part number {n}", values[n % 2]) for n in range(20)]
    assert decide(table("Review Text,verdict", *rows)).columns.answer == "verdict"
    turned = decide(table("verdict,Review Text", *((said, text) for text, said in rows)))
    assert turned.columns == Columns(question="Review Text", answer="verdict")


def test_a_column_that_only_numbers_the_rows_is_no_hindrance() -> None:
    rows = [(n, f"we had trouble with part number {n}", ("late", "lost")[n % 2]) for n in range(20)]
    assert decide(table("id,text,intent", *rows)).columns.answer == "intent"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Demande client", "Réponse conseiller"),
        ("Domanda cliente", "Risposta operatore"),
        ("Vraag klant", "Antwoord medewerker"),
        ("Unsere Anfrage", "Unsere Antwort"),
        ("Pregunta del cliente", "Respuesta final"),
    ],
)
def test_longer_names_in_other_languages_beside_a_date(question: str, answer: str) -> None:
    rows = [(f"{n + 1:02}/03/2024", f"Text {n} goes on?", f"It goes on {n}.") for n in range(9)]
    found = decide(table(f"Date,{question},{answer}", *rows)).columns
    assert (found.question, found.answer) == (question, answer)


@pytest.mark.parametrize("column", [["2024-03-01", "2024-03-02"], [[1, 2], [3]], ["1", "2"]])
def test_two_columns_of_dates_lists_or_numbers_are_refused(column: list[Any]) -> None:
    with pytest.raises(DataError, match="cannot tell"):
        decide(table("x,y", *zip(column, column, strict=True)))


@pytest.mark.parametrize("head", ["question,answer", "input,output", "text,entities", "x,y"])
@pytest.mark.parametrize("made", ['{{"item": "shelf {0}", "n": {0}}}', '["shelf {0}", {0}]'])
def test_data_that_is_taken_from_texts_is_an_answer(head: str, made: str) -> None:
    rows = [(f"Please send me {n} more of shelf {n}.", made.format(n)) for n in range(9)]
    asked, said = head.split(",")
    found = decide(table(head, *rows)).columns
    assert (found.question, found.answer) == (asked, said)
    # And the other way: a text that tells the data.
    told = decide(table(head, *((data, text) for text, data in rows))).columns
    assert (told.question, told.answer) == (asked, said)


def test_what_only_looks_like_data_is_none() -> None:
    rows = [(f"How long is shelf {n}?", "{'text': array(['it']), 'start': [4]}") for n in range(9)]
    with pytest.raises(DataError, match="'answer' holds lists"):
        decide(table("question,answer", *rows))


def test_two_unknown_columns_are_told_by_who_asks() -> None:
    pairs = [("We open at nine.", "When do you open?"), ("By card.", "How can I pay?")]
    choice = decide(table("x,y", *pairs))
    assert choice.columns == Columns(question="y", answer="x")
    assert "100% ask" in choice.notes[1]


def test_names_against_values_are_asked() -> None:
    rows = [(f"We open at {n}.", f"When do you open on day {n}?") for n in range(5)]
    with pytest.raises(ChoiceNeeded) as raised:
        decide(table("question,answer", *rows))
    first, second = raised.value.candidates
    assert raised.value.argument == "columns"
    assert Columns(**first.value) == Columns(question="answer", answer="question")
    assert first.sample == "'When do you open on day 0?' → 'We open at 0.'"
    assert Columns(**second.value).question == "question"
    # The remedy cures as it is shown: a plain dict.
    source = table("question,answer", *rows)
    assert to_table(source, first.value).table["answer"].iloc[0] == "We open at 0."
    with pytest.raises(DataError, match="cannot be a 'reply'"):
        to_table(source, {"reply": "answer"})


def test_articles_are_asked_about() -> None:
    rows = [("hr", f"Leave {n}", f"Leave number {n} is asked for in the portal.") for n in range(3)]
    with pytest.raises(ChoiceNeeded) as raised:
        decide(table("topic,title,content", *rows))
    assert raised.value.candidates[0].value == {"question": "title", "answer": "content"}


def test_comments_that_may_be_internal_are_asked_about() -> None:
    with pytest.raises(ChoiceNeeded, match="may be internal"):
        choose(["CaseNumber", "Subject", "Description", "Case Comments"])


def test_notes_of_the_staff_are_no_answers() -> None:
    rows = [(f"Where is it {n}?", f"he is a nuisance {n} again") for n in range(3)]
    with pytest.raises(DataError, match="'work_notes' is named as notes of the staff"):
        decide(table("question,work_notes", *rows))


def test_parts_of_a_question_are_joined_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "subject,body,reply\n"
        "Login,I cannot log in.,Reset it.\n"
        "(no subject),Where is it?,On its way.\n"
        "Where is it?,Where is it? I wait.,Here.\n"
        "Only a subject,,Fine.\n"
    )
    done = convert_file(path, tmp_path / "b.jsonl", to="chat")
    asked = [example["messages"][0]["content"] for example in done.examples]
    assert asked == [
        "Login\n\nI cannot log in.",
        "Where is it?",
        "Where is it? I wait.",
        "Only a subject",
    ]
    assert (done.kept, done.changed) == (1, 3)
    assert done.notes[0].startswith("read as question 'subject' + 'body' and answer 'reply'")


def test_what_programs_write_into_empty_cells_is_no_text() -> None:
    rows = [("How?", "nan"), ("Where?", "#N/A"), ("NULL", "So."), ("When?", "Null Uhr.")]
    made = to_table(table("question,answer", *rows))
    assert list(made.table["answer"]) == ["Null Uhr."]
    assert made.rejected[0].reason == "no answer: nan stands for an empty cell"


@pytest.mark.parametrize("nothing", ["", "nan", "N/A", "<noinput>", "None"])
def test_an_empty_input_adds_nothing_to_the_instruction(nothing: str) -> None:
    rows = [("Name it.", "The river.", "Danube."), ("Name another.", nothing, "Rhine.")]
    made = to_table(table("instruction,input,output", *rows))
    assert list(made.table["question"]) == ["Name it.\n\nThe river.", "Name another."]


def test_a_history_stands_before_the_question() -> None:
    columns = ("instruction", "output", "history")
    rows: list[dict[str, Any]] = [
        {"instruction": "And Graz?", "output": "At ten.", "history": [["Is it open?", "Yes."]]},
        {"instruction": "Is it far?", "output": "No.", "history": []},
        {"instruction": "Is it?", "output": "Yes.", "history": [["Only a question"]]},
    ]
    made = to_table(SourceTable("a", columns, tuple(enumerate(rows, 1))))
    assert made.table["turns"].iloc[0] == [
        {"role": "user", "content": "Is it open?"},
        {"role": "assistant", "content": "Yes."},
    ]
    assert [reject.reason for reject in made.rejected] == ["'history' holds no pairs of texts"]


@pytest.mark.parametrize(
    "columns", ["question,answer_en,answer_fr", "question,draft answer,final answer"]
)
def test_two_columns_of_as_good_a_name_are_asked_about(columns: str) -> None:
    rows = [(f"How do I do {n}?", f"Press {n} once.", f"Appuyez {n} fois.") for n in range(5)]
    with pytest.raises(ChoiceNeeded) as raised:
        decide(table(columns, *rows))
    names = columns.split(",")[1:]
    assert [one.value["answer"] for one in raised.value.candidates] == names


@pytest.mark.parametrize(
    "columns", ["chosen,rejected", "input,preferred_output,non_preferred_output"]
)
def test_a_worse_answer_is_never_learnt(columns: str) -> None:
    rows = [("Hello.", "Go away.", "Go.")[: columns.count(",") + 1]] * 3
    with pytest.raises(DataError, match="are preferences"):
        to_table(table(columns, *rows))


def test_of_several_columns_of_labels_one_is_asked_for() -> None:
    moods, teams = ("glad", "angry", "calm"), ("billing", "delivery")
    rows = [(n, f"My parcel {n} came late.", moods[n % 3], teams[n % 2]) for n in range(20)]
    with pytest.raises(ChoiceNeeded) as raised:
        decide(table("id,text,mood,team", *rows))
    ways = [one.value for one in raised.value.candidates]
    assert ways == [{"question": "text", "answer": name} for name in ("mood", "team")]
    assert raised.value.candidates[0].sample == "'My parcel 0 came late.' → 'glad'"


def test_the_first_of_several_choices_is_no_answer() -> None:
    rows = [(f"What is {n} plus {n}?", n, 2 * n, 3 * n, "B") for n in range(5)]
    with pytest.raises(DataError, match="no column holds answers"):
        decide(table("question,A,B,C,correct", *rows))


def test_a_table_of_one_column_is_told_so() -> None:
    with pytest.raises(DataError, match=r"one column alone: 'question' .*two columns"):
        decide(table("question", *((f"What is {n}?",) for n in range(20))))


def test_a_column_of_one_word_is_no_choice_among_labels() -> None:
    rows = [(n, f"My parcel {n} is late.", "en", f"team {n % 2}") for n in range(20)]
    with pytest.raises(ChoiceNeeded) as raised:
        decide(table("id,text,lang,team", *rows))
    assert [one.value["answer"] for one in raised.value.candidates] == ["team"]


def test_two_columns_of_one_name_are_question_and_answer() -> None:
    rows = [(f"What is {n} plus {n}?", f"It is a number, which is {2 * n}.") for n in range(20)]
    found = decide(table("text,text (2)", *rows))
    assert (found.columns.question, found.columns.answer) == ("text", "text (2)")
    assert "'text' ask" in found.notes[1]


def test_texts_deep_inside_objects_are_found_by_the_last_parts_of_their_names() -> None:
    rows = [(1, f"What is {n}?", f"It is a number, {n}.", "en") for n in range(20)]
    found = decide(table("id,data.question,data.reply.text,data.reply.lang", *rows)).columns
    assert (found.question, found.answer) == ("data.question", "data.reply.text")
