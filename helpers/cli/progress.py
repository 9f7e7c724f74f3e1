"""`progress`: the course map in the terminal; hand in, gather a class, or start anew.

A workshop leader puts the exported files into one folder: `progress --gather FOLDER`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from helpers.base.errors import CourseError
from helpers.course import progress


def run(root: Path, options: argparse.Namespace) -> int:
    """Show the map, or do what one of the options says."""
    if options.gather:
        return _gather(Path(options.gather), options.csv)
    if options.export:
        target = Path(options.export)
        target = target / "my-progress.json" if target.is_dir() else target
        print(f"written: {progress.export(target)}")
    elif options.reset:
        if not options.yes and input("Forget all progress? [y/N] ").strip().lower() != "y":
            print("nothing was forgotten")
            return 1
        progress.reset()
        print("forgotten; models and results are still there")
    else:
        from helpers.widgets import course_map

        print(course_map.text())
    return 0


def _gather(folder: Path, csv: str | None) -> int:
    files = sorted(folder.glob("*.json"))
    if not files:
        raise CourseError(f"no .json file in {folder}", fix="put the exported files there")
    table = progress.gather(files)
    print(table.to_string(index=False, na_rep=""))
    if csv:
        table.to_csv(csv, index=False)
        print(f"written: {csv}")
    return 0
