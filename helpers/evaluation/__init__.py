"""Ask a model the test questions, score the answers, and say how sure the result is.

    answers = ask(client, model, samples)
    report = grade(answers, samples, {"recall": scorers.key_fact_recall})
    compare(before.column("recall"), report.column("recall"))

Not for: finding notes for a prompt, see `helpers.rag`.
"""

from helpers.base.facade import offer

__all__ = [
    "as_table",
    "ask",
    "compare",
    "comparison_table",
    "file_sha256",
    "grade",
    "grade_prompts",
    "interval",
    "judge",
    "kind_intervals",
    "leaderboard",
    "load_result",
    "load_samples",
    "save_result",
    "score_table",
    "scorers",
    "subsample",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "as_table": "tables:as_table",
        "ask": "grading:ask",
        "compare": "statistics:compare",
        "comparison_table": "tables:comparison_table",
        "file_sha256": "results:file_sha256",
        "grade": "grading:grade",
        "grade_prompts": "grading:grade_prompts",
        "interval": "statistics:interval",
        "judge": "judge",
        "kind_intervals": "tables:kind_intervals",
        "leaderboard": "leaderboard",
        "load_result": "results:load_result",
        "load_samples": "grading:load_samples",
        "save_result": "results:save_result",
        "score_table": "tables:score_table",
        "scorers": "scorers",
        "subsample": "grading:subsample",
    },
)
