"""The command line: `python3 -m helpers VERB`.

Standard library only; each verb's own module is imported when it runs. The first lines
also run on a Python that is too old, to say so.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the reader's Python may well be older
    sys.exit(
        "error: this is Python {}.{}; the course needs 3.11, 3.12 or 3.13 "
        "(install one, then run for example: python3.13 -m helpers lab)".format(
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
    lab.add_argument("--ip", default="localhost", help="address to listen on (default: localhost)")

    test = verbs.add_parser("test", help="run every check and test, notebooks included")
    test.add_argument(
        "--fast", action="store_true", help="leave out servers, training and notebooks"
    )
    test.add_argument(
        "--peers", action="store_true", help="only programs of others, each in its environment"
    )

    run = verbs.add_parser("run", help="execute every notebook, then write an HTML report")
    run.add_argument("--fresh", action="store_true", help="train everything anew")
    run.add_argument("--update", action="store_true", help="write the outputs into notebooks/")
    run.add_argument("names", nargs="*", help="only these, by the start of their names: 00 02")

    serve = verbs.add_parser("serve", help="run the API server alone, until Ctrl-C")
    serve.add_argument("--port", type=int, help="port (default: a free one)")
    serve.add_argument("--host", default="127.0.0.1", help="address (default: this machine only)")
    serve.add_argument("--model", metavar="FOLDER", help="answer as a capstone's best method did")

    doctor = verbs.add_parser("doctor", help="say what is installed, who answers, what would fail")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")

    clean = verbs.add_parser("clean", help="remove what runs have left behind in .workbook")
    clean.add_argument("--all", action="store_true", help="remove .venv too")
    clean.add_argument("--yes", action="store_true", help="do not ask")

    bench = verbs.add_parser("bench", help="measure speed and memory on this machine")
    bench.add_argument("names", nargs="*", metavar="NAME", help="only these rows or groups of rows")

    quiz = verbs.add_parser("quiz", help="the review quiz as a web page")
    quiz.add_argument("--no-browser", action="store_true", help="print the address only")
    quiz.add_argument("--port", type=int, help="port (default: a free one from 8866)")

    progress = verbs.add_parser("progress", help="what you have done; export it, gather a class")
    progress.add_argument("--export", metavar="FILE", help="write a file that can be handed in")
    progress.add_argument("--gather", metavar="FOLDER", help="one table of all files there")
    progress.add_argument("--csv", metavar="FILE", help="with --gather: write the table here too")
    progress.add_argument("--reset", action="store_true", help="forget everything")
    progress.add_argument("--yes", action="store_true", help="with --reset: do not ask")
    return top


# Verbs that work before the environment exists.
BARE = ("doctor", "clean")


def main(arguments: list[str]) -> int:
    """Run one verb and return the exit code."""
    options, rest = parser().parse_known_args(arguments)
    if options.verb == "test":
        options.rest = rest
    elif rest:
        parser().parse_args(arguments)
    from helpers.base.errors import CourseError
    from helpers.cli import bootstrap

    try:
        if options.verb not in BARE:
            python = bootstrap.ensure(ROOT)
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
