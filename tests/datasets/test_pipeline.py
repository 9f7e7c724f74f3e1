from __future__ import annotations

import csv
import json
import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.base import jsonl, settings
from helpers.base.errors import DataError
from helpers.datasets import manifest
from helpers.datasets.cleaning import steps
from helpers.datasets.html_report import spot
from helpers.datasets.pipeline import prepare
from helpers.datasets.prepared import PARTS, PreparedDataset
from helpers.datasets.validation.codes import Problem

EXAMPLES = settings.load().root / "data" / "examples"


def prepared(name: str, folder: Path) -> PreparedDataset:
    return prepare(
        EXAMPLES / name, folder, system="You answer briefly.", count_tokens=lambda text: len(text)
    )


@pytest.mark.parametrize(
    ("name", "rows_in", "examples"),
    [("library_threads.csv", 44, 19), ("pool_questions.csv", 26, 24), ("bakery_sheet.csv", 25, 25)],
)
def test_three_shapes_become_datasets(
    tmp_path: Path, name: str, rows_in: int, examples: int
) -> None:
    done = prepared(name, tmp_path)
    account = done.account()
    assert account["rows in"] == rows_in
    assert rows_in == sum(account.values()) - rows_in
    assert sum(report.examples for report in done.reports.values()) == examples
    assert done.ok, done.reports["train"]
    assert done.leaks == ()
    first = next(jsonl.read(tmp_path / "train.jsonl"))
    assert first["messages"][0] == {"role": "system", "content": "You answer briefly."}
    assert done.version.files
    for file in done.version.files:
        assert manifest.content_hash(tmp_path / file.name) == file.sha256


def test_the_letters_of_another_encoding_survive(tmp_path: Path) -> None:
    prepared("bakery_sheet.csv", tmp_path)
    text = "".join((tmp_path / f"{p}.jsonl").read_text("utf-8") for p in ("train", "test"))
    text += (tmp_path / "validation.jsonl").read_text("utf-8")
    assert "crème brûlée tart costs £3.80" in text


def test_rejects_and_their_reasons_are_written(tmp_path: Path) -> None:
    done = prepared("pool_questions.csv", tmp_path)
    assert {r.row: r.reason for r in done.rejected} == {
        25: "duplicates: duplicate of row 1",
        26: "useless: the answer says nothing",
    }
    assert (tmp_path / "rows.rejected.csv").read_text("utf-8").startswith('"row","reason",')


def test_personal_data_is_gone(tmp_path: Path) -> None:
    prepared("library_threads.csv", tmp_path)
    written = "".join(path.read_text("utf-8") for path in tmp_path.glob("*.jsonl"))
    assert "020 7946" not in written
    assert "[phone]" in written
    assert "Best regards" not in written


def test_the_report_is_one_page_without_outside_parts(tmp_path: Path) -> None:
    done = prepared("library_threads.csv", tmp_path)
    page = done.report_file.read_text("utf-8")
    assert not re.search(r"(?:src|href)=|<script|url\(", page)
    assert "may be uploaded" in page
    assert "comes after the last answer" in page
    assert "&lt;p&gt;I brought back" in page
    assert "Where each row went" in done._repr_html_()
    assert repr(done) == "library_threads 1.0: 19 examples from 44 rows, 4 rows rejected"


