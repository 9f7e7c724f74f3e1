"""`mine`: your own table, from the file to a model that you talk to, in one command.

It reads, asks what it cannot know, cleans and splits, says how long the rest will take, trains,
asks every method the held-out questions, writes a report, and chats. What is done stands in
`helpers.capstone`; here are the questions, the words and the order.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.base import settings
from helpers.base.errors import Candidate, ChoiceNeeded, CourseError, DataError
from helpers.base.progress_bar import shown_by
from helpers.base.remedies import spelt
from helpers.cli.flags import flag

if TYPE_CHECKING:
    from helpers.capstone.result import CapstoneResult
    from helpers.capstone.table import TableData, TableOptions
    from helpers.connection import Connection

SHOWN = 3
"""Notes, problems and weak answers that are printed; the report has all of them."""
TEXT = 160
"""Letters of a text that is printed."""
READS_BEST = ("en", "")


@dataclass(frozen=True)
class Dialogue:
    """How to ask and to tell; `ask` is None where nobody may be asked."""

    say: Callable[[str], object]
    ask: Callable[[str], str] | None

    def agrees(self, question: str) -> bool:
        """Whether the answer is yes, which an empty line is too; without anyone to ask, yes."""
        if self.ask is None:
            return True
        return self.ask(f"{question} [Y/n] ").strip().lower() in ("", "y", "yes", "j", "ja")


def run(root: Path, options: argparse.Namespace) -> int:
    """Go the whole way, or as far as `--only` says."""
    may_ask = not options.yes and sys.stdin.isatty()
    talk = Dialogue(lambda text: print(text, flush=True), input if may_ask else None)
    with spelt(flag):
        return _run(options, talk)


def _run(options: argparse.Namespace, talk: Dialogue) -> int:
    path = Path(options.file)
    if not path.is_file():
        raise DataError(f"there is no file {options.file}", fix="check the spelling of the path")
    out = Path(options.out) if options.out else _default_folder(path)
    talk.say(f"1. Read {path.name}")
    # As `experiment.run` places it; what `--only` writes is the dataset alone.
    target = out if options.only else out / "dataset"
    data = read(
        path,
        target,
        table_options(options),
        talk,
        test=_test_part(options.test),
        validation=options.validation,
        brief=options.minutes is not None,
    )
    _tell_dataset(data, talk)
    if options.only == "dataset":
        talk.say(f"Written to {target}: train.jsonl, validation.jsonl, test.jsonl, report.html")
        return 0
    if not talk.agrees("Is that right?"):
        raise CourseError("nothing was trained", fix="say how to read it: --column, --role, …")
    return _train_and_talk(data, out, options, talk)


def _default_folder(path: Path) -> Path:
    from helpers.capstone.takeaway import slug

    return settings.state_folder("mine") / slug(path)


def _test_part(given: str) -> float | Path:
    """A share, or a table of one's own."""
    try:
        share = float(given)
    except ValueError:
        if not Path(given).is_file():
            raise DataError(f"there is no file {given}", fix="give a share or a file") from None
        return Path(given)
    if not 0 < share < 1:
        raise DataError(f"a share of {given} cannot be held out", fix="say --test 0.3, or a file")
    return share


def table_options(options: argparse.Namespace) -> TableOptions:
    """How the table is read, as the words of the command line say."""
    from helpers.capstone.table import TableOptions
    from helpers.datasets.reading.columns import told_columns

    columns: dict[str, Any] = {}
    for meaning, name in _pairs(options.column, "--column question=Frage"):
        # The first name is a string, from the second on a list: "--column question=A --column
        # question=B".
        parts = [columns[meaning]] if isinstance(columns.get(meaning), str) else []
        parts = columns[meaning] if isinstance(columns.get(meaning), list) else parts
        columns[meaning] = [*parts, name] if parts else name
    sheet = options.sheet
    return TableOptions(
        system=options.system,
        columns=told_columns(columns) if columns else None,
        roles=dict(_pairs(options.role, "--role Kunde=user")) or None,
        header=False if options.no_header else None,
        encoding=options.encoding,
        # People count sheets from 1, the reader from 0.
        sheet=int(sheet) - 1 if sheet and sheet.isdigit() else sheet,
        steps=None,
        language=options.language,
        keep=tuple(options.keep),
        own=not options.redact_own,
        without=tuple(options.without),
        majority=options.majority,
        date_format=options.date_format,
    )


def _pairs(given: Sequence[str], example: str) -> Iterator[tuple[str, str]]:
    for text in given:
        left, sign, right = text.partition("=")
        if not (sign and left.strip() and right.strip()):
            raise DataError(f"{text!r} is no pair", fix=f"write it as in {example}")
        yield left.strip(), right.strip()


