"""Tables whose answers are labels: the right one, macro-F1, and classifiers to beat."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from helpers.capstone import experiment, takeaway, training
from helpers.capstone.baselines import Linear, most_frequent, neighbours
from helpers.capstone.scoring import OTHER, choose, confusion, fact_scorer, macro_f1, right_label
from helpers.evaluation.scorers import Sample
from tests.capstone.fake import connection


def sample(target, kind="with facts"):
    return Sample("a", "", target, kind)


def test_a_label_counts_apart_from_case_and_full_stop():
    assert right_label("Refund.", sample("refund")).value == 1
    assert right_label("refund please", sample("refund")).value == 0


@pytest.mark.parametrize(("one", "other"), [("-1", "1"), ("C++", "C#"), ("+", "-"), ("*", "**")])
def test_labels_that_differ_by_a_sign_alone_are_two(one, other):
    assert right_label(one, sample(one)).value == 1
    assert right_label(one, sample(other)).value == 0


def test_macro_f1_is_scikit_learns_over_the_labels_that_occur():
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(0)
    targets = [str(x) for x in rng.integers(0, 4, 200)]
    outputs = [t if rng.random() < 0.7 else str(rng.integers(0, 5)) for t in targets]
    found = macro_f1(targets, outputs)
    names = sorted(set(targets))
    assert found.mean == pytest.approx(f1_score(targets, outputs, labels=names, average="macro"))
    assert found.low < found.mean < found.high


def test_confusions_count_right_against_given_labels():
    found = confusion(["a", "a", "b"], ["A.", "b", "something"], ["a", "b"])
    assert found == {("a", "a"): 1, ("a", "b"): 1, ("b", OTHER): 1}


def vectors(labels):
    rng = np.random.default_rng(1)
    centres = {label: rng.normal(size=16) for label in sorted(set(labels))}
    made = np.array([centres[label] + rng.normal(0, 0.2, 16) for label in labels])
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.mark.parametrize("names", ["ab", "abc", "a"])
def test_both_classifiers_learn_labels_that_lie_apart(names, tmp_path):
    labels = list(names) * 12
    known = vectors(labels)
    linear = Linear.fit(known, labels)
    assert linear(known) == labels
    assert neighbours(known, labels, known) == labels
    linear.save(tmp_path)
    assert Linear.load(tmp_path)(known) == labels


@pytest.mark.parametrize("names", ["ab", "abcd"])
def test_both_classifiers_say_what_scikit_learns_say_where_labels_overlap(names):
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    rng = np.random.default_rng(3)
    labels = [names[i] for i in rng.integers(0, len(names), 120)]
    known = vectors(labels) + rng.normal(0, 0.25, (120, 16))
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    asked = rng.normal(size=(200, 16))
    theirs = LogisticRegression(C=10, tol=1e-8, max_iter=1000).fit(known, labels)
    assert Linear.fit(known, labels)(asked) == list(theirs.predict(asked))
    nearest = KNeighborsClassifier(5, metric="cosine", weights="distance").fit(known, labels)
    assert neighbours(known, labels, asked) == list(nearest.predict(asked))


def test_fewer_rows_than_neighbours_vote_all_the_same():
    assert neighbours(np.eye(2), ["a", "b"], np.eye(2)) == ["a", "b"]


def test_the_most_frequent_answer_is_the_first_of_equal_ones():
    assert most_frequent(["b", "a", "a", "b"]) == "b"


@pytest.fixture
def proved(tmp_path, monkeypatch):
    """A proof on labels with an endpoint that can be told what an answer may be."""
    monkeypatch.setattr(takeaway, "_weights", lambda *_: None)
    monkeypatch.setattr(training, "measure", lambda *_, **__: None)
    rows = [f"my {thing} number {n} is gone,{what}" for n in range(20) for thing, what in KINDS]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["question,answer", *rows]) + "\n", encoding="utf-8")
    made: list[dict[str, Any]] = []
    course = connection()
    create = course.client.fine_tuning.jobs.create
    course.client.fine_tuning.jobs.create = lambda **given: made.append(given) or create(**given)  # type: ignore[method-assign]

    def prove(backend):
        told = replace(course, backend=backend)
        done = experiment.run(told, path, tmp_path / "out", language="any")
        return done, made[-1], course.client.asked  # type: ignore[attr-defined]

    return prove


KINDS = (("parcel", "delivery"), ("refund", "billing"), ("password", "account"))


def test_a_model_may_answer_with_labels_alone_and_learns_nothing_beside_them(proved):
    done, job, asked = proved("embedded")
    labels = ["account", "billing", "delivery"]
    assert done.labels == tuple(labels)
    told = [request["extra_body"]["structured_outputs"]["choice"] for request in asked]
    assert told == [labels] * len(told)
    assert job["method"]["supervised"]["hyperparameters"]["prompt_loss_weight"] == 0.0
    assert any("nothing but one of the 3 labels" in note for note in done.notes)


def test_an_endpoint_that_may_not_know_these_parameters_is_sent_neither(proved):
    _, job, asked = proved("other")
    assert not [request for request in asked if "extra_body" in request]
    assert "prompt_loss_weight" not in job["method"]["supervised"]["hyperparameters"]


def test_the_table_decides_what_carries_the_verdict():
    facts = [sample(f"{days} days") for days in range(4, 9)]
    free = [sample("fine", "without facts")] * 5
    assert choose(facts, labels=("a", "b")) == "accuracy"
    assert choose([*facts, *free], labels=()) == "facts"
    assert choose([*facts[:1], *free], labels=()) == "likeness"
    assert choose(free, labels=(), judged=True) == "judge"


def test_numbers_that_every_right_answer_states_are_no_facts():
    # The desk's number stands below each answer; how many days it takes does in the first alone.
    every = [sample(f"Look for the {name}. Call 0800 1234567.") for name in "abcdefghi"]
    first = sample("It takes 4 days. Call 0800 1234567.")
    assert choose(every, labels=()) == "likeness"
    assert choose([*every, first], labels=()) == "likeness"
    recall = fact_scorer([*every, first])
    assert recall("Call 0800 1234567.", every[0]).value is None
    assert recall("Call 0800 1234567.", first).value == 0
    assert recall("In 4 days.", first).value == 1
    # What most answers begin with decides nothing away, and few answers tell nothing.
    assert choose([*[sample("Yes, always.")] * 9, sample("No, never.")], labels=()) == "facts"
    assert choose(every[:4], labels=()) == "facts"
