"""Find every problem of a training file, in one pass and constant memory.

For: files of any size in the chat, prompt/completion and preference (DPO) formats. Any
bytes give a `ValidationReport`, never an exception; what each code means stands in `codes.CODES`.
Not for: changing a file, see `helpers.datasets.cleaning`.

    report = validate_file("train.jsonl", deep=True)
    report.ok, report.counts      # (False, {"missing_role": 1})
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import jiter

from helpers.base import files, jsonl
from helpers.datasets.example import Kind, kind_of
from helpers.datasets.token_counts import TokenCounter
from helpers.datasets.validation import fast_path
from helpers.datasets.validation.codes import CODES, Problem, problem
from helpers.datasets.validation.lengths import LengthCheck
from helpers.datasets.validation.report import ValidationReport
from helpers.datasets.validation.schema import CHECKS, ProblemCollector

MINIMUM = 10
"""Fewest examples that the hosted service accepts."""
KEPT = 1000
"""Problems that are kept of each code; all are counted."""
# First bytes by which kinds of files are known.
_MAGIC = {
    b"PK\x03\x04": "a ZIP archive or an Excel sheet",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF",
    b"PAR1": "a Parquet table",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file",
}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def validate_file(
    source: files.Readable,
    *,
    kind: Kind | None = None,
    minimum: int = MINIMUM,
    max_tokens: int | None = None,
    count_tokens: Callable[[str], int] | None = None,
    deep: bool = False,
    label: str | None = None,
    keep: Collection[str] = (),
) -> ValidationReport:
    """Check a file, given as a path or as a binary stream.

    `kind` None takes the format of the first example. Lengths are measured only with
    `count_tokens`; what examples above `max_tokens` lose is then a warning, and an error
    where no answer is left. `deep` also looks across examples and into their texts:
    duplicates, contradictions, class balance, personal data; it keeps about 1 KB an
    example. `label` names the key that holds an example's class, `keep` addresses and
    numbers that are no personal data. Raises `DataError` only if the file cannot be opened.
    """
    looks: list[Look] = []
    lengths = None
    if count_tokens:
        lengths = LengthCheck(TokenCounter(count_tokens), max_tokens=max_tokens)
        looks.append(lengths)
    if deep:
        from helpers.datasets.validation.cross_checks import CrossChecker

        looks.append(CrossChecker(label=label, keep=keep))
    report = look_through(source, looks, kind=kind, minimum=minimum)
    return replace(report, tokens=lengths.lengths) if lengths else report


class Look(Protocol):
    """One more look at each example, while the file is read once."""

    def look(self, line: int, kind: Kind, example: dict[str, Any]) -> Iterator[Problem]:
        """Problems of one example, which may be malformed."""

    def finish(self) -> Iterator[Problem]:
        """Problems that show when all examples were seen."""


def look_through(
    source: files.Readable,
    looks: Sequence[Look],
    *,
    sound: Sequence[Look] = (),
    kind: Kind | None = None,
    minimum: int = MINIMUM,
) -> ValidationReport:
    """Read and parse a file once, and let each of `looks` see its examples in turn.

    They are not shown lines that hold no example of the file's format; those of `sound` are
    not shown examples with errors either.
    """
    run = _FileCheck(kind, looks, sound)
    for block in jsonl.blocks(source):
        if block.first == 1 and run.refuse(block.data):
            return run.report()
        if not run.plain(block):
            for line in jsonl.lines_of(block):
                run.line(line)
    run.finish(minimum)
    return run.report()


def too_few(examples: int, minimum: int) -> Problem | None:
    """The problem of a file with fewer examples than the service takes, in its own words."""
    if examples >= minimum:
        return None
    text = f"Training file has {examples} example(s), but must have at least {minimum} examples"
    return problem("invalid_n_examples", 0, text)


class _FileCheck:
    """The state of one validation: what was counted and found so far."""

    def __init__(
        self, kind: Kind | None, looks: Sequence[Look], sound_looks: Sequence[Look]
    ) -> None:
        self.kind = kind
        self.looks, self.sound_looks = looks, sound_looks
        self.examples = 0
        self.counts: Counter[str] = Counter()
        self.problems: list[Problem] = []
        self.line_number = 0
        self.crlf = False

    def add(self, code: str, message: str, *, line: int | None = None, fix: str = "") -> None:
        self.counts[code] += 1
        if self.counts[code] <= KEPT:
            where = self.line_number if line is None else line
            self.problems.append(problem(code, where, message, fix=fix))

    def extend(self, found: Iterator[Problem]) -> None:
        for item in found:
            self.add(item.code, item.message, line=item.line)

    def refuse(self, start: bytes) -> bool:
        """Whether the first bytes show another kind of file."""
        for magic, name in _MAGIC.items():
            if start.startswith(magic):
                self.add("not_text", f"The file is {name}, not JSONL", line=0)
                return True
        if start.startswith(_UTF16) or start[:200].count(0) > len(start[:200]) / 4:
            self.add("not_utf8", "The file is UTF-16, not UTF-8", line=0)
            return True
        return False

    def plain(self, block: jsonl.LineBlock) -> bool:
        """Take a whole block of plain sound chat examples; False if it is something else."""
        chats = fast_path.plain_chats(block.data) if self.kind in (None, "chat") else None
        if chats is None:
            return False
        self.kind = "chat"
        self.examples += len(chats)
        # Objects are made only where somebody looks at them: most of the time is saved so.
        for place, chat in enumerate(chats if self.looks or self.sound_looks else ()):
            self.look(block.first + place, fast_path.as_example(chat), sound=True)
        self.line_number = block.first + len(chats) - 1
        return True

    def look(self, line: int, example: dict[str, Any], *, sound: bool) -> None:
        """Show an example of the file's format to all who look."""
        assert self.kind
        for one in (*self.looks, *self.sound_looks) if sound else self.looks:
            self.extend(one.look(line, self.kind, example))

    def line(self, line: jsonl.Line) -> None:
        """Check one line."""
        self.line_number = line.number
        if line.bom:
            self.add("bom", "The file starts with a byte order mark", line=0)
        # Said once: it is a property of the file.
        if line.ending == b"\r\n" and not self.crlf:
            self.crlf = True
            self.add("crlf", "Lines end with CR LF", line=0)
        if line.over_long:
            limit = jsonl.LINE_LIMIT // 2**20
            self.add("line_too_long", f"Line {line.number} is longer than {limit} MB")
        elif not line.raw.strip():
            self.add("blank_line", f"Line {line.number} is empty")
        elif (example := self.parse(line.raw)) is not None:
            self.example(line.number, example)

    def parse(self, raw: bytes) -> dict[str, Any] | None:
        """The object of a line, or None after noting why there is none."""
        try:
            value = jiter.from_json(raw, catch_duplicate_keys=True, allow_inf_nan=False)
        except ValueError as error:
            value = self.parse_again(raw, str(error))
        if isinstance(value, dict):
            return value
        if value is not _BROKEN:
            self.not_a_dictionary(raw)
        return None

    def parse_again(self, raw: bytes, reason: str) -> Any:
        """Tell duplicate keys and wrong encodings from what is no JSON."""
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as error:
            text = f"Line {self.line_number} is not UTF-8: byte {raw[error.start]:#04x}"
            self.add("not_utf8", f"{text} at position {error.start + 1}")
            return _BROKEN
        if reason.startswith("Detected duplicate key"):
            try:
                value = jsonl.parse(raw)
            except ValueError:
                pass
            else:
                key = reason.removeprefix("Detected duplicate key ").split(" at line")[0]
                self.add("duplicate_key", f"Line {self.line_number} has the key {key} twice")
                return value
        self.not_a_dictionary(raw, reason)
        return _BROKEN

    def not_a_dictionary(self, raw: bytes, reason: str = "") -> None:
        """OpenAI's own words, then where the JSON breaks."""
        # OpenAI quotes three letters; they may take up to twelve bytes.
        start = raw[:12].decode("utf-8", "replace")[:3]
        fix = ""
        if start.lstrip().startswith("["):
            fix = "the file is one JSON list: write its objects one per line"
        elif reason.startswith("trailing characters"):
            fix = "several objects stand on this line: put each on one of its own, ended by LF"
        elif reason:
            reason = reason.replace("at line 1 column", "at column")
            fix = f"write one JSON object per line; {reason}"
        self.add(
            "not_jsonl",
            "Expected file to have JSONL format, where every line is a JSON dictionary. "
            f"Line {self.line_number} is not a dictionary "
            f'(HINT: line starts with: "{start}...").',
            fix=fix,
        )

    def example(self, line: int, example: dict[str, Any]) -> None:
        """Check one example, and let all look at it if it is of the file's format."""
        self.examples += 1
        kind = kind_of(example)
        if kind is None:
            text = (
                "Unexpected file format, expected either prompt/completion pairs or chat messages."
            )
            self.add("unknown_format", text)
            return
        # The first example that has a format tells that of the file.
        self.kind = self.kind or kind
        if kind != self.kind:
            text = f"Example {self.examples} is of the format {kind}, expected {self.kind}"
            self.add("mixed_kinds", text)
            return
        found = ProblemCollector(self.examples)
        CHECKS[kind](example, found)
        for code, message in found.items:
            self.add(code, message)
        sound = all(CODES[code].severity == "warning" for code, _ in found.items)
        if sound and kind == "chat" and "weight_elsewhere" not in self.counts:
            self.portability(example)
        self.look(line, example, sound=sound)

    def portability(self, example: dict[str, Any]) -> None:
        """Say once a file what other trainers are known to read in another way."""
        if any(message.get("weight") == 0 for message in example["messages"]):
            text = f"Line {self.line_number} is the first with an answer of weight 0"
            self.add("weight_elsewhere", text, line=0)

    def finish(self, minimum: int) -> None:
        """Judge the file as a whole."""
        for one in (*self.looks, *self.sound_looks):
            self.extend(one.finish())
        if self.line_number == 0:
            self.add("empty_file", "The file is empty", line=0)
        elif few := too_few(self.examples, minimum):
            self.add(few.code, few.message, line=0)

    def report(self) -> ValidationReport:
        """What was found, in the order of lines."""
        # Problems of the whole file are found last and carry line 0: sorted, they come first.
        self.problems.sort(key=lambda item: item.line)
        return ValidationReport(self.kind, self.examples, tuple(self.problems), dict(self.counts))


_BROKEN = object()