def read(
    path: Path,
    folder: Path,
    table: TableOptions,
    talk: Dialogue,
    *,
    test: float | Path,
    validation: float | None,
    brief: bool = False,
) -> TableData:
    """Read, clean and split; what can be read in two ways is asked, or is an error."""
    from helpers.capstone.table import read_table

    # Each answer settles one argument; a table can need several.
    while True:
        try:
            return read_table(path, folder, table, test=test, validation=validation, brief=brief)
        except ChoiceNeeded as choice:
            if talk.ask is None:
                raise
            table = replace(table, **{choice.argument: _chosen(choice, talk)})


def _chosen(choice: ChoiceNeeded, talk: Dialogue) -> Any:
    """The value that the reader chooses among the candidates."""
    assert talk.ask
    talk.say(f"   {choice.message}.")
    for place, one in enumerate(choice.candidates, start=1):
        talk.say(f"   {place}. {_way(one)}")
    while True:
        given = talk.ask(f"   Which one? [1-{len(choice.candidates)}] ").strip()
        if given.isdigit() and 1 <= int(given) <= len(choice.candidates):
            value = choice.candidates[int(given) - 1].value
            return _as_columns(value) if choice.argument == "columns" else value


def _way(one: Candidate) -> str:
    value = one.value
    if isinstance(value, dict):
        value = ", ".join(f"{name}: {_name(said)}" for name, said in value.items())
    sample = f"\n      {one.sample}" if one.sample else ""
    return f"{value} ({one.ground}){sample}"


def _name(value: Any) -> str:
    return value if isinstance(value, str) else " + ".join(value)


def _as_columns(value: Any) -> Any:
    from helpers.datasets.reading.columns import told_columns

    return told_columns({k: list(v) if isinstance(v, tuple) else v for k, v in value.items()})


def _tell_dataset(data: TableData, talk: Dialogue) -> None:
    """What was read and how, what went and why, and how it was split."""
    made = data.prepared
    used = ", ".join(f"{meaning} is {name!r}" for meaning, name in made.columns.used.items())
    talk.say(f"   {made.tabled.rows_in} rows; {used or 'chat examples'}")
    for note in dict.fromkeys((*made.notes, *data.notes)):
        talk.say(f"   - {note}")
    talk.say("2. Clean and split")
    # "duplicate of row 12" and "duplicate of row 15" are one reason.
    reasons = Counter(reject.reason.split(" of row ")[0] for reject in made.rejected)
    told = "; ".join(f"{reason} {n}" for reason, n in reasons.most_common(SHOWN))
    talk.say(f"   {len(made.rejected)} rows rejected" + (f": {told}" if told else ""))
    parts = {"train": data.train, "validation": data.validation, "held out": data.held_out}
    talk.say("   " + ", ".join(f"{name} {len(part)}" for name, part in parts.items()) + " answers")
    if made.task == "labels":
        talk.say(f"   the answers are {len({t.answer for t in data.train})} labels")
    _tell_problems(data, talk)
    if sentence := _language(data):
        talk.say(f"   ! {sentence}")
    talk.say(f"   everything: {made.report_file}")


def _tell_problems(data: TableData, talk: Dialogue) -> None:
    problems = [*data.prepared.problems, *data.prepared.reports["train"].problems]
    for problem in problems[:SHOWN]:
        talk.say(f"   ! {problem.message} ({problem.fix})")
    if len(problems) > SHOWN:
        talk.say(f"   ! {len(problems) - SHOWN} more to look at stand in the report")


def _language(data: TableData) -> str:
    """A sentence for tables that the small models were not made for."""
    code = data.prepared.language
    if code in READS_BEST:
        return ""
    return (
        f"the table's language is {code!r}: the course's base model and its search were trained "
        "on English, so expect weak answers and notes; a model that knows the language, given as "
        "--base or behind OPENAI_BASE_URL, goes the same way"
    )


