"""The command line: `python3 -m helpers VERB`.

Standard library only; each verb's own module is imported when it runs. The first lines
also run on a Python that is too old, to say so.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the reader's Python may well be older
    sys.exit(
        "error: this is Python {}.{}; the course needs 3.11, 3.12, 3.13 or 3.14 "
        "(install one, then run for example: python3.14 -m helpers lab)".format(
            *sys.version_info[:2]
        )
    )

import argparse
import importlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def parser() -> argparse.ArgumentParser:
    """The whole command line; importing nothing else keeps `--help` instant."""
    top = argparse.ArgumentParser(
        prog="python3 -m helpers",
        description="Train a ChatGPT-style model on your own data: the course's command line.",
        epilog="The first command makes .venv and installs everything into it.",
    )
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)

    lab = verbs.add_parser("lab", help="open JupyterLab on notebook 00, with the server up")
    lab.add_argument("--no-browser", action="store_true", help="print the address only")
    lab.add_argument("--port", type=int, help="port of JupyterLab (default: a free one from 8888)")
    lab.add_argument(
        "--restore", metavar="NN", action="append", default=[], help="begin notebook NN anew"
    )
    lab.add_argument("--ip", default="localhost", help="address to listen on (default: localhost)")
    lab.add_argument("--wheels", type=Path, metavar="DIR", help="install from DIR, no network")

    test = verbs.add_parser("test", help="run every check and test, notebooks included")
    test.add_argument(
        "--fast", action="store_true", help="leave out servers, training and notebooks"
    )
    test.add_argument(
        "--peers", action="store_true", help="only programs of others, each in its environment"
    )
    test.add_argument(
        "--minutes", type=float, metavar="N", help="begin no slow test and no cell after N minutes"
    )
    test.add_argument("--wheels", type=Path, metavar="DIR", help="install from DIR, no network")

    run = verbs.add_parser("run", help="execute every notebook, then write an HTML report")
    run.add_argument("--fresh", action="store_true", help="train everything anew")
    run.add_argument("--update", action="store_true", help="write the outputs into notebooks/")
    run.add_argument("names", nargs="*", help="only these, by the start of their names: 00 02")

    serve = verbs.add_parser("serve", help="run the API server alone, until Ctrl-C")
    serve.add_argument("--port", type=int, help="port (default: a free one)")
    serve.add_argument("--host", default="127.0.0.1", help="address (default: this machine only)")
    serve.add_argument(
        "--limits", default="", metavar="A=N,…", help="of each key, such as jobs=3,tokens=60000"
    )
    serve.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a name of this machine"
    )
    serve.add_argument("--model", metavar="FOLDER", help="answer as a capstone's best method did")

    keys = verbs.add_parser("keys", help="who may use a server that a class shares")
    keys.add_argument("action", choices=("add", "list", "revoke"))
    keys.add_argument("name", nargs="?", metavar="NAME", help="whose key")

    models = verbs.add_parser("models", help="base models: list, add, check and remove them")
    actions = ("list", "add", "check", "remove")
    models.add_argument("action", nargs="?", default="list", choices=actions)
    models.add_argument(
        "name", nargs="?", metavar="PATH_OR_NAME", help="a path, OWNER/NAME, a name"
    )
    models.add_argument("--as", dest="as_name", metavar="NAME", help="with add: what it is called")
    models.add_argument(
        "--revision", metavar="R", help="with add: of the hub; the newest if not set"
    )
    models.add_argument("--yes", action="store_true", help="with add: fetch without asking")

    doctor = verbs.add_parser("doctor", help="say what is installed, who answers, what would fail")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")

    clean = verbs.add_parser("clean", help="remove what runs have left behind in .workbook")
    clean.add_argument("--all", action="store_true", help="remove .venv too")
    clean.add_argument("--yes", action="store_true", help="do not ask")

    bench = verbs.add_parser("bench", help="measure speed and memory on this machine")
    bench.add_argument("names", nargs="*", metavar="NAME", help="only these rows or groups of rows")
    bench.add_argument(
        "--against", metavar="PATH", help="the server beside that of another checkout, in turns"
    )

    export = verbs.add_parser("export", help="write a dataset, or a model, for other programs")
    export.add_argument(
        "dataset", metavar="DATASET.jsonl|JOB", help="a sound file, or an ended job"
    )
    where = export.add_mutually_exclusive_group(required=True)
    where.add_argument("--to", metavar="TARGET", help="the dataset to such as trl, axolotl, azure")
    where.add_argument("--serve", metavar="PROGRAM", help="the model in vllm, llama.cpp, ollama")
    export.add_argument("--name", default="tuned", help="what the model is called there")
    export.add_argument("--out", required=True, metavar="DIR", help="the folder to write")
    export.add_argument("--validation", metavar="FILE", help="a second file, for validation")
    export.add_argument("--job", metavar="FILE", help="train as this job.json of a takeout says")
    export.add_argument("--accept", action="store_true", help="write although meaning is lost")

    takeout = verbs.add_parser("takeout", help="fetch what an account holds, with a manifest")
    takeout.add_argument("--out", required=True, metavar="DIR", help="the folder; it goes on there")

    quiz = verbs.add_parser("quiz", help="the review quiz as a web page")
    quiz.add_argument("--no-browser", action="store_true", help="print the address only")
    quiz.add_argument("--port", type=int, help="port (default: a free one from 8866)")

    wheels = verbs.add_parser("wheels", help="fill a folder for machines without a network")
    wheels.add_argument("folder", type=Path, metavar="DIR", help="where the wheels go")
    wheels.add_argument(
        "--for", dest="systems", action="append", metavar="SYSTEM", help="such as win32-amd64"
    )
    wheels.add_argument(
        "--python", dest="pythons", action="append", metavar="3.N", help="such as 3.12"
    )
    wheels.add_argument("--tests", action="store_true", help="also what `test` needs")

    lock = verbs.add_parser("lock", help="pin anew what .ci/*.in names, for developers")
    lock.add_argument("--upgrade", action="store_true", help="newest releases, then test --fast")

    _add_mine(verbs.add_parser("mine", help="your own table: train on it, compare, report, chat"))

    chat = verbs.add_parser("chat", help="chat with base and tuned models side by side")
    chat.add_argument("folder", nargs="?", help="what `mine` made; without, the course's models")
    chat.add_argument("--text", action="store_true", help="in the terminal, not on a page")
    chat.add_argument("--no-browser", action="store_true", help="print the address only")
    chat.add_argument("--port", type=int, help="port (default: a free one from 8866)")

    progress = verbs.add_parser("progress", help="what you have done; export it, gather a class")
    progress.add_argument("--export", metavar="FILE", help="write a file that can be handed in")
    progress.add_argument("--nickname", metavar="NAME", help="with --export: whose file it is")
    progress.add_argument("--gather", metavar="FOLDER", help="one table of all files there")
    progress.add_argument("--csv", metavar="FILE", help="with --gather: write the table here too")
    progress.add_argument("--reset", action="store_true", help="forget everything")
    progress.add_argument("--undo", action="store_true", help="bring back what --reset forgot")
    progress.add_argument("--yes", action="store_true", help="ask nothing")
    return top


def _add_mine(mine: argparse.ArgumentParser) -> None:
    """The options of `mine`: what is done, and how the table is read."""
    add = mine.add_argument
    add("file", help="CSV, Excel, JSON, JSONL, or an export of a help desk or a chat")
    add("--out", metavar="DIR", help="where everything goes (default: below .workbook/mine)")
    add("--only", choices=("dataset",), help="stop after this step")
    add("--yes", action="store_true", help="ask nothing; what cannot be decided is an error")
    add("--no-chat", action="store_true", help="do not chat at the end")
    add("--base", metavar="MODEL", help="the model to train and to compare with")
    add("--minutes", type=float, metavar="N", help="a budget for everything that is measured")
    add("--epochs", type=int, default=5, metavar="N", help="passes over the examples (default: 5)")
    add("--questions", type=int, default=300, metavar="N", help="held-out answers asked at most")
    add("--judge", metavar="MODEL", help="a model whose verdict is shown too")
    add("--articles", metavar="DIR", help="Markdown files that may be looked up")
    add("--system", metavar="TEXT", help="the system message")
    add("--test", default="0.3", metavar="SHARE|FILE", help="held out: a share, or your own table")
    add("--validation", type=float, metavar="SHARE", help="of the examples, to pick the epoch")
    for name, meaning in (
        ("--column", "a column's meaning, as question=Frage; may come several times"),
        ("--role", "who speaks, as Kunde=user; may come several times"),
    ):
        add(name, action="append", default=[], metavar="A=B", help=meaning)
    add("--encoding", metavar="NAME", help="of the file, as cp1252")
    add("--sheet", metavar="NAME", help="of an Excel file, by name or number from 1")
    add("--no-header", action="store_true", help="the first row is data already")
    add("--date-format", metavar="FORMAT", help="as %%d.%%m.%%Y, where days and months can swap")
    add("--language", metavar="CODE", help="as de; any keeps all of them")
    for name, what, meaning in (
        ("--without", "STEP", "leave out a step of cleaning, by its name"),
        ("--keep", "CONTACT", "an address or number that may stay in texts"),
    ):
        add(name, action="append", default=[], metavar=what, help=meaning)
    add("--redact-own", action="store_true", help="redact the desk's own contacts too")
    add("--majority", action="store_true", help="of contradicting answers keep the most frequent")


# Verbs that work before the environment exists.
BARE = ("doctor", "clean")


def main(arguments: list[str]) -> int:
    """Run one verb and return the exit code."""
    options, rest = parser().parse_known_args(arguments)
    if options.verb == "test":
        options.rest = rest
    elif rest:
        # Once more, strictly: only `test` hands unknown words on, to pytest.
        parser().parse_args(arguments)
    # Imported here: the first lines must run on a Python for which the library is too new.
    from helpers.base.errors import CourseError
    from helpers.cli import bootstrap

    try:
        if options.verb not in BARE:
            extra = "test" if options.verb == "test" else ""
            wheels = getattr(options, "wheels", None)
            python = bootstrap.ensure(ROOT, extra=extra, wheels=wheels)
            # This Python made or found .venv; the verb itself runs in that one.
            if not bootstrap.is_current(ROOT):
                return bootstrap.rerun(python, arguments)
        verb = importlib.import_module(f"helpers.cli.{options.verb}")
        code: int = verb.run(ROOT, options)
    except CourseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
