"""What the packages of other hosts and trainers do with our exports: real runs, row by row.

For: `python3 -m helpers bench targets`, which reads each export with the pinned package, in an
environment of its own, and writes the table of targets by features. It is left out unless it
is named: the environments take some 6 GB. Not for: the exports, see `helpers.datasets.exporting`.

    with measuring(root) as measurements:
        measurements["target-trl"]()
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from helpers.backend.training.examples import Example, Pair, read_examples
from helpers.base import jsonl, settings
from helpers.base.chat_format import END
from helpers.base.errors import DataError
from helpers.base.files import write_text
from helpers.base.tokens import local_tokenizer
from helpers.bench.measurements import BenchRow, Measurement
from helpers.datasets.example import TrainingExample
from helpers.datasets.exporting.export import export
from helpers.datasets.exporting.losses import TRIED
from helpers.datasets.exporting.rows import parts_of
from helpers.datasets.exporting.targets import TARGETS, Target
from helpers.datasets.exporting.template import chat_template
from helpers.legacy import environments

READ = (
    "openai", "together", "fireworks", "mistral", "google", "trl", "axolotl", "llamafactory",
    "torchtune", "ms-swift", "mlx-lm", "oumi", "datasets",
)  # fmt: skip
"""Targets with a package that can be run here."""
NAMES = tuple(f"target-{name}" for name in READ)
SHARED = {"datasets": "trl"}
"""Targets that are read in another's environment."""
LIMIT = 7200
"""Seconds for one package and all cases, on cores that others may use too."""
COPIES = 12
"""Rows of each case: trainers refuse smaller files."""
COURSE, PAIRS = "the course's training file", "the course's preferences"
ALL_KINDS = {"chats of all kinds": "messages", "preferences of all kinds": "input"}
SAME, LINE_BREAK = "same tokens", "the line break after an answer is learnt too"
SEEN, OTHER, GONE = "read", "other tokens", "row left out"
GOOD = (SAME, LINE_BREAK, SEEN)
Rows = list[dict[str, Any]]


@contextmanager
def measuring(root: Path) -> Iterator[Mapping[str, Measurement]]:
    """One measurement a target; when all were taken, the table stands in the state folder."""
    found: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = TargetBench(root, Path(folder))
        yield {f"target-{name}": partial(_row, bench, name, found) for name in READ}
        # After all rows: one that fails leaves the old table.
        write_table(settings.load().state / "targets.json", found)


def _row(bench: TargetBench, name: str, found: dict[str, dict[str, str]]) -> BenchRow:
    found[name] = bench.outcomes(name)
    kept = [one for one in found[name].values() if one in GOOD]
    what = f"cases that {found[name]['package']} reads with nothing lost"
    good = found[name][COURSE] in GOOD
    aim = "the course's file among them"
    return BenchRow(f"target-{name}", what, "cases", len(kept), aim=aim, holds=good)


def write_table(path: Path, found: Mapping[str, Mapping[str, str]]) -> None:
    """By target the package, the day and the outcome of each case.

    Targets that are not in `found` stay as they stand in `path`, or else in the course's own table.
    """
    known = json.loads((path if path.is_file() else TRIED).read_text(encoding="utf-8"))["targets"]
    day = {"date": datetime.now(UTC).date().isoformat()}
    known |= {name: {"package": one["package"], **day, **one} for name, one in found.items()}
    write_text(path, json.dumps({"targets": known}, indent=1) + "\n")


