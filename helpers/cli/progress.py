"""`progress`: the course map in the terminal; hand in, gather a class, or start anew.

A workshop leader puts the exported files into one folder: `progress --gather FOLDER`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from helpers.base.errors import CourseError
from helpers.cli import class_report
from helpers.course import progress


def run(root: Path, options: argparse.Namespace) -> int:
    """Show the map, or do what one of the options says."""
    if options.gather:
        return _gather(Path(options.gather), options.csv)
    if options.export:
        _ask_nickname(options)
        target = Path(options.export)
        if target.is_dir():
            target = target / progress.file_name(progress.read().nickname)
        print(f"written: {progress.export(target)}")
    elif options.undo:
        if not progress.undo_reset():
            raise CourseError("there is nothing to bring back", fix="--undo follows a --reset")
        print("your progress is back")
    elif options.reset:
        if not options.yes and input("Forget all progress? [y/N] ").strip().lower() != "y":
            print("nothing was forgotten")
            return 1
        progress.reset()
        print("forgotten; models and results are still there, and --undo brings it back")
    else:
        from helpers.widgets import course_map

        print(course_map.text())
    return 0


def _ask_nickname(options: argparse.Namespace) -> None:
    """Once: a file that is handed in should say whose it is."""
    if options.nickname is not None:
        progress.call_me(options.nickname)
    elif not progress.read().nickname and sys.stdin.isatty() and not options.yes:
        progress.call_me(input("A nickname, for the file you hand in (may be empty): "))


def _gather(folder: Path, csv: str | None) -> int:
    files = sorted(folder.glob("*.json"))
    if not files:
        raise CourseError(f"no .json file in {folder}", fix="put the exported files there")
    table = progress.gather(files)
    print(table.to_string(index=False, na_rep=""))
    if csv:
        table.to_csv(csv, index=False)
        print(f"written: {csv}")
    if told := class_report.text(class_report.readable(files)):
        print(f"\n{told}")
    return 0
