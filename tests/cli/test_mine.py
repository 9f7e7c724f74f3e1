"""`mine`, as far as it goes without a model: reading, asking, and refusing to guess."""

from __future__ import annotations

import argparse
import re
from types import SimpleNamespace

import pytest

from helpers import connection
from helpers.__main__ import parser
from helpers.backend import daemon
from helpers.base import jsonl
from helpers.base.errors import CourseError, DataError
from helpers.capstone import experiment
from helpers.capstone.table import TableOptions, read_table
from helpers.cli import mine
from tests.places import ROOT


def parser_of_mine() -> argparse.ArgumentParser:
    verbs = next(a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    return verbs.choices["mine"]


def options(*words: str) -> argparse.Namespace:
    return parser().parse_args(["mine", *words])


def table(tmp_path, head: str, n: int = 40, *, row="Wie teuer ist Nummer {0}?;Nummer {0} kostet"):
    lines = [f"{row.format(i)} {i} Euro im Monat und {i * 2} Euro im Jahr." for i in range(n)]
    path = tmp_path / "table.csv"
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


class Reader:
    """Answers what is asked, and remembers what was said."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.said = list(answers), []

    def dialogue(self, *, may_ask: bool = True) -> mine.Dialogue:
        return mine.Dialogue(self.said.append, self.ask if may_ask else None)

    def ask(self, prompt: str) -> str:
        self.said.append(prompt)
        return self.answers.pop(0)

    @property
    def text(self) -> str:
        return "\n".join(map(str, self.said))


def test_a_german_table_is_prepared_without_a_question_and_its_language_is_named(tmp_path):
    path, reader = table(tmp_path, "Frage;Antwort"), Reader()
    words = options(str(path), "--only", "dataset", "--out", str(tmp_path / "out"), "--yes")
    assert mine._run(words, reader.dialogue(may_ask=False)) == 0
    rows = list(jsonl.read(tmp_path / "out" / "train.jsonl"))
    assert 20 <= len(rows) <= 28
    assert "question is 'Frage', answer is 'Antwort'" in reader.text
    assert "the table's language is 'de'" in reader.text


def test_what_can_be_read_in_two_ways_is_asked_and_the_answer_holds(tmp_path):
    row = "Which one costs {0}?;Number {0} costs"
    path = table(tmp_path, "answer;question", row=row)
    reader = Reader("9", "1")
    words = options(str(path), "--only", "dataset", "--out", str(tmp_path / "out"))
    assert mine._run(words, reader.dialogue()) == 0
    assert "question is 'answer', answer is 'question'" in reader.text
    assert reader.answers == []


def test_with_yes_it_does_not_guess_and_names_the_words_that_decide(tmp_path):
    path = table(tmp_path, "answer;question", row="Which one costs {0}?;Number {0} costs")
    words = options(str(path), "--only", "dataset", "--out", str(tmp_path / "out"), "--yes")
    with pytest.raises(CourseError, match="--column question=answer --column answer=question"):
        mine.run(ROOT, words)
    told = options(
        str(path), "--only", "dataset", "--out", str(tmp_path / "out"), "--yes",
        "--column", "question=answer", "--column", "answer=question",
    )  # fmt: skip
    assert mine.run(ROOT, told) == 0


def test_remedies_are_said_in_the_words_of_the_command_line(tmp_path):
    path = table(tmp_path, "a;b;c", row="1;2")
    with pytest.raises(CourseError, match="as in --column question=NAME --column answer=NAME"):
        mine.run(ROOT, options(str(path), "--only", "dataset", "--out", str(tmp_path), "--yes"))


def test_notes_problems_and_the_report_name_flags_and_each_flag_is_one(tmp_path, capsys):
    rows = [
        f"Wie teuer ist das Paket {name} im Monat?,Es kostet {n} Euro; rufen Sie 0800 1234567 an."
        for n, name in enumerate(["Alba", "Boreal", "Cirrus", "Dune", "Ember", "Fjord"] * 4)
    ]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["Frage,Antwort", *rows]) + "\n", encoding="utf-8")
    out = tmp_path / "out"
    assert mine.run(ROOT, options(str(path), "--only", "dataset", "--out", str(out), "--yes")) == 0
    page = (out / "report.html").read_text(encoding="utf-8")
    report = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)  # its variables are no flags
    for said in (capsys.readouterr().out, report):
        named = set(re.findall(r"--[a-z-]+", said))
        assert {"--language", "--redact-own", "--keep", "--majority"} <= named
        assert not re.search(r"\b(?:language|own|keep|majority|without)=", said)
        help_text = parser_of_mine().format_help()
        assert not [flag for flag in named if flag not in help_text]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["gone.csv"], "no file gone.csv"),
        (["{}", "--test", "1.5"], "cannot be held out"),
        (["{}", "--test", "gone.csv"], "no file gone.csv"),
        (["{}", "--column", "question"], "is no pair"),
        (["{}", "--without", "magic"], "no step 'magic'"),
    ],
)
def test_wrong_words_are_one_clear_error(tmp_path, words, match):
    path = table(tmp_path, "Frage;Antwort")
    given = [word.format(path) for word in words]
    with pytest.raises(DataError, match=match):
        mine.run(ROOT, options(*given, "--only", "dataset", "--out", str(tmp_path), "--yes"))


def test_where_all_answers_are_the_same_no_time_is_spent(tmp_path):
    names = ["Alba", "Boreal", "Cirrus", "Dune", "Ember", "Fjord"] * 4
    rows = [f"What does {name} in size {n} cost?,See our web page." for n, name in enumerate(names)]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["question,answer", *rows]) + "\n", encoding="utf-8")
    words = options(str(path), "--only", "dataset", "--out", str(tmp_path / "out"), "--yes")
    with pytest.raises(DataError, match=r"all 24 answers are 'See our.*--column question=NAME"):
        mine.run(ROOT, words)


def test_every_flag_reaches_the_reading(tmp_path):
    given = options(
        "t.csv", "--column", "question=a", "--column", "question=b", "--column", "answer=c",
        "--role", "Kunde=user", "--encoding", "cp1252", "--sheet", "2", "--no-header",
        "--date-format", "%d.%m.%Y", "--language", "de", "--keep", "a@b.example", "--system", "S",
        "--without", "signatures", "--redact-own", "--majority",
    )  # fmt: skip
    read = mine.table_options(given)
    assert read.columns is not None
    assert (read.columns.question, read.columns.answer) == (("a", "b"), "c")
    assert (read.roles, read.encoding, read.sheet) == ({"Kunde": "user"}, "cp1252", 1)
    assert (read.header, read.date_format, read.language) == (False, "%d.%m.%Y", "de")
    assert (list(read.keep), read.system) == (["a@b.example"], "S")
    assert (list(read.without), read.own, read.majority) == (["signatures"], False, True)


def test_the_start_of_a_server_is_time_of_the_budget(tmp_path, monkeypatch):
    now, seen = [100.0], []

    def connect():
        now[0] += 50.0

    class Proved(Exception):
        pass

    def prove(course, data, *_, **given):
        seen.append((data.seconds, given["minutes"]))
        raise Proved

    monkeypatch.setattr(mine, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(connection, "connect", connect)
    monkeypatch.setattr(daemon, "find", lambda _: "one that runs")
    monkeypatch.setattr(experiment, "prove", prove)
    reading = read_table(table(tmp_path, "Frage;Antwort"), tmp_path / "d", TableOptions(), test=0.3)
    words = options("t.csv", "--minutes", "10", "--out", str(tmp_path / "out"), "--yes")
    with pytest.raises(Proved):
        mine._train_and_talk(reading, tmp_path / "out", words, Reader().dialogue(may_ask=False))
    assert seen == [(pytest.approx(reading.seconds + 50.0), 10.0)]


def test_the_line_says_how_far_it_is(capsys):
    line = mine.WaitingLine()
    line(1, 4, "training steps")
    line(0, 0, "training steps")
    told = capsys.readouterr().err
    assert "1 of 4 training steps" in told
    # Nothing is known of what is left.
    assert "left" not in told


def test_short_waits_of_one_kind_are_one_line_of_a_log(capsys):
    line = mine.WaitingLine()
    for _ in range(5):
        line(1, 16, "answers")
        line(0, 0, "answers")
    line(1, 8, "training steps")
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_of_two_languages_one_is_asked_for_and_named_where_nobody_may_be_asked(tmp_path):
    german = [
        f"Wie lange dauert der Versand der Ware Nummer {n} nach Österreich?" for n in range(20)
    ]
    english = [f"How long does it take to send the article number {n} abroad?" for n in range(20)]
    said = "Das dauert {} Werktage, je nach Land.", "That takes {} days, and no more."
    rows = [
        f'"{asked}","{said[place].format(3 + n % 4)}"'
        for place, part in enumerate((german, english))
        for n, asked in enumerate(part)
    ]
    path = tmp_path / "two.csv"
    path.write_text("\n".join(["question,answer", *rows]) + "\n", encoding="utf-8")
    words = [str(path), "--only", "dataset", "--out", str(tmp_path / "out")]
    reader = Reader("1")
    assert mine._run(options(*words), reader.dialogue()) == 0
    assert "in 2 languages" in reader.text
    first = next(line for line in reader.said if line.startswith("   1. "))
    kept = {m["messages"][1]["content"] for m in jsonl.read(tmp_path / "out" / "train.jsonl")}
    assert kept < set(german if "de (20 rows)" in first else english)
    with pytest.raises(CourseError, match=r"--language (de|en) \(20 rows\).*--language any \(all"):
        mine.run(ROOT, options(*words, "--yes"))
