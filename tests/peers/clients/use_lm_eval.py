"""EleutherAI's evaluation harness: multiple choice by log-probabilities, perplexity, chat."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from checks import MODEL, URL, check

FOLDER = Path(tempfile.mkdtemp())
CHOICES = [
    ("The capital of France is", ["Paris", "seven"]),
    ("Two and two is", ["four", "Paris"]),
    ("The sun rises in the", ["east", "button"]),
    ("Fish live in the", ["water", "Monday"]),
]
(FOLDER / "choice.jsonl").write_text(
    "\n".join(json.dumps({"q": q, "choices": c, "gold": 0}) for q, c in CHOICES)
)
(FOLDER / "text.jsonl").write_text(json.dumps({"text": "The sun rises in the east every day."}))
COMMON = "dataset_path: json\ntest_split: test\n"
(FOLDER / "choice.yaml").write_text(
    f"task: choice\n{COMMON}dataset_kwargs:\n  data_files:\n    test: {FOLDER}/choice.jsonl\n"
    'output_type: multiple_choice\ndoc_to_text: "{{q}}"\ndoc_to_choice: "{{choices}}"\n'
    "doc_to_target: gold\nmetric_list:\n  - metric: acc\n"
)
(FOLDER / "text.yaml").write_text(
    f"task: text\n{COMMON}dataset_kwargs:\n  data_files:\n    test: {FOLDER}/text.jsonl\n"
    'output_type: loglikelihood_rolling\ndoc_to_text: ""\ndoc_to_target: "{{text}}"\n'
    "metric_list:\n  - metric: word_perplexity\n"
)
(FOLDER / "free.yaml").write_text(
    f"task: free\n{COMMON}dataset_kwargs:\n  data_files:\n    test: {FOLDER}/choice.jsonl\n"
    'output_type: generate_until\ndoc_to_text: "{{q}}"\ndoc_to_target: "{{choices[0]}}"\n'
    "generation_kwargs:\n  max_gen_toks: 8\n  until: ['\\n']\n"
    "metric_list:\n  - metric: exact_match\n"
)


TOKENS = f"tokenizer={os.environ['TOKENIZER']}"
"""By default, prompts are sent as token ids."""
TEXTS = f"{TOKENS},tokenized_requests=False"
NO_TOKENIZER = "tokenizer_backend=none"


def run(task, prompts, kind="local-completions", url="completions", *more):
    out = Path(tempfile.mkdtemp())
    arguments = f"model={MODEL},base_url={URL}/{url},num_concurrent=1,{prompts}"
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", "--model", kind, "--model_args", arguments,
         "--tasks", task, "--include_path", str(FOLDER), "--output_path", str(out), *more],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-300:]
    (result,) = out.rglob("results_*.json")
    return json.loads(result.read_text())["results"][task]


@check
def multiple_choice():
    assert run("choice", TOKENS)["acc,none"] >= 0.75


@check
def multiple_choice_of_texts():
    assert run("choice", TEXTS)["acc,none"] >= 0.75


@check
def perplexity():
    assert 2 < run("text", TOKENS)["word_perplexity,none"] < 10_000


@check
def generate():
    run("free", TOKENS)


@check
def generate_from_texts():
    run("free", NO_TOKENIZER)


@check
def generate_by_chat():
    chat = ("local-chat-completions", "chat/completions", "--apply_chat_template")
    run("free", NO_TOKENIZER, *chat)