def test_too_few_examples_are_reported_not_raised(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text("question,answer\nWhen do you open?,We open at nine.\n")
    done = prepare(path, tmp_path / "out", steps=[steps.whitespace()])
    assert not done.ok
    assert done.reports["train"].counts == {"invalid_n_examples": 1}
    assert "needs work" in done.report_file.read_text("utf-8")


def of_pairs(folder: Path, *pairs: tuple[str, str], head: str = "question,answer") -> Path:
    path = folder / "table.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([head.split(","), *pairs])
    return path


NAMED_ANIMALS = (
    "adder badger camel donkey eagle ferret gibbon heron iguana jackal koala lemur marmot newt "
    "otter panda quail rabbit salmon tapir urchin vole walrus yak zebra"
)
ANIMALS = NAMED_ANIMALS.split()
NAMED = "invoices warranty password newsletter delivery returns vouchers colours sizes gifts"
TOPICS = NAMED.split()
SOUND = [(f"What should I know about {t}?", f"For {t} see page {n}.") for n, t in enumerate(TOPICS)]


def trained(done: PreparedDataset) -> dict[str, str]:
    rows = [row["messages"] for part in PARTS for row in jsonl.read(done.folder / f"{part}.jsonl")]
    return {said[-2]["content"]: said[-1]["content"] for said in rows}


def test_lists_and_placeholders_come_through_whole(tmp_path: Path) -> None:
    hard = [
        ("What do I need at home?", "Please have ready:\n\n- your number\n- a free socket"),
        ("How do I open a shell?", "Run ssh <user>@<host> and press <Enter>."),
        ("Which file do I write?", "services:\n  camera:\n    port: 80"),
        ("What is cheaper now?", "Our prices fall:\n\n-5 % on Saturday\n-10 % on Sunday"),
        ("How do I set it up?", "1. Open the app\n2. Choose it\n3. Wait"),
    ]
    done = prepare(of_pairs(tmp_path, *SOUND, *hard), tmp_path / "out")
    said = trained(done)
    assert {question: said[question] for question, _ in hard} == dict(hard)
    assert done.rejected == ()
    assert done.changed_file is None


def test_one_question_about_many_things_is_kept_and_split(tmp_path: Path) -> None:
    canned = "It is paid in these ways:\n\n- Card: in the app.\n- Bank: as on your bill."
    plans = "Alba Boreal Cirrus Dune Ember Fjord Glade Haven Iris Juno Kite Luna Mesa Nova"
    pairs = [(f"How can I pay for plan {plan}?", canned) for plan in plans.split()]
    done = prepare(of_pairs(tmp_path, *pairs), tmp_path / "out")
    assert done.rejected == ()
    assert done.ok
    assert done.reports["test"].examples > 0
    assert "14 rows ask nearly the same words about different things" in " ".join(done.notes)


def test_contradicting_rows_are_both_kept_and_both_shown(tmp_path: Path) -> None:
    clash = [("How long does it take?", "It takes 3 days."), ("how long does it take", "5 days.")]
    done = prepare(of_pairs(tmp_path, *SOUND, *clash), tmp_path / "out")
    assert done.rejected == ()
    (found,) = done.contradictions
    assert {found.row, found.other} == {11, 12}
    assert "contradicting_rows" in {problem.code for problem in done.problems}
    page = done.report_file.read_text("utf-8")
    assert "row 11: It takes 3 days." in page
    assert "row 12: 5 days." in page


@pytest.mark.parametrize(
    "pairs",
    [
        [
            ("What is the minimum balance of an Ultima account?", "You must keep 20,000 in it."),
            ("What is the minimum balance of an Apex account?", "You must keep 10,000 in it."),
        ],
        [
            ("What are the limits of the Titanium card?", "You can spend 500 a day."),
            ("What are the limits of the Titanium Royale card?", "You can spend 750 a day."),
        ],
        [
            ("How do I reset my password?", "1. Open the app. 2. Choose Account. 3. Choose Reset."),
            ("How do I reset my password please?", "Open the app, choose Reset, in 5 minutes."),
        ],
        [
            ("When can I reach you?", "We are here 24/7."),
            ("When can I reach you please?", "Always, within 5 minutes."),
        ],
    ],
)
def test_what_is_no_contradiction_is_kept_in_silence(
    tmp_path: Path, pairs: list[tuple[str, str]]
) -> None:
    done = prepare(of_pairs(tmp_path, *SOUND, *pairs), tmp_path / "out")
    assert (done.rejected, done.contradictions) == ((), ())


def test_labels_are_found_kept_and_split_by_class(tmp_path: Path) -> None:
    pairs = [(f"where is my card number {n} please", "card_arrival") for n in range(20)]
    pairs += [(f"top up number {n} failed again", "top_up_failed") for n in range(20)]
    done = prepare(of_pairs(tmp_path, *pairs), tmp_path / "out")
    assert done.task == "labels"
    assert done.rejected == ()
    counts = done.split.counts()
    assert counts["test"].tolist() == [4, 4]
    assert counts["validation"].tolist() == [2, 2]
    clash = of_pairs(tmp_path, *pairs, ("where is my card number 3, please", "top_up_failed"))
    (found,) = prepare(clash, tmp_path / "out").contradictions
    assert (found.row, found.other) == (41, 4)


def test_a_leaking_pair_is_moved_to_one_side_and_only_leaks_block(tmp_path: Path) -> None:
    like = "is there a way to begin the exchange of my {} with a gift card"
    pairs = [
        (like.format("old kitchen table"), "Open the app and choose item 4."),
        (like.format("broken coffee machine"), "Write to the desk, within 3 days."),
    ]
    for seed in range(4):
        done = prepare(of_pairs(tmp_path, *SOUND, *pairs), tmp_path / "out", seed=seed)
        assert done.ok
        assert done.leaks == ()
    near = Problem(1, "near_leakage", "warning", "", "")
    assert replace(done, leaks=(near,)).ok
    assert not replace(done, leaks=(replace(near, severity="error"),)).ok


def test_no_row_left_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    pairs = [(f"Question number {n}?", "see above") for n in range(3)] + [("", "Yes, it is.")]
    with pytest.raises(DataError, match="no row is left of 4; 3 rows: useless: the answer") as told:
        prepare(of_pairs(tmp_path, *pairs), tmp_path / "out")
    assert "rows.rejected.csv" in str(told.value)
    assert (tmp_path / "out" / "rows.rejected.csv").is_file()


def test_a_small_table_is_trained_on_and_empty_parts_are_named(tmp_path: Path) -> None:
    done = prepare(of_pairs(tmp_path, *SOUND), tmp_path / "out")
    assert done.account() == {
        "rows in": 10, "train": 10, "validation": 0, "test": 0, "rejected": 0,
    }  # fmt: skip
    assert [p.code for p in done.problems] == ["empty_split", "empty_split"]
    assert done.ok


@pytest.mark.parametrize("rows", range(11, 23))
def test_of_few_rows_training_always_gets_what_it_needs(rows: int, tmp_path: Path) -> None:
    pairs = [(f"What of the {name}?", f"See page {n}.") for n, name in enumerate(ANIMALS[:rows])]
    done = prepare(of_pairs(tmp_path, *pairs), tmp_path / "out", test=0.3)
    assert done.ok
    assert len(done.split.train) >= 10
    told = f"{rows - len(done.split.train)} of them are held out" in "; ".join(done.notes)
    assert told == (rows < 18)


def test_the_report_shows_every_kind_of_change_its_spot_and_the_undo(tmp_path: Path) -> None:
    hard = [
        ("Where do\r\nI find it?", "<p>On the <b>left</b> side</p>"),
        (
            "When is it open?",
            "From nine.\r\n\r\nBest regards\r\nThe desk in the hall\r\nGround floor",
        ),
        ("Who are you, I am ann@post.example?", "Hello {{Customer Name}}, it is [INSERT NAME]."),
    ]
    done = prepare(
        of_pairs(tmp_path, *SOUND, *hard),
        tmp_path / "out",
        count_tokens=lambda text: len(text.split()),
        training_price=25.0,
    )
    page = done.report_file.read_text("utf-8")
    for shown in (
        "HTML tags", "without=[&quot;markup&quot;]", "signature", "line ends of Windows (CR)",
        "<mark>[email]</mark>", "letters lost", "answer, letters", "One epoch of training is",
        "Answers that lost more than a third", "{{Customer Name}}, [INSERT NAME]",
        "the model learns to say them as such",
    ):  # fmt: skip
        assert shown in page, shown
    assert "broken" not in page.split("CR)")[1].split("</tr>")[0]
    assert {p.code for p in done.problems} == {"much_removed", "placeholder"}
    assert done.changed_file is not None
    with done.changed_file.open(encoding="utf-8", newline="") as stream:
        changed = {row["row"]: row for row in csv.DictReader(stream)}
    assert set(changed) == {"11", "12", "13"}
    assert changed["11"]["changed by"] == (
        "markup: HTML tags; whitespace: line ends of Windows (CR)"
    )
    assert changed["12"]["answer as trained"] == "From nine."
    assert changed["12"]["answer as read"].startswith("From nine.")


def test_what_may_stay_can_be_named(tmp_path: Path) -> None:
    pair = ("How do I reach you here?", "Write to help@desk.example today.")
    done = prepare(of_pairs(tmp_path, *SOUND, pair), tmp_path / "out", keep=["help@desk.example"])
    assert pair[1] in trained(done).values()
    done = prepare(of_pairs(tmp_path, *SOUND, pair), tmp_path / "out")
    assert "Write to [email] today." in trained(done).values()
    assert "redacted_answer" in {p.code for p in done.problems}


def test_the_changed_spot_of_a_long_text_is_shown_alone() -> None:
    before, after = spot("a" * 500 + "<b>" + "c" * 500, "a" * 500 + "c" * 500)
    assert before == f"…{'a' * 40}<mark>&lt;b&gt;</mark>{'c' * 40}…"
    assert after == f"…{'a' * 40}<mark></mark>{'c' * 40}…"


def test_where_no_row_was_read_the_remedy_is_no_cleaning_step(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("question,answer\n'How, so?','So'\n'Where, then?','Here'\n")
    with pytest.raises(DataError, match="3 cells in a table of 2 columns") as raised:
        prepare(source, tmp_path / "made")
    assert "mend them" in str(raised.value)
    assert "default_steps" not in str(raised.value)


def test_the_system_message_may_hang_on_the_task_and_validation_may_have_enough(
    tmp_path: Path,
) -> None:
    words = ["late", "lost", "red", "blue", "tall", "flat", "warm", "cold", "old", "new"]
    rows = [(f"the {a} {b} parcel", "post") for a in words for b in words if a < b]
    rows += [(f"a {b} {a} bill", "money") for a in words for b in words if a < b]
    table = tmp_path / "labels.csv"
    lines = [",".join(row) for row in [("text", "label"), *rows]]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    system = {"answers": "You answer.", "labels": "You name the label."}
    done = prepare(table, tmp_path / "made", system=system, most_validation=4)  # type: ignore[arg-type]
    assert done.task == "labels"
    assert len(done.split.validation) == 4
    first = next(jsonl.read(tmp_path / "made" / "train.jsonl"))
    assert first["messages"][0]["content"] == "You name the label."


def test_the_usual_steps_take_what_is_told_of_them(tmp_path: Path) -> None:
    rows = [
        f"How long is order {name} under way?,It takes {n} days; call 020 7946 0018 for more."
        for n, name in enumerate(["Alba", "Boreal", "Cirrus", "Dune", "Ember"] * 3, 1)
    ]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["question,answer", *rows]) + "\n", encoding="utf-8")
    usual = prepare(path, tmp_path / "usual")
    assert usual.cleaning.kept == 15
    assert all("020 7946 0018" in answer for answer in usual.cleaning.table["answer"])
    assert "contradicting_rows" in {found.code for found in usual.problems}
    told = prepare(path, tmp_path / "told", own=False, majority=True, without=["language"])
    assert told.cleaning.kept == 5
    assert not any("020 7946 0018" in answer for answer in told.cleaning.table["answer"])
    assert "language" not in told.cleaning.summary().index


