"""What a job and a month of answers cost, and which method to take.

    known = catalog.load()
    monthly.bills(known, workload, here)
    advisor.recommend(advisor.Case(facts="changing", documents=True))

Not for: the price of one job before its upload, see `helpers.finetuning.job_plan`.
"""

from helpers.base.facade import offer

__all__ = [
    "advisor",
    "catalog",
    "monthly",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "advisor": "advisor",
        "catalog": "catalog",
        "monthly": "monthly",
    },
)
