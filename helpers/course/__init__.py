"""The course itself: its chapters, quiz questions, exercises, and what a learner has done.

    exercise("02-mask").check(answer)
    chapters.CHAPTERS["02"].title
    progress.read().questions

Not for: drawing any of it, see `helpers.widgets`.
"""

from helpers.base.facade import offer

__all__ = [
    "CourseError",
    "chapters",
    "exercise",
    "progress",
    "scores_by_topic",
    "state_folder",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "CourseError": "helpers.base.errors:CourseError",
        "chapters": "chapters",
        "exercise": "exercises.core:exercise",
        "progress": "progress",
        "scores_by_topic": "quiz.scores:recorded",
        "state_folder": "helpers.base.settings:state_folder",
    },
)