def test_of_labels_every_other_one_is_a_contradiction(tmp_path: Path) -> None:
    rows = [
        (f"Is the {name} still to be had?", said) for name in "abcdefghijkl" for said in ("yes",)
    ]
    rows += [
        (f"Is the {name} in the shop?", said) for name in "abcdefghijkl" for said in ("maybe",)
    ]
    rows += [("Is the a still to be had", "maybe")]
    done = prepare(of_pairs(tmp_path, *rows), tmp_path / "out")
    assert done.task == "labels"
    assert [(found.here, found.there) for found in done.contradictions] == [(("maybe",), ("yes",))]


def test_labels_that_differ_in_their_capitals_alone_are_named(tmp_path: Path) -> None:
    names = ["Billing", "billing", "BILLING", "Delivery"]
    rows = [
        (f"Where is the {'abcdefghij'[n % 10] * 4} of number {n}", names[n % 4]) for n in range(40)
    ]
    done = prepare(of_pairs(tmp_path, *rows), tmp_path / "out")
    assert done.task == "labels"
    (found,) = [p for p in done.problems if p.code == "labels_spelt_apart"]
    for name in names[:3]:
        assert f"'{name}' (10 rows)" in found.message
    assert "Delivery" not in found.message
    assert "write all of them as 'Billing'" in found.fix


