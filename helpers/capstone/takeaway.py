"""The folder that is taken away: the best method with all it needs, and a model card.

For: weights, index, prompt form and thresholds in one place, so that `python3 -m helpers serve
--model FOLDER` answers as the method did in the proof. Not for: answering itself, see
`helpers.capstone.responder`.

    write(done, course, material)
    read_method(done.model_folder).method       # "tuned + retrieval"
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.backend.bases.registry import find
from helpers.base import settings
from helpers.base.errors import DataError
from helpers.base.files import atomic
from helpers.capstone import baselines
from helpers.capstone.conclusion import verdict
from helpers.capstone.lookup import NoteStore, PastAnswers
from helpers.capstone.methods import WITH_NOTES, WITH_TRAINING, PromptForm
from helpers.capstone.ranking import explained
from helpers.costs.monthly import FEW_SHOT, METHODS
from helpers.finetuning.exporting import export, export_base

if TYPE_CHECKING:
    from helpers.capstone.interview import Material
    from helpers.capstone.result import CapstoneResult
    from helpers.connection import Connection

METHOD, CARD, INDEX = "method.json", "README.md", "index"
FORMAT = 1
NAME = 40
"""Letters of the table's name in the model's."""


@dataclass(frozen=True)
class BestMethod:
    """What `method.json` says: how the best method answers."""

    model: str
    """Id under which it is served."""
    method: str
    form: PromptForm
    max_tokens: int
    embedding_model: str
    weights: str
    """Id of the model that answered in the proof; empty for a lookup."""
    answer: str = ""
    """What is said to everything, where that is the method."""
    choices: tuple[str, ...] = ()
    """The only answers that its model may give; empty where it may say anything."""


def slug(path: str | Path) -> str:
    """A table's name as part of a model's id."""
    # "Pool Questions (2).csv" becomes "pool-questions-2".
    name = re.sub(r"[^a-z0-9]+", "-", Path(path).stem.lower()).strip("-")
    return name[:NAME].strip("-") or "table"


def write(done: CapstoneResult, course: Connection, material: Material) -> BestMethod:
    """Write the best method into `done.model_folder`, in place of what stood there before."""
    folder, best = done.model_folder, done.ranking.best
    name = slug(done.prepared.version.name)
    method = BestMethod(
        model=f"{name}-{slug(best.replace(' + ', '-'))}",
        method=best,
        form=material.form,
        max_tokens=done.max_tokens,
        embedding_model=course.embedding_model,
        weights="" if best not in METHODS else _weights_of(best, done, course),
        answer=baselines.most_frequent([turn.answer for turn in material.past.turns])
        if best == baselines.FREQUENT
        else "",
        choices=material.choices if best in METHODS else (),
    )
    _clear(folder)
    if course.backend == "embedded" and method.weights:
        _weights(folder, done, method)
    _lookups(folder, method, past=material.past, store=material.store)
    # Late: a folder without it is no model's, and `read_method` says so.
    _write_text(folder / METHOD, json.dumps({"format": FORMAT, **asdict(method)}, indent=1))
    _write_text(folder / CARD, card(done, method))
    _readable(folder)
    return method


def _weights_of(best: str, done: CapstoneResult, course: Connection) -> str:
    return done.model if best in WITH_TRAINING else course.chat_model


def _clear(folder: Path) -> None:
    """Make room; only what this module wrote is removed."""
    # A folder of that name that holds something else stays as it is.
    if (folder / METHOD).is_file():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)


def _weights(folder: Path, done: CapstoneResult, method: BestMethod) -> None:
    system = method.form.system
    if method.method in WITH_TRAINING:
        export(done.job, folder, name=method.model, step=done.tuned.step, system=system)
        return
    base = find(settings.load()).fit.get(method.weights)
    if base is None:
        raise DataError(
            f"the base model {method.weights} is not on this machine",
            fix="add it here too: python3 -m helpers models add",
        )
    export_base(base.gguf, folder, system=system)


def _lookups(folder: Path, method: BestMethod, *, past: PastAnswers, store: NoteStore) -> None:
    index = folder / INDEX
    if method.method in WITH_NOTES:
        store.save(index)
    elif method.method in (FEW_SHOT, baselines.NEAREST, baselines.NEIGHBOURS):
        past.save(index)
    elif method.method == baselines.LINEAR:
        answers = [turn.answer for turn in past.turns]
        baselines.Linear.fit(past.vectors, answers).save(index)


def _write_text(path: Path, text: str) -> None:
    with atomic(path) as stream:
        # A lone surrogate, which a broken table can hold, becomes "?" instead of an error.
        stream.write(text.encode("utf-8", "replace"))


def _readable(folder: Path) -> None:
    """Whoever gets the folder may read it; weights come from files that only their owner may."""
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode & 0o777
        wanted = mode | (0o755 if path.is_dir() else 0o644)
        if wanted != mode:
            path.chmod(wanted)


def read_method(folder: Path) -> BestMethod:
    """What the folder says of itself. Raises `DataError` if it is none, or of a newer release."""
    try:
        held: dict[str, Any] = json.loads((folder / METHOD).read_text(encoding="utf-8"))
        known = held.pop("format")
        form = held.pop("form")
        # JSON knows lists alone; the form is frozen and compared by value.
        form["labels"] = tuple(form["labels"])
        held["choices"] = tuple(held.get("choices", ()))
        method = BestMethod(form=PromptForm(**form), **held)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder.name} is no folder that a capstone wrote: {METHOD} cannot be read",
            fix="give the folder `model` below the capstone's",
        ) from error
    if known != FORMAT:
        raise DataError(f"{METHOD} has format {known}", fix="use the release that wrote it")
    return method


def card(done: CapstoneResult, method: BestMethod) -> str:
    """The model card, as Markdown: what it is, scores, data, limits, how to run it."""
    version = done.prepared.version
    parts = [
        f"# {method.model}\n",
        f"{_chosen(done)} tried on the table `{version.name}`: **{method.method}**.\n",
        "## Scores\n",
        f"{verdict(done)}\n",
        f"Score: {explained(done.ranking)}.\n",
        f"Mean with 95% interval over {done.ranking.questions} held-out questions:\n",
        _scores(done),
        "## Data\n",
        f"Dataset `{version.name}` {version.version}, made {version.created}.\n",
        f"SHA-256 of its content: `{version.sha256}`.\n",
        f"Looked up may be: {done.store}. No held-out answer is among them.\n",
        "## Limits\n",
        _list(_limits(done, method)),
        "## Run it\n",
        _how(method),
        "## Licence\n",
        f"{_licence(method)}What was trained on, and what the index holds, is your own data.",
    ]
    return "\n".join(parts) + "\n"


def _chosen(done: CapstoneResult) -> str:
    if done.ranking.nothing:
        return "No method reached anything, so this is no recommendation but the simplest of those"
    return "The best of the methods"


def _scores(done: CapstoneResult) -> str:
    rows = [f"| {name} | {found} |" for name, found in done.ranking.means.items()]
    return "\n".join([f"| method | {done.ranking.yardstick} |", "|---|---|", *rows]) + "\n"


def _limits(done: CapstoneResult, method: BestMethod) -> list[str]:
    cut = done.cut[method.method]
    found = [
        "It was tried on questions like those of its table; on others it will still answer.",
        "A small language model states wrong numbers in good sentences. Have answers checked."
        if method.weights
        else "It can only give answers that were given before.",
    ]
    if cut:
        found.append(f"{cut} of its answers in the proof were cut at {done.max_tokens} tokens.")
    near = [n for n, pair in done.ranking.against_best().items() if not pair.decided]
    if near:
        found.append(f"It is not proved to be better than {', '.join(near)}.")
    if method.method in WITH_TRAINING:
        found.append(f"It was {done.tuned}.")
    return found + list(done.notes)


def _how(method: BestMethod) -> str:
    text = (
        "With this project, in this folder's place:\n\n```\n"
        f"python3 -m helpers serve --model FOLDER\n```\n\nThe model is called `{method.model}`.\n"
    )
    if method.weights:
        text += "\n`Modelfile` is for Ollama, the GGUF files for all that builds on llama.cpp.\n"
    if method.weights and method.method in (*WITH_NOTES, FEW_SHOT):
        text += (
            "Those have the weights and the system message only: the notes or examples that are "
            "looked up for each question come from `serve`.\n"
        )
    return text


def _licence(method: BestMethod) -> str:
    """What the base allows, where one of this machine is in the folder."""
    name = method.weights.removeprefix("ft:").partition(":")[0]
    base = find(settings.load()).fit.get(name) if name else None
    return f"Base model: {base.licence or 'see its own page'}. " if base else ""


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) + "\n"
