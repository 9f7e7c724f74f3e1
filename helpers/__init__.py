"""The small library behind the course's notebooks.

Eleven packages that a notebook imports, each with a few verbs:

    connection    connect to a server that speaks OpenAI's API; ours starts by itself
    datasets      read, clean, split, validate, convert; `datasets.jsonl` reads and writes JSONL
    costs         dated prices, monthly bills, which method to take
    finetuning    plan, start, follow and export a job
    evaluation    ask, grade, compare, keep results
    rag           build an index, search, answer from what was found
    course        chapters, exercises, a learner's progress; `course.state_folder("name")` is
                  where a notebook keeps what it makes, `course.CourseError` what a caller catches
    support_desk  all that belongs to the course's fictional provider
    widgets       what a reader looks at and clicks
    capstone      your own table through every method
    legacy        old releases of the openai package

Below them stands `base` (values and files), behind them `backend` (the server), above them
`cli` (the verbs of `python3 -m helpers`) and `bench`. Importing any loads nothing heavy;
in a notebook, a cell that fails says from then on in a line what to do, and tables show
their texts whole.
"""

import sys

__version__ = "0.1.0"

if "ipykernel" in sys.modules:
    from helpers.base import notebook_errors, notebook_tables

    notebook_errors.install()
    notebook_tables.install()
