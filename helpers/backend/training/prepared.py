"""What was built of a training file, kept so that it is parsed once on its way to the trainer.

For: the server, which prepares a file when it is uploaded, and the trainer, which reads what
was built. Not for: building, see `examples`; the client's side is
`helpers.datasets.training_file`.

    file = prepare(path, folder, local_tokenizer(), max_tokens=2048)
    file.report.ok, file.sha256
    load_examples(file.examples)        # [Example(line=1, …), …]
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from array import array
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from helpers.backend.training.examples import Example, Item, Pair, read_examples
from helpers.base.errors import DataError
from helpers.base.files import atomic, write_text
from helpers.base.local_tokenizer import LocalTokenizer
from helpers.base.tokens import local_tokenizer
from helpers.datasets.validation.codes import Problem
from helpers.datasets.validation.report import TokenLengths, ValidationReport

EXAMPLES, REPORT = "training.examples", "report.json"
SUFFIX = Path(EXAMPLES).suffix
FORM = 3
"""Raised whenever the same file would be built in another way."""
TARGET, PROMPT = 1, 2
"""Bits of a token's mark: it is learnt, it is a word of the asker."""


@dataclass(frozen=True)
class PreparedFile:
    """A training file that was read once."""

    sha256: str
    """Of its bytes."""
    report: ValidationReport
    """With a `minimum` of 0: how many examples are enough, the job's side decides."""
    examples: Path
    """What the trainer reads; there only if the report is ok."""


def prepare(
    path: Path, folder: Path, tokenizer: LocalTokenizer, *, max_tokens: int
) -> PreparedFile:
    """Read the file at `path` and keep what was built of it in `folder`.

    What was built before in the same way, for the same vocabulary and limit, is taken as it is.
    """
    # Whatever decides how a line becomes tokens; one that differs, and the file is built anew.
    how = {"form": FORM, "max_tokens": max_tokens, "vocabulary": tokenizer.vocabulary_id}
    return _kept(folder, how) or _build(path, folder, tokenizer, how)


def forget(folder: Path) -> None:
    """Remove what was built, for a file that is gone."""
    shutil.rmtree(folder, ignore_errors=True)


def _kept(folder: Path, how: dict[str, Any]) -> PreparedFile | None:
    try:
        known = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if known["how"] != how:
        return None
    return PreparedFile(known["sha256"], _report(known["report"]), folder / EXAMPLES)


def _build(
    path: Path, folder: Path, tokenizer: LocalTokenizer, how: dict[str, Any]
) -> PreparedFile:
    target = folder / EXAMPLES
    with path.open("rb") as source, atomic(target) as out:
        hashed = _HashingReader(source)
        keep = functools.partial(_write, out)
        report = read_examples(hashed, tokenizer, keep, max_tokens=how["max_tokens"])  # type: ignore[arg-type]
        # A file that is refused at its first bytes was not read to its end.
        while hashed.read(1 << 20):
            pass
    known = {"how": how, "sha256": hashed.sha256, "report": _as_json(report)}
    # Written last: a report says that the examples beside it are whole.
    write_text(folder / REPORT, json.dumps(known))
    return PreparedFile(hashed.sha256, report, target)


class _HashingReader:
    """A stream that knows the SHA-256 of all that was read from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._digest = stream, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._digest.update(data)
        return data

    def readline(self, size: int = -1) -> bytes:
        data = self._stream.readline(size)
        self._digest.update(data)
        return data

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _as_json(report: ValidationReport) -> dict[str, Any]:
    known = asdict(report)
    lengths = report.tokens.counts if report.tokens else {}
    return known | {"tokens": sorted(lengths.items())}


def _report(known: dict[str, Any]) -> ValidationReport:
    problems = tuple(Problem(**one) for one in known["problems"])
    tokens = TokenLengths(dict(map(tuple, known["tokens"])))
    return ValidationReport(**{**known, "problems": problems, "tokens": tokens})


def _write(out: BinaryIO, item: Item) -> None:
    sides = (item.preferred, item.other) if isinstance(item, Pair) else (item,)
    data = msgspec.msgpack.encode([_packed(side) for side in sides])
    # Each item behind its length, so that neither side holds the whole file in one piece of
    # msgpack.
    out.write(len(data).to_bytes(4, "little") + data)


def _packed(example: Example) -> tuple[int, bytes, bytes]:
    marks = zip(example.targets, example.prompt, strict=True)
    flags = bytes(TARGET * target + PROMPT * asked for target, asked in marks)
    # As bytes: a list of numbers would take msgpack a step for each token.
    return example.line, array("i", example.ids).tobytes(), flags


def load_examples(path: Path) -> list[Item]:
    """All that was built of a file, in its order."""
    items: list[Item] = []
    with path.open("rb") as stream:
        while size := stream.read(4):
            data = stream.read(int.from_bytes(size, "little"))
            sides = [_unpacked(*one) for one in _DECODER.decode(data)]
            items.append(sides[0] if len(sides) == 1 else Pair(sides[0].line, *sides))
    return items


_DECODER = msgspec.msgpack.Decoder(list[tuple[int, bytes, bytes]])


def _unpacked(line: int, ids: bytes, flags: bytes) -> Example:
    targets = tuple(bool(flag & TARGET) for flag in flags)
    prompt = tuple(bool(flag & PROMPT) for flag in flags)
    return Example(line, tuple(array("i", ids)), targets, prompt)


def examples_of(path: Path, gguf: Path, *, max_tokens: int) -> list[Item]:
    """The examples of a prepared file, or of a JSONL file that is built now.

    Raises `DataError` with the first problem of a JSONL file that cannot be trained on.
    """
    if path.suffix == SUFFIX:
        return load_examples(path)
    built: list[Item] = []
    report = read_examples(path, local_tokenizer(gguf), built.append, max_tokens=max_tokens)
    if not report.ok:
        raise DataError(f"{path.name} cannot be trained on: {report.errors[0]}")
    return built
