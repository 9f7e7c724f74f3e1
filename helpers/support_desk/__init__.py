"""All that belongs to the fictional provider of the course: tickets, questions, lessons.

    tickets.build(tickets.load("data/support"))
    labelled_questions.asked_in(table, articles)
    desk.SYSTEM

Not for: your own table, see `helpers.datasets`.
"""

from helpers.base.facade import offer

__all__ = [
    "desk",
    "labelled_questions",
    "rag_examples",
    "tickets",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "desk": "desk",
        "labelled_questions": "labelled_questions",
        "rag_examples": "rag_examples",
        "tickets": "tickets",
    },
)
