"""The methods of a finished capstone, to talk to.

For: the chat on one's own data, with the prompts and notes of the proof. Not for: serving the
best method to other programs, see `helpers.capstone.takeaway`.

    chat.panel(course.client, voices(course, Path("out")))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.base import jsonl
from helpers.capstone.lookup import ARTICLES, OwnArticles, PastAnswers
from helpers.capstone.methods import PromptForm, prompt
from helpers.capstone.samples import Message, readable, search_text, turns
from helpers.capstone.takeaway import read_method
from helpers.costs.monthly import BASE, BOTH, TUNED
from helpers.evaluation.results import load_result
from helpers.evaluation.side_by_side import Prompted, Voice
from helpers.rag.embedding import Embedder, embedder

if TYPE_CHECKING:
    from helpers.capstone.lookup import NoteStore
    from helpers.connection import Connection

SPOKEN = (BASE, TUNED, BOTH)
"""Methods that one talks to."""


def voices(course: Connection, folder: Path) -> dict[str, Voice]:
    """Base, tuned, and tuned with retrieval, as `experiment.run` left them in `folder`.

    Raises `DataError` if no capstone ended there.
    """
    form = read_method(folder / "model").form
    embed = embedder(course.client, course.embedding_model)
    store = _store(folder, embed)
    found: dict[str, Voice] = {}
    for method in SPOKEN:
        # The id that was asked in the proof: for the tuned ones the epoch that was picked.
        model = load_result(folder / "results", method.replace(" ", "")).model
        found[method] = _voice(method, model, form, store, embed)
    return found


def _store(folder: Path, embed: Embedder) -> NoteStore:
    if (folder / ARTICLES).is_dir():
        return OwnArticles.load(folder, embed)
    # What was trained on is what was looked up.
    rows = jsonl.read(folder / "dataset" / "train.jsonl")
    return PastAnswers.build(turns([readable(row["messages"]) for row in rows]), embed)


def _voice(method: str, model: str, form: PromptForm, store: NoteStore, embed: Embedder) -> Voice:
    def prompted(said: Sequence[Message]) -> Prompted:
        talk = readable(said)
        text = search_text(talk)
        found = store.find([text], embed([text]), k=form.k)[0] if method == BOTH else []
        messages = prompt(method, form, talk, notes=found, examples=())
        notes = tuple((note.heading, note.text) for note in form.near(found))
        return Prompted(model, messages, notes)

    return prompted
