"""For each exercise: mistakes that somebody may well make, and words that fit them."""

from __future__ import annotations

import re
from typing import Any

from helpers.course.exercises import contests
from helpers.finetuning.jobs import Hyperparameters


def no_change(text, *_):
    return text


def nothing(*_):
    return []


def broken(*_):
    raise KeyError("oops")


def no_return(*_):
    """Forgets to return."""


def leaves(*_):
    raise SystemExit


def best_first(scores, k):
    return sorted(range(len(scores)), key=lambda i: -scores[i])[:k]


def better(before, after):
    return [q for q in before if after[q] > before[q]]


def say(role, content="Hi"):
    return {"role": role, "content": content}


EXAMPLE = {"messages": [say("system"), say("user"), say("assistant", "On the 1st.")]}


TWICE = {"messages": [say("user"), say("user"), say("assistant", "On the 6th; you have 14 days.")]}


OPEN_END = {"messages": [say("system"), say("user")]}


# For each exercise: a mistake that somebody may well make, and words that fit it.
MISTAKES: dict[str, list[tuple[Any, str]]] = {
    "00-messages": [
        ("Hello", "a list of messages"),
        (say("user"), "a list of messages"),
        ([say("user"), say("system")], "the system message comes first"),
        ([say("user")], "wanted are system and user"),
        ([say("system"), say("user", " ")], "content that is not empty"),
    ],
    "00-order": [
        (["job", "upload", "model", "chat"], "the upload comes first"),
        (["upload", "model", "job", "chat"], "out of the job"),
        (["upload", "job", "chat", "model"], "the chat comes last"),
        (["upload", "job"], "once, in a list"),
        ("upload, job, model, chat", "a list of the four words"),
    ],
    "00-epochs": [
        (9, "one epoch"),
        (5, "one example"),
        (14, "multiplied"),
        ("45", "without quotes"),
        (40, "Multiply the examples"),
    ],
    "01-example": [
        ({"prompt": "When?"}, "the older form"),
        (EXAMPLE["messages"], "a dict with the key messages"),
        ({"message": []}, "needs the key messages"),
        (EXAMPLE, "both facts"),
        (TWICE, "user, assistant, with a system first or not"),
        (OPEN_END, "assistant"),
        ("a line", "a dict"),
    ],
    "01-redact": [
        ("[order]", "Assign a function"),
        (no_change, "wanted is 'Where is [order]?'"),
        (broken, "it raises KeyError"),
        (no_return, "end with return"),
        (lambda text: re.sub(r"LW\w+", "[order]", text), "wanted is 'Plan LWX is new'"),
        (lambda text: re.sub(r"LW\d{8}", "[order]", text, count=1), "LW00000001 and"),
    ],
    "01-price": [
        (0.775, "one epoch"),
        (31_000 * 3 * 25, "divide by 1,000,000"),
        (93_000, "the trained tokens"),
        ("$2.33", "without quotes"),
    ],
    "02-mask": [
        ([True, True, True], "nobody needs to learn to predict it"),
        ([False, True, True], "nobody needs to learn to predict it"),
        ([False, False, False], "must learn to say"),
        ("the last", "a list of three"),
        (["False", "False", "True"], "without quotes"),
    ],
    "02-lora": [
        (576 * 1536, "the full matrix"),
        (8 * 576 * 1536, "thin"),
        (8 * 576, "A alone"),
        (576 + 1536, "rank 1"),
    ],
    "02-steps": [
        (48, "one epoch"),
        (142, "round up"),
        (141, "round up"),
        (378 * 3, "a whole batch"),
        ("many", "without quotes"),
    ],
    "03-recall": [
        (0, "12 seconds stands"),
        (1, "does not say amber"),
        (50, "not in percent"),
        (2, "divide"),
    ],
    "03-scorer": [
        (1.0, "Assign a function"),
        (no_change, "wanted is a Score"),
        (broken, "it raises KeyError"),
        (no_return, "end with return"),
    ],
    "03-paired": [
        ("intervals", "may overlap"),
        ("both", "none of the words"),
        (1, "one of these words"),
    ],
    "04-next": [
        ("epochs", "the same phrasings"),
        ("larger", "costs more"),
        ("prompt", "known already"),
        ("rest", "none of the words"),
    ],
    "04-guard": [
        (["b"], "Assign a function"),
        (nothing, r"worse became \['b'\]"),
        (better, "worse became"),
        (broken, "it raises KeyError"),
        (no_return, "end with return"),
    ],
    "04-curve": [
        (True, "the curve is flat"),
        ("False", "without quotes"),
        (0.9, "True or False"),
    ],
    "05-cost": [
        (600_000, "there are four"),
        (240, "10,000 in a month"),
        (2.4, "not in millions"),
        ("2.4 million", "without quotes"),
    ],
    "05-choose": [
        ([2, 1], "Assign a function"),
        (best_first, "must stand last"),
        (lambda scores, k: sorted(scores)[-k:], "wanted are the places"),
        (broken, "it raises KeyError"),
        (leaves, "it raises SystemExit"),
    ],
    "05-window": [
        (102, "Keep room"),
        (99.9, "round down"),
        (100, "round down"),
        ("99", "without quotes"),
    ],
    "06-recall": [
        (0, "among the first three"),
        (1, "fourth place"),
        (1 / 3, "precision"),
        (2 / 3, "Only one"),
    ],
    "06-rrf": [
        (1 / 61, "both count"),
        (1 + 1 / 3, "The constant 60"),
        (1 / 60 + 1 / 62, "count from 1"),
        ("first", "without quotes"),
    ],
    "06-diagnose": [
        ("generation", "never saw"),
        ("chunking", "none of the words"),
        (3, "one of these words"),
    ],
    "07-breakeven": [
        (0, "far less than a cent"),
        (0.04, "a million tokens"),
        (20_000_000, "one question saves 200"),
        (100, "what one question saves"),
        ("soon", "without quotes"),
    ],
    "07-method": [
        ("tuned", "few to train on"),
        ("few-shot", "in none of them"),
        ("bigger model", "none of the words"),
        (1, "one of these words"),
    ],
    "07-export": [
        ("gguf", "llama.cpp's form"),
        ("adapter.gguf", "llama.cpp's form"),
        ("key", "none of the words"),
        (2, "one of these words"),
    ],
    "01-inspect": [
        (True, "Assign a function"),
        (broken, "it raises KeyError"),
        (no_return, "end with return"),
        (lambda message, reply: "bad", "wanted is True or False"),
        (lambda message, reply: False, "0.500 of the rows"),
    ],
    "02-settings": [
        (0.3, "wanted is Hyperparameters"),
        (Hyperparameters(), "whole numbers"),
        (Hyperparameters(10, 4), "120 steps"),
        (Hyperparameters(2, 4, beta=0.1), "belongs to preferences"),
    ],
    "03-agree": [
        (True, "Assign a function"),
        (broken, "it raises KeyError"),
        (lambda reference, output: 0.7, "wanted is True or False"),
        (lambda reference, output: True, "Come above 0.8"),
    ],
    "04-keys": [
        ({"a"}, "Assign a function"),
        (no_change, "wanted is a set"),
        (broken, "it raises KeyError"),
        (contests.words, "Come above 0.39"),
    ],
    "05-show": [
        ([0, 1], "Assign a function"),
        (lambda question, known: known[:2], "wanted are places"),
        (lambda question, known: [0, 1, 2], "at most 2"),
        (lambda question, known: [0, 1], "Come above 0.36"),
    ],
    "06-note": [
        ("a note", "Assign a function"),
        (no_change, "a note may have 60"),
        (lambda text: text.split(), "wanted is a text"),
        (lambda text: text[:50], "Come above 0.49"),
    ],
    "07-bill": [
        ("tuned", "Assign a function"),
        (lambda questions, updates: "retrieval", "wanted is one of"),
        (lambda questions, updates: "tuned", "Come above 0.75"),
        (broken, "it raises"),
    ],
    "10-rows": [
        (66, "not of all that were read"),
        (0.3, "the share"),
        (140, "not held out"),
        ("60", "without quotes"),
    ],
    "10-decided": [
        ("yes", "holds 0"),
        ("tuned", "not decided"),
        ("maybe", "none of the words"),
        (0.31, "one of these words"),
    ],
    "10-leak": [
        ([], "Assign a function"),
        (lambda learnt, held: [one for one in held if one in learnt], "ARE YOU OPEN"),
        (lambda learnt, held: held, "Is there parking"),
        (no_return, "end with return"),
    ],
}
