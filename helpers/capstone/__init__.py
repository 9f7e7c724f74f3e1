"""Your own table through every method of the course, with a report.

    data = read_table("my_table.csv", "out/dataset", TableOptions(), test=0.3)
    done = run(connect(), "my_table.csv", "out", system="You answer customers.")
    done.table()
    verdict(done)
    advice(done)
    voices(connect(), "out")

Not for: a decision on few questions; the report says how many it would take.
"""

from helpers.base.facade import offer

__all__ = [
    "TableOptions",
    "advice",
    "prove",
    "read_table",
    "run",
    "verdict",
    "voices",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "TableOptions": "table:TableOptions",
        "advice": "conclusion:advice",
        "prove": "experiment:prove",
        "read_table": "table:read_table",
        "run": "experiment:run",
        "verdict": "conclusion:verdict",
        "voices": "voices:voices",
    },
)
