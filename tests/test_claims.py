"""What the notebooks claim, checked against the results that their own run stored."""

import json
from pathlib import Path

import numpy as np
import pytest

from helpers import settings
from helpers.evaluation import stored

pytestmark = pytest.mark.slow

DATA = Path(__file__).resolve().parent.parent / "data" / "support"


def recall(name):
    results = settings.load().state / "results"
    if not results.is_dir():
        pytest.skip("no stored results: run the notebooks first")
    return float(np.mean(stored(results, name).report.column("key_fact_recall", kind="paraphrase")))


def test_the_base_model_knows_none_of_the_providers_facts():
    assert recall("02-base") <= 0.05


def test_the_tuned_model_answers_most_unseen_paraphrases():
    assert recall("02-tuned") >= 0.5


def test_no_test_question_stands_in_the_training_file():
    def questions(name):
        lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        return {json.loads(line)["messages"][1]["content"].lower() for line in lines}

    assert not questions("test") & (questions("train") | questions("validation"))