@pytest.mark.parametrize(
    "gap",
    ["{0}", "%s", "%(name)s", "{% if late %}", "__NAME__", "<ORDER ID>", "{{ name }}", "${x}"],
)
def test_gaps_of_many_templates_are_named(tmp_path: Path, gap: str) -> None:
    names = ["Alba", "Boreal", "Cirrus", "Dune", "Ember", "Fjord"] * 3
    rows = [
        (f"Where is {n} of {name}?", f"It is at {gap}, {name}.") for n, name in enumerate(names)
    ]
    done = prepare(of_pairs(tmp_path, *rows), tmp_path / "out")
    (found,) = [p for p in done.problems if p.code == "placeholder"]
    assert f"hold {gap}" in found.message


@pytest.mark.parametrize("said", ["It is 50%so far", "a<B and C>d", "x = {12}", "a __init__ of B"])
def test_what_only_looks_like_a_gap_is_none(tmp_path: Path, said: str) -> None:
    names = ["Alba", "Boreal", "Cirrus", "Dune", "Ember", "Fjord"] * 3
    rows = [(f"Where is {n} of {name}?", f"{said}, {name}.") for n, name in enumerate(names)]
    done = prepare(of_pairs(tmp_path, *rows), tmp_path / "out")
    assert not [p for p in done.problems if p.code == "placeholder"]