class TargetBench:
    """Exports, readers and the comparison with the tokens of our own trainer."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.peers = root / "tests" / "peers"
        self.sources = self._sources()
        self.model = folder / "model"
        self.valid = root / "data" / "support" / "validation.jsonl"

    def _sources(self) -> dict[str, Path]:
        """The files of all cases, by name."""
        cases = json.loads((self.peers / "targets" / "cases.json").read_text(encoding="utf-8"))
        folder = self.folder / "sources"
        folder.mkdir()
        made = {}
        for name, row in cases.items():
            made[name] = folder / f"{name}.jsonl"
            jsonl.write(made[name], [row] * COPIES)
        data = self.root / "data" / "support"
        return {COURSE: data / "train.jsonl", PAIRS: data / "preferences.jsonl"} | made

    def mixed(self, name: str) -> dict[str, str]:
        """The same for rows of all kinds in one file, which readers of columns hold against
        each other: what one row lacks must not come from its neighbour.
        """
        texts = [(self.peers / "targets" / file).read_text(encoding="utf-8")
                 for file in ("cases.json", "mixed.json")]  # fmt: skip
        rows = [row for text in texts for row in json.loads(text).values()]
        sources = {}
        for case, key in ALL_KINDS.items():
            sources[case] = self.folder / "sources" / f"all_{key}.jsonl"
            # What is expected of a row with marks is other tokens; see the case of its own.
            jsonl.write(sources[case], [r for r in rows if key in r and END not in str(r)])
        return self._outcomes(name, sources)

    def outcomes(self, name: str) -> dict[str, str]:
        """What the package of a target did with each case, and which package it was."""
        return self._outcomes(name, self.sources)

    def _outcomes(self, name: str, sources: Mapping[str, Path]) -> dict[str, str]:
        target = TARGETS[name]
        written = dict(self._written(target, sources))
        said = {row["folder"]: row for row in self.read(name, written.values())}
        packages = {row["package"] for row in said.values()}
        found = {"package": packages.pop()}
        for case, source in sources.items():
            folder = written.get(case)
            answer = said[folder.name] if folder else None
            found[case] = self._outcome(target, source, answer) if answer else GONE
        return found

    def _written(self, target: Target, sources: Mapping[str, Path]) -> Iterator[tuple[str, Path]]:
        for case, source in sources.items():
            folder = self.folder / target.name / source.stem
            also = self.valid if case == COURSE else None
            try:
                # What a target cannot take is left out without a question; that is an outcome too.
                export(source, folder, target=target.name, validation=also, accept=True)
            except DataError:
                continue
            yield case, folder

    def python(self, name: str) -> Path:
        """The interpreter of a target's environment; PyTorch is the course's own, unless pinned."""
        if name == "openai":
            return Path(sys.executable)
        name = SHARED.get(name, name)
        pins = self.peers / "pins" / f"target_{name}.txt"
        config = settings.load()
        place = (config.environments or config.state) / "peers" / f"target-{name}"
        python = environments.ensure(place, pins)
        ours = next(path for path in map(Path, sys.path) if path.name == "site-packages")
        packages = next(place.glob("lib/python*/site-packages"))
        # Behind the environment's own packages on the path, which win; last in the alphabet, so
        # also behind what their own .pth files add.
        (packages / "zz_course.pth").write_text(f"{ours}\n", encoding="utf-8")
        return python

    def read(self, name: str, folders: Any) -> list[dict[str, Any]]:
        """What the reader of a target says of each folder."""
        self._make_model()
        script = self.peers / "targets" / f"read_{name.replace('-', '_')}.py"
        words = [str(self.python(name)), str(script), str(self.model), *map(str, folders)]
        own = {
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(self.folder / "hf"),
            "CUDA_VISIBLE_DEVICES": "",
        }
        done = subprocess.run(
            words, env=os.environ | own, cwd=self.folder, capture_output=True, text=True,
            timeout=LIMIT, check=False,
        )  # fmt: skip
        # Packages print what they like; our readers mark their own lines.
        lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        if not lines:
            raise DataError(f"{name} read nothing: {done.stderr[-800:]}", fix="see its output")
        return [json.loads(line.removeprefix("RESULT ")) for line in lines]

    def _make_model(self) -> None:
        """The base model's tokenizer and a tiny model, for trainers that want a folder of one."""
        if self.model.is_dir():
            return
        self.model.mkdir()
        from transformers import LlamaConfig, LlamaForCausalLM

        save_tokenizer(self.model)
        # The base's tokens, and a network as small as can be: only its tokenizer matters.
        config = LlamaConfig(
            vocab_size=49152, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=8192, eos_token_id=2, bos_token_id=1,
            pad_token_id=2, tie_word_embeddings=True,
        )  # fmt: skip
        LlamaForCausalLM(config).save_pretrained(str(self.model))

    def _outcome(self, target: Target, source: Path, said: Mapping[str, Any]) -> str:
        if "error" in said:
            return f"refused: {said['error'][:120]}"
        made = said["files"].items()
        # The worst of the training and the validation file, should they differ.
        verdicts = {self._read_as(target, self.valid if "valid" in name else source, rows)
                    for name, rows in made}  # fmt: skip
        return max(verdicts, key=lambda verdict: (verdict not in GOOD, verdict))

    def _read_as(self, target: Target, source: Path, rows: Rows) -> str:
        parts = [
            part for row in jsonl.read(source)
            for part in parts_of(TrainingExample.of(row), target)
        ]  # fmt: skip
        if len(rows) != len(parts):
            return f"{len(parts)} rows became {len(rows)}"
        return SEEN if "ids" not in rows[0] else self._compared(parts, rows)

    def _compared(self, parts: Sequence[TrainingExample], rows: Rows) -> str:
        path = self.folder / "parts.jsonl"
        jsonl.write(path, [part.as_json() for part in parts])
        ours: list[Example | Pair] = []
        read_examples(path, local_tokenizer(), ours.append, max_tokens=2048)
        if len(ours) != len(rows):
            return OTHER
        # Some trainers shuffle their rows while they read them.
        # The same chat may stand there twice, with other weights.
        theirs = sorted(rows, key=lambda row: (row["ids"], row["targets"]))
        pairs = zip(sorted(ours, key=_learnt), theirs, strict=True)
        verdicts = {compare(*pair) for pair in pairs}
        return verdicts.pop() if len(verdicts) == 1 else OTHER


