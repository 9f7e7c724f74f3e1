"""All that belongs to the fictional provider of the course: tickets, questions, lessons.

    tickets.build(tickets.load("data/support"))
    labelled_questions.asked_in(table, articles)
    desk.SYSTEM

Not for: your own table, see `helpers.datasets`.
"""

from helpers.base.facade import offer

__all__ = [
    "DECLINE",
    "KEEP",
    "SYSTEM",
    "continue_v1",
    "desk",
    "desk_scorers",
    "labelled_questions",
    "rag_examples",
    "tickets",
    "train",
    "train_v1",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "DECLINE": "desk:DECLINE",
        "KEEP": "desk:KEEP",
        "SYSTEM": "desk:SYSTEM",
        "continue_v1": "recipes:continue_v1",
        "desk": "desk",
        "desk_scorers": "desk_scorers",
        "labelled_questions": "labelled_questions",
        "rag_examples": "rag_examples",
        "tickets": "tickets",
        "train": "recipes:train",
        "train_v1": "recipes:train_v1",
    },
)
