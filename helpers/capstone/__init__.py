"""Your own table through every method of the course, with a report.

    done = run(connect(), "my_table.csv", "out", system="You answer customers.")
    done.table()
    verdict(done)
    advice(done)

Not for: a decision on few questions; the report says how many it would take.
"""

from helpers.base.facade import offer

__all__ = [
    "advice",
    "run",
    "verdict",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "advice": "ranking:advice",
        "run": "experiment:run",
        "verdict": "ranking:verdict",
    },
)