STATUS = Path("/proc/self/status")
TICKETS = f"""
import json, re, sys, time
from pathlib import Path
from helpers.datasets.pipeline import prepare
done = prepare(*sys.argv[1:], columns={{"question": "Ticket Description", "answer": "Resolution"}})
# Not `ru_maxrss`, which begins with the peak of the process that started this one.
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("{STATUS}").read_text())[1])
found = {{"kept": done.cleaning.kept, "MB": peak / 2**10, "seconds": time.process_time()}}
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.is_file(), reason="the peak is read as Linux tells it")
def test_ten_thousand_rows_of_17_columns_take_300_mb_and_20_s(tmp_path: Path) -> None:
    draw, letters = random.Random(1), "bcdfghklmnprstvz"
    words = [
        "".join(draw.choice(letters) + draw.choice("aeiou") for _ in "abc") for _ in range(900)
    ]

    def some(number: int) -> str:
        return " ".join(draw.sample(words, number))

    path = tmp_path / "tickets.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        others = [f"Field {place}" for place in range(1, 16)]
        table.writerow(["Ticket Description", "Resolution", *others])
        for _ in range(10_000):
            asked = (
                f"I have a problem with the {some(20)} and I do not know what it is. Please help."
            )
            said = f"You can look for the {some(12)} and then it should be as it was before."
            table.writerow([asked, said, *(some(2) for _ in others)])
    command = [sys.executable, "-c", TICKETS, str(path), str(tmp_path / "out")]
    env = {**os.environ, "PYTHONPATH": str(settings.load().root)}
    run = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    assert found["kept"] > 9_900
    assert found["MB"] < 300, found
    assert found["seconds"] < 20, found
