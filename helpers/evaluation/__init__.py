"""Ask a model the test questions, score the answers, and say how sure the result is.

    answers = ask(client, model, samples)
    report = grade(answers, samples, {"recall": scorers.key_fact_recall})
    compare(before.column("recall"), report.column("recall"))

Not for: finding notes for a prompt, see `helpers.rag`.
"""

from helpers.base.facade import offer

__all__ = [
    "ask",
    "compare",
    "file_sha256",
    "grade",
    "interval",
    "judge",
    "leaderboard",
    "load_result",
    "load_samples",
    "save_result",
    "scorers",
    "subsample",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "ask": "grading:ask",
        "compare": "statistics:compare",
        "file_sha256": "results:file_sha256",
        "grade": "grading:grade",
        "interval": "statistics:interval",
        "judge": "judge",
        "leaderboard": "leaderboard",
        "load_result": "results:load_result",
        "load_samples": "grading:load_samples",
        "save_result": "results:save_result",
        "scorers": "scorers",
        "subsample": "grading:subsample",
    },
)
