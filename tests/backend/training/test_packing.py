"""A batch as one row without padding."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers.backend.training.examples import Example
from helpers.backend.training.packing import pack, shared_prefix, split_by_rows
from tests.backend.training.tiny import random_examples


def example(ids: str, first_target: int) -> Example:
    return Example(1, tuple(ord(c) for c in ids), tuple(i >= first_target for i in range(len(ids))))


def test_the_shared_tokens_stand_once_and_nothing_is_padded() -> None:
    batch = pack([example("SYSabc", 5), example("SYSde", 4)])
    assert "".join(map(chr, batch.ids)) == "SYSabcde"
    assert batch.positions.tolist() == [0, 1, 2, 3, 4, 5, 3, 4]
    assert batch.prefix == 3


def test_each_target_is_predicted_by_the_token_before_it_and_has_its_owner() -> None:
    batch = pack([example("SYSabc", 5), example("SYSde", 4)])
    assert [chr(batch.ids[row]) for row in batch.predict] == ["b", "d"]
    assert "".join(map(chr, batch.labels)) == "ce"
    assert batch.owner.tolist() == [0, 1]


def test_as_many_targets_are_counted_as_are_predicted_where_the_first_token_is_one() -> None:
    first = example("abc", 0)
    asked = replace(example("abc", 2), prompt=(True, True, False))
    for one, prompts in ((first, False), (asked, True)):
        counted = one.n_targets + (one.n_prompt if prompts else 0)
        assert counted == len(pack([one], prompts=prompts).labels) == 2


def test_a_target_or_the_token_that_predicts_it_is_never_shared() -> None:
    twins = [example("SYSabc", 3), example("SYSabc", 3)]
    assert shared_prefix(twins) == 2
    assert pack(twins).owner.tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("limit", [1, 40, 100, 10_000])
def test_parts_keep_order_and_lose_nothing(limit: int) -> None:
    examples = random_examples(9, shared=3)
    parts = split_by_rows(examples, limit)
    assert [e for part in parts for e in part] == examples
    assert all(parts)


def test_parts_are_of_like_size() -> None:
    examples = [example("x" * 20, 2)] * 9
    assert [len(part) for part in split_by_rows(examples, 100)] in ([5, 4], [4, 5])


def test_what_all_share_counts_once() -> None:
    examples = [example("x" * 90 + end * 5, 93) for end in "abcdefgh"]
    # Five tokens of its own each, behind ninety that are computed once for a part.
    assert len(split_by_rows(examples, 200)) == 1
    parts = split_by_rows(examples, 120)
    assert len(parts) > 1
    assert all(len(pack(part).ids) <= 120 for part in parts)


def test_a_prefix_beyond_the_limit_leaves_room_for_the_longest() -> None:
    examples = [example("x" * 90 + end * 5, 93) for end in "abcd"]
    assert [len(part) for part in split_by_rows(examples, 50)] == [1, 1, 1, 1]


def test_no_part_is_much_over_the_limit() -> None:
    examples = random_examples(40, shared=3)
    longest = max(len(e.ids) for e in examples)
    for part in split_by_rows(examples, 120):
        assert sum(len(e.ids) for e in part) <= 120 + longest
