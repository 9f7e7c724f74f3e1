"""Your own table through every method of the course, with a report.

    done = run(connect(), "my_table.csv", "out", system="You answer customers.")
    done.table()
    verdict(done)

Not for: a decision on few questions; the intervals say how little eight answers tell.
"""

from helpers.base.facade import offer

__all__ = [
    "run",
    "verdict",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "run": "methods:run",
        "verdict": "html_report:verdict",
    },
)
