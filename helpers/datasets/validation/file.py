"""Find every problem of a training file, in one pass and constant memory.

For: files of any size in the chat, prompt/completion and preference (DPO) formats. Any
bytes give a `Report`, never an exception; what each code means stands in `codes.CODES`.
Not for: changing a file, see `clean` and `convert`.

    report = validate_file("train.jsonl", deep=True)
    report.ok, report.counts      # (False, {"missing_role": 1})
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any

import jiter

from helpers.base import files, jsonl
from helpers.datasets.example import Kind, kind_of
from helpers.datasets.token_counts import TokenCounter
from helpers.datasets.validation import fast_path
from helpers.datasets.validation.codes import Problem, problem
from helpers.datasets.validation.report import TokenLengths, ValidationReport
from helpers.datasets.validation.schema import CHECKS, ProblemCollector

MINIMUM = 10
"""Fewest examples that the hosted service accepts."""
KEPT = 1000
"""Problems that are kept of each code; all are counted."""
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
    `count_tokens`; examples above `max_tokens` are then errors. `deep` also looks across
    examples and into their texts: duplicates, contradictions, class balance, personal
    data; it keeps about 1 KB an example. `label` names the key that holds an example's
    class, `keep` addresses and numbers that are no personal data. Raises `DataError` only
    if the file cannot be opened.
    """
    run = _FileCheck(kind, max_tokens, count_tokens)
    looker = None
    if deep:
        from helpers.datasets.validation.cross_checks import CrossChecker

        looker = CrossChecker(label=label, keep=keep)
    for block in jsonl.blocks(source):
        if block.first == 1 and run.refuse(block.data):
            return run.report()
        if looker is None and run.plain(block):
            continue
        for line in jsonl.lines_of(block):
            example = run.line(line)
            if example is not None and looker is not None and run.kind is not None:
                run.extend(looker.look(line.number, run.kind, example))
    if looker is not None:
        run.extend(looker.finish())
    run.finish(minimum)
    return run.report()


class _FileCheck:
    """The state of one validation: what was counted and found so far."""

    def __init__(
        self,
        kind: Kind | None,
        max_tokens: int | None,
        count_tokens: Callable[[str], int] | None,
    ) -> None:
        self.kind = kind
        self.max_tokens = max_tokens
        self.counter = TokenCounter(count_tokens) if count_tokens else None
        self.lengths: Counter[int] = Counter()
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
        if not self.counter:
            self.examples += len(chats)
        else:
            for place, chat in enumerate(chats):
                self.line_number = block.first + place
                self.examples += 1
                self.measured(self.counter.chat([m.content for m in chat.messages]))
        self.line_number = block.first + len(chats) - 1
        return True

    def line(self, line: jsonl.Line) -> dict[str, Any] | None:
        """Check one line; return its example if it is of the file's format."""
        self.line_number = line.number
        if line.bom:
            self.add("bom", "The file starts with a byte order mark", line=0)
        if line.ending == b"\r\n" and not self.crlf:
            self.crlf = True
            self.add("crlf", "Lines end with CR LF", line=0)
        if line.over_long:
            limit = jsonl.LINE_LIMIT // 2**20
            self.add("line_too_long", f"Line {line.number} is longer than {limit} MB")
            return None
        if not line.raw.strip():
            self.add("blank_line", f"Line {line.number} is empty")
            return None
        example = self.parse(line.raw)
        return None if example is None else self.example(example)

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

    def example(self, example: dict[str, Any]) -> dict[str, Any] | None:
        """Check one example; return it if it is of the file's format."""
        self.examples += 1
        kind = kind_of(example)
        if kind is None:
            text = (
                "Unexpected file format, expected either prompt/completion pairs or chat messages."
            )
            self.add("unknown_format", text)
            return None
        self.kind = self.kind or kind
        if kind != self.kind:
            text = f"Example {self.examples} is of the format {kind}, expected {self.kind}"
            self.add("mixed_kinds", text)
            return None
        found = ProblemCollector(self.examples)
        CHECKS[kind](example, found)
        for code, message in found.items:
            self.add(code, message)
        if self.counter:
            self.measured(self.counter.count(kind, example))
        return example

    def measured(self, length: int) -> None:
        """Note the length of the present example."""
        self.lengths[length] += 1
        if self.max_tokens is not None and length > self.max_tokens:
            text = f"Example {self.examples} has {length:,} tokens; at most {self.max_tokens:,} fit"
            self.add("example_too_long", text)

    def finish(self, minimum: int) -> None:
        """Judge the file as a whole."""
        if self.line_number == 0:
            self.add("empty_file", "The file is empty", line=0)
        elif self.examples < minimum:
            text = (
                f"Training file has {self.examples} example(s), "
                f"but must have at least {minimum} examples"
            )
            self.add("invalid_n_examples", text, line=0)

    def report(self) -> ValidationReport:
        """What was found, in the order of lines."""
        self.problems.sort(key=lambda item: item.line)
        tokens = TokenLengths(dict(self.lengths)) if self.counter else None
        return ValidationReport(
            self.kind, self.examples, tuple(self.problems), dict(self.counts), tokens
        )


_BROKEN = object()
