"""The course itself: its chapters, quiz questions, exercises, and what a learner has done.

    exercise("02-mask").check(answer)
    chapters.CHAPTERS["02"].title
    progress.read().questions

Not for: drawing any of it, see `helpers.widgets`.
"""

from helpers.base.facade import offer

__all__ = [
    "chapters",
    "exercise",
    "progress",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "chapters": "chapters",
        "exercise": "exercises.core:exercise",
        "progress": "progress",
    },
)