def _train_and_talk(data: TableData, out: Path, options: argparse.Namespace, talk: Dialogue) -> int:
    from helpers.backend import daemon
    from helpers.capstone import experiment
    from helpers.connection import connect
    from helpers.rag.documents import load_articles

    # Before `connect`, which starts one.
    ours = daemon.find(settings.load()) is None
    talk.say("3. Measure this machine, and estimate")
    began = time.monotonic()
    articles = load_articles(options.articles) if options.articles else None
    if articles is None:
        # Of an earlier run into the same folder; the chat would take its notes from there.
        shutil.rmtree(out / "articles.lance", ignore_errors=True)
    course = _with_base(connect(), options.base)
    # A server that had to be started took its part of a budget.
    data = replace(data, seconds=data.seconds + time.monotonic() - began)

    def agreed(estimate: str) -> None:
        talk.say(f"   {estimate}")
        if not talk.agrees("Go on?"):
            raise CourseError("nothing was trained", fix="--minutes N sets a budget")
        talk.say("4. Train, and ask every method the held-out questions")

    with shown_by(WaitingLine()):
        done = experiment.prove(
            course,
            data,
            out,
            articles=articles,
            questions=options.questions,
            epochs=options.epochs,
            minutes=options.minutes,
            judge=options.judge,
            tell=agreed,
        )
    _tell_result(done, talk)
    _tell_next(done, out, talk)
    if talk.ask and not options.no_chat and talk.agrees("Chat with it now?"):
        from helpers.capstone.voices import voices
        from helpers.widgets import chat

        chat.text(
            course.client,
            voices(course, out),
            max_tokens=done.max_tokens,
            ask=talk.ask,
            say=talk.say,
        )
    if ours:
        # The next step that was named is `serve`, which finds its place free.
        daemon.stop(settings.load())
    return 0


def _with_base(course: Connection, base: str | None) -> Connection:
    """The connection with another model to train. Raises `DataError` if it is not there."""
    if base is None:
        return course
    names = [model.id for model in course.client.models.list()]
    if base not in names:
        fix = "add one with: python3 -m helpers models add PATH"
        raise DataError(f"there is no model {base!r}; here are {', '.join(names)}", fix=fix)
    return replace(course, chat_model=base)


class WaitingLine:
    """One line of the terminal that says what is being waited for, how far it is and how long."""

    def __init__(self) -> None:
        self._start, self._what, self._live = 0.0, "", sys.stderr.isatty()
        self._told = -math.inf

    def __call__(self, done: int, total: int, what: str) -> None:
        now = time.monotonic()
        # Another thing is counted now, or the one before ended.
        if what != self._what:
            self._told = -math.inf
        if what != self._what or not self._start:
            self._start, self._what = now, what
        # A total of 0 ends a display, as `progress_bar.counted` says it.
        if not total:
            self._start = 0.0
            if self._live:
                sys.stderr.write("\r\033[K")
            return
        gone = now - self._start
        # From less than a second, nobody can tell.
        known = gone >= 1 and 0 < done < total
        left = f", {gone / done * (total - done):.0f} s left" if known else ""
        text = f"   {done} of {total} {what}, {gone:.0f} s{left}"
        if self._live:
            sys.stderr.write(f"\r\033[K{text}")
        elif now - self._told > 15:
            # A log has lines: one every quarter of a minute, also where short waits of one kind
            # follow each other.
            sys.stderr.write(f"{text}\n")
            self._told = now
        sys.stderr.flush()


def _tell_result(done: CapstoneResult, talk: Dialogue) -> None:
    from helpers.capstone.conclusion import verdict

    talk.say("5. What came out")
    talk.say("   " + done.table().to_string().replace("\n", "\n   "))
    talk.say(f"   {verdict(done)}")
    for note in done.notes:
        talk.say(f"   - {note}")
    weak = _weakest(done)
    if weak:
        talk.say(f"   Where {'every method' if done.ranking.nothing else done.ranking.best} fails:")
    for row in weak:
        talk.say(f"   - asked: {_short(row['question'])}")
        talk.say(f"     right: {_short(row['target'])}")
        talk.say(f"     said:  {_short(row['answer'])}")


def _weakest(done: CapstoneResult) -> list[dict[str, Any]]:
    """The best method's worst answers."""
    rows = done.reports[done.ranking.best].rows
    scored = [row for row in rows if row[done.ranking.yardstick] is not None]
    return sorted(scored, key=lambda row: float(row[done.ranking.yardstick]))[:SHOWN]


def _short(text: object) -> str:
    words = " ".join(str(text).split())
    return words if len(words) <= TEXT else f"{words[:TEXT]}…"


def _tell_next(done: CapstoneResult, out: Path, talk: Dialogue) -> None:
    from helpers.capstone.conclusion import advice

    talk.say("6. What to do next")
    steps = [
        *advice(done).first,
        f"Read the report, every answer in it: {done.report_file}",
        f"Serve it: python3 -m helpers serve --model {done.model_folder}",
        f"Chat on a page: python3 -m helpers chat {out}",
        f"Take it elsewhere: {done.model_folder}/README.md says how",
    ]
    for place, step in enumerate(steps, start=1):
        talk.say(f"   {place}. {step}")
