"""Fine-tuning jobs on any server that speaks OpenAI's API, from price to export.

    run = fine_tune(client, model=base, training="train.jsonl", validation="valid.jsonl")
    job = wait(client, run.job.id)
    export(job, "out", name="support")

Not for: training itself, see `helpers.backend`.
"""

from helpers.base.facade import offer

__all__ = [
    "Hyperparameters",
    "approve",
    "chat_example",
    "client_address",
    "export",
    "fine_tune",
    "make_plan",
    "measured_rate",
    "result_tables",
    "wait",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "Hyperparameters": "jobs:Hyperparameters",
        "approve": "job_plan:approve",
        "chat_example": "helpers.backend.training.examples:chat_example",
        "client_address": "exporting:client_address",
        "export": "exporting:export",
        "fine_tune": "jobs:fine_tune",
        "make_plan": "job_plan:make_plan",
        "measured_rate": "job_plan:measured_rate",
        "result_tables": "jobs:result_tables",
        "wait": "jobs:wait",
    },
)
