"""What a reader looks at and clicks: thin views over logic that stands in lower packages.

    monitor = watch(client, job.id)
    quiz.check_yourself("02")
    plots.loss_curves(ax, steps)

Not for: what a view shows is decided in `helpers.course`, `helpers.costs` and so on.
"""

from helpers.base.facade import offer

__all__ = [
    "chat",
    "cost_explorer",
    "course_map",
    "plots",
    "quiz",
    "sortable",
    "watch",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "chat": "chat",
        "cost_explorer": "cost_explorer",
        "course_map": "course_map",
        "plots": "plots",
        "quiz": "quiz",
        "sortable": "table:sortable",
        "watch": "monitor:watch",
    },
)