def save_tokenizer(folder: Path) -> None:
    """The base model's tokenizer, as transformers loads it from a model's folder."""
    from transformers import PreTrainedTokenizerFast

    core = local_tokenizer().core
    # transformers must find the marks of the chat as single tokens; our own core splits what a
    # customer types.
    core.encode_special_tokens = False
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=END, pad_token=END, bos_token="<|im_start|>"
    )
    core.encode_special_tokens = True
    tokenizer.chat_template = chat_template(markers=False)
    tokenizer.save_pretrained(str(folder))


def _learnt(item: Example | Pair) -> tuple[list[int], list[bool]]:
    one = item.preferred if isinstance(item, Pair) else item
    return list(one.ids), list(one.targets)


def compare(ours: Example | Pair, theirs: Mapping[str, Any]) -> str:
    """How the tokens and targets of a row differ from ours."""
    one = ours.preferred if isinstance(ours, Pair) else ours
    ids, targets = list(one.ids), list(one.targets)
    if isinstance(ours, Pair) and "rejected" in theirs:
        length = len(ours.other.ids)
        if list(ours.other.ids) != theirs["rejected"][:length]:
            return OTHER
    if (ids, targets) == (theirs["ids"], theirs["targets"]):
        return SAME
    if (ids, targets) == _without_line_breaks(theirs):
        return LINE_BREAK
    return OTHER


def _without_line_breaks(row: Mapping[str, Any]) -> tuple[list[int], list[bool]]:
    """A row whose line breaks after a message are no targets, and that does not end with one."""
    tokenizer = local_tokenizer()
    (line_break,) = tokenizer.encode_text("\n")
    ids, targets = list(row["ids"]), list(row["targets"])
    for place in range(1, len(ids)):
        if ids[place] == line_break and ids[place - 1] == tokenizer.end_id:
            targets[place] = False
    if ids[-1] == line_break:
        ids.pop(), targets.pop()
    return ids, targets
