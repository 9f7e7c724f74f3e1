"""`chat`: talk to base and tuned models side by side, on a page or in the terminal.

Without a folder: the course's support desk, as far as its models have been trained. With the
folder that `mine` made: the models of one's own table.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.base import settings
from helpers.base.errors import DataError
from helpers.base.files import write_text
from helpers.cli import foreground, lab

if TYPE_CHECKING:
    from helpers.connection import Connection
    from helpers.evaluation.side_by_side import Voice

PAGE = """import os

from helpers.cli.chat import show

show(os.environ["WORKBOOK_CHAT"])"""
READER, CONTINUED, FIRST = "reads-notes", "continued", "support-v1"
"""Suffixes of the course's own jobs, the last one made first."""
EXAMPLES = (
    "Why is the ring on my router blue and breathing?",
    "What is the late fee?",
    "Can you recommend a good pizza recipe?",
)


def run(root: Path, options: argparse.Namespace) -> int:
    """Show the page until Ctrl-C, or ask in the terminal until an empty line."""
    if options.folder and not Path(options.folder).is_dir():
        raise DataError(f"there is no folder {options.folder}", fix="give what `mine` wrote to")
    if options.text:
        return _in_text(options.folder or "")
    words = command(options, write_page())
    return foreground.call(words, env=environment(root, options.folder or ""))


def write_page() -> Path:
    """The notebook behind the page; it holds one cell."""
    import nbformat

    cell = nbformat.v4.new_code_cell(PAGE)
    made = nbformat.v4.new_notebook(cells=[cell])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    path = settings.state_folder("chat") / "chat.ipynb"
    write_text(path, nbformat.writes(made))
    return path


def environment(root: Path, folder: str) -> dict[str, str]:
    """That of `lab`; the notebook stands in another folder than the course."""
    places = [str(root), os.environ.get("PYTHONPATH", "")]
    return lab.environment(root) | {
        "WORKBOOK_CHAT": str(Path(folder).resolve()) if folder else "",
        "PYTHONPATH": os.pathsep.join(filter(None, places)),
    }


def command(options: argparse.Namespace, page: Path) -> list[str]:
    """The Voilà call for the page."""
    words = [sys.executable, "-m", "voila", str(page), "--Voila.ip=localhost"]
    words += ["--template=offline"]
    words += [f"--port={options.port}"] if options.port else []
    return [*words, "--no-browser"] if options.no_browser else words


def show(folder: str) -> None:
    """The panel, in the page's kernel."""
    from IPython.display import display

    from helpers.connection import connect
    from helpers.widgets import chat

    course = connect()
    models, more = voices_of(course, folder)
    for note in more.pop("notes"):
        display({"text/plain": note, "text/html": f"<p>{note}</p>"}, raw=True)
    display(chat.panel(course.client, models, **more))


def _in_text(folder: str) -> int:
    from helpers.connection import connect
    from helpers.widgets import chat

    course = connect()
    models, more = voices_of(course, folder)
    for note in more.pop("notes"):
        print(note)
    more.pop("examples", None)
    chat.text(course.client, models, **more)
    return 0


def voices_of(course: Connection, folder: str) -> tuple[dict[str, Voice], dict[str, Any]]:
    """Who speaks, and the other arguments of the panel, with `notes` to show before it."""
    if not folder:
        return _desk(course)
    from helpers.capstone.takeaway import read_method
    from helpers.capstone.voices import voices

    place = Path(folder)
    return voices(course, place), {
        "max_tokens": read_method(place / "model").max_tokens,
        "notes": [],
    }


def _desk(course: Connection) -> tuple[dict[str, Voice], dict[str, Any]]:
    """The support desk's base model, its last tuned one, and that which reads notes."""
    from helpers.evaluation.side_by_side import plain
    from helpers.support_desk import desk

    models = {"base": plain(course.chat_model, system=desk.SYSTEM)}
    notes = []
    tuned = _last_model(course, CONTINUED) or _last_model(course, FIRST)
    reader = _last_model(course, READER)
    if tuned:
        models["tuned"] = plain(tuned, system=desk.SYSTEM)
    else:
        notes.append("No tuned model yet: notebook 02 trains one.")
    # Notes for the tuned model where there is one; otherwise the base model shows what notes alone
    # do.
    if tuned and reader:
        models["tuned, with notes"] = _with_notes(course, reader, tuned)
    else:
        models["base, with notes"] = _with_notes(course, course.chat_model, None)
        notes.append("The model that reads notes is trained in notebook 06.")
    return models, {"examples": EXAMPLES, "notes": notes}


def _last_model(course: Connection, suffix: str) -> str | None:
    """The newest model of the course's job with this suffix that is still there."""
    there = {model.id for model in course.client.models.list()}
    # Newest first, as the API lists them.
    for job in course.client.fine_tuning.jobs.list():
        name = job.fine_tuned_model
        # ":reader:" with colons around, so that "support-v1" is not found in "my-support-v10".
        if name in there and f":{suffix}:" in f"{name}:":
            return name
    return None


def _with_notes(course: Connection, model: str, alone: str | None) -> Voice:
    """The desk's articles, searched by meaning, for one model."""
    from helpers.rag.answering import Rag
    from helpers.rag.documents import load_articles
    from helpers.rag.embedding import embedder
    from helpers.rag.index import build
    from helpers.support_desk import desk

    articles = load_articles(desk.folder() / "kb")
    embed = embedder(course.client, course.embedding_model)
    index = build(articles, embed, settings.state_folder("chat") / "kb.lance")
    rag = Rag(
        course.client,
        model,
        {"desk": index},
        system=desk.SYSTEM,
        decline=desk.DECLINE,
        mode="dense",
        closed_book_model=alone,
    )
    return rag.voice("desk")
