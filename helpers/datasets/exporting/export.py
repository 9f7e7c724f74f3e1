"""Write a dataset for another host or trainer, with what trains it there.

For: `python3 -m helpers export`. Rows, settings and `LOSSES.md` go into one folder, which
appears whole or not at all. Not for: a trained model, see `helpers.finetuning.exporting`.

    done = export("train.jsonl", "out", target="trl", validation="validation.jsonl")
    print(done)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from helpers.base import files, jsonl
from helpers.base.errors import DataError
from helpers.datasets.example import Kind, Provenance, TrainingExample
from helpers.datasets.exporting import recipes
from helpers.datasets.exporting.losses import TIMES, Account, losses_page
from helpers.datasets.exporting.rows import Row, claude, rows_of
from helpers.datasets.exporting.shapes import show_first
from helpers.datasets.exporting.targets import TRAIN, VALID, Target, target_of
from helpers.datasets.validation.file import validate_file

LOSSES_FILE = "LOSSES.md"
MOVED = (
    "{name}: {count} rows stand in front that were further down. They hold what the first ten "
    "megabytes did not show, where datasets stops reading."
)


@dataclass(frozen=True)
class DatasetExport:
    """A folder for one target."""

    folder: Path
    target: Target
    rows: Mapping[str, int]
    """Rows by file."""
    accounts: Mapping[str, Account]
    """What became of each source's rows, by the name of its split."""
    remarks: tuple[str, ...] = ()
    """What stands against a training, or is lost in it, though it is in the files."""

    def __str__(self) -> str:
        lines = [f"{self.folder.name}: for {self.target.title}"]
        lines += [f"  {name}: {rows} rows" for name, rows in self.rows.items()]
        for split, account in self.accounts.items():
            lines += [f"  {split}: {loss}" for loss in account.losses.values()]
        lines += [f"  {remark}" for remark in self.remarks]
        return "\n".join(lines)


def export(
    source: str | Path,
    folder: str | Path,
    *,
    target: str,
    validation: str | Path | None = None,
    recipe: recipes.Recipe = recipes.OURS,
    accept: bool = False,
) -> DatasetExport:
    """Write `source`, and a validation file, as `target` reads them.

    The files must be sound, in one of OpenAI's formats: `convert_file` makes them of others.
    Where the target would learn something else than the rows say, nothing is written unless
    `accept`. Raises `DataError` then, for unsound files, and where no row would be left.
    """
    to = target_of(target)
    sources = {TRAIN: Path(source)} | ({VALID: Path(validation)} if validation else {})
    kinds = {_sound_kind(path) for path in sources.values()}
    if len(kinds) > 1:
        fix = "export each with a file of its own kind"
        raise DataError("the training and the validation file are of two formats", fix=fix)
    # Counted before anything is written: what would be lost is said first.
    accounts = {split: account(path, to) for split, path in sources.items()}
    _stop(to, accounts, accept=accept)
    folder = Path(folder)
    with files.atomic_folder(folder) as partial:
        rows: dict[str, int] = {}
        for split, path in sources.items():
            for name, made in _tables(path, to, split):
                rows[name] = _write(partial / name, made, to)
        # An error in the block removes the folder again.
        if not all(rows.values()):
            raise DataError(f"no row is left for {to.title}", fix="choose another target")
        moved = {name: show_first(partial / name) for name in rows} if to.trainer else {}
        remarks = (
            *_remarks(to, recipe, rows),
            *(MOVED.format(name=name, count=count) for name, count in moved.items() if count),
            *(f"{split}: {TIMES}" for split, one in accounts.items() if one.times),
        )
        page = losses_page(to, [(sources[s].name, one) for s, one in accounts.items()], remarks)
        unrolled = any(one.losses.keys() & _UNROLLING for one in accounts.values())
        texts = recipes.texts(
            to, recipe, kind=kinds.pop(), rows=rows, unrolled=unrolled and _unrolls(to)
        )
        for name, text in {LOSSES_FILE: page, **texts}.items():
            (partial / name).write_text(text, encoding="utf-8")
    return DatasetExport(folder, to, rows, accounts, remarks)


def _remarks(target: Target, recipe: recipes.Recipe, rows: Mapping[str, int]) -> Iterator[str]:
    if target.closed:
        yield target.closed
    train = next(count for name, count in rows.items() if TRAIN in name)
    if rest := recipes.unlearnt(target, recipe, train):
        yield rest


# Features whose rows become several, one for each answer.
_UNROLLING = {"weight_0", "several_answers"}


def _unrolls(target: Target) -> bool:
    return target.fate("weight_0") == "unrolled"


def examples_in(path: Path) -> Iterator[TrainingExample]:
    """The examples of a sound file, each with its line."""
    for line in jsonl.lines(path):
        if line.raw.strip():
            yield TrainingExample.of(jsonl.parse(line.raw), Provenance(path.name, line.number))


def account(path: Path, target: Target) -> Account:
    """What a target does with each row of a sound file."""
    made = Account(target)
    for example in examples_in(path):
        made.add(example.source.line, example)
    return made


def _sound_kind(path: Path) -> Kind:
    report = validate_file(path, minimum=1)
    if not report.ok or report.kind is None:
        first = f"{path.name}, {report.errors[0]}" if report.errors else f"{path.name} is empty"
        fix = "mend the file first: validate_file lists every problem"
        raise DataError(f"{report.counts and sum(report.counts.values())} problems: {first}",
                        fix=fix)  # fmt: skip
    return report.kind


def _stop(target: Target, accounts: Mapping[str, Account], *, accept: bool) -> None:
    losses = [f"{split}: {loss}" for split, one in accounts.items() for loss in one.stops]
    losses += [f"{split}: {TIMES}" for split, one in accounts.items() if one.times]
    if losses and not accept:
        named = "; ".join(losses)
        fix = "choose another target, take these rows out, or accept the loss (--accept)"
        raise DataError(f"{target.title} would learn something else: {named}", fix=fix)


def _tables(path: Path, target: Target, split: str) -> Iterator[tuple[str, Iterator[Row]]]:
    """The files of one split, by name."""
    name = target.names.get(split, f"{split}.jsonl")
    made = (row for example in examples_in(path) for row in rows_of(example, target))
    # Bedrock's two families of models read two forms, made of the same rows.
    if target.name != "bedrock":
        yield name, made
        return
    # Both files need them, and a generator gives them once.
    rows = list(made)
    yield f"nova-{name}", iter(rows)
    yield f"claude-{name}", map(claude, rows)


def _write(path: Path, rows: Iterator[Row], target: Target) -> int:
    if path.suffix == ".parquet":
        return _write_parquet(path, list(rows))
    written = jsonl.write(path, rows)
    if target.name == "azure":
        # Azure wants the mark before the first line.
        path.write_bytes(jsonl.BOM + path.read_bytes())
    return written


def _write_parquet(path: Path, rows: list[Row]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # A fixed schema: guessed from the first rows, a column that is empty there would have no type.
    text, number = pa.string(), pa.int64()
    message = pa.struct(
        [("role", text), ("content", text), ("weight", number), ("name", text),
         ("tool_call_id", text), ("tool_calls", text), ("parts", text), ("more", text)]
    )  # fmt: skip
    schema = pa.schema(
        [("messages", pa.list_(message)), ("preferred", message), ("rejected", message),
         ("kind", text), ("tools", text), ("parallel_tool_calls", pa.bool_()),
         ("metadata", text)]
    )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return len(rows)
