"""From a messy export to a dataset one would bet on, and on to any trainer: read to export.

    prepared = prepare("tickets.csv", "dataset", system="You answer customers.")
    report = validate_file("dataset/train.jsonl")
    convert_file("old.jsonl", "new.jsonl", to="chat")
    export("new.jsonl", "for_trl", target="trl")

Not for: drawing (`helpers.widgets`) and prices (`helpers.costs`).
"""

from helpers.base.facade import offer

__all__ = [
    "OpenAICounter",
    "check_portability",
    "choose_columns",
    "clean",
    "convert_file",
    "dedup",
    "export",
    "facts",
    "jsonl",
    "leakage",
    "local_tokenizer",
    "manifest",
    "prepare",
    "redact",
    "split",
    "stats",
    "steps",
    "validate_file",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "OpenAICounter": "token_counts:OpenAICounter",
        "check_portability": "exporting.portability:check_portability",
        "choose_columns": "reading.columns:choose",
        "clean": "cleaning.run:run",
        "convert_file": "conversion:convert_file",
        "dedup": "dedup",
        "export": "exporting.export:export",
        "facts": "checkable_facts:facts",
        "jsonl": "helpers.base.jsonl",
        "leakage": "validation.cross_checks:leakage",
        "local_tokenizer": "helpers.base.tokens:local_tokenizer",
        "manifest": "manifest",
        "prepare": "pipeline:prepare",
        "redact": "personal_data:redact",
        "split": "splitting:split",
        "stats": "stats",
        "steps": "cleaning.steps",
        "validate_file": "validation.file:validate_file",
    },
)
