"""The book of the cache's blocks, without any cache."""

from __future__ import annotations

import pytest

from helpers.backend.inference.blocks import BLOCK, Blocks, most_shared

PROMPT = list(range(3 * BLOCK + 5))


def published(blocks: Blocks, prompt: list[int], model: str = "m") -> list[int]:
    own = blocks.take(-(-len(prompt) // BLOCK))
    blocks.publish(model, prompt, own)
    return own


def test_a_beginning_is_shared_as_far_as_it_is_the_same() -> None:
    blocks = Blocks(16)
    own = published(blocks, PROMPT)
    assert blocks.shared("m", PROMPT) == own[:3]
    other = PROMPT[: 2 * BLOCK] + [0] * BLOCK
    assert blocks.shared("m", other) == own[:2]
    assert blocks.shared("m", [9, *PROMPT]) == []


def test_another_model_shares_nothing() -> None:
    blocks = Blocks(16)
    published(blocks, PROMPT)
    assert blocks.shared("n", PROMPT) == []


def test_two_tokens_of_a_prompt_are_always_computed() -> None:
    assert [most_shared(n * BLOCK) for n in (1, 2, 3)] == [0, 1, 2]
    assert [most_shared(2 * BLOCK + n) for n in (1, 2)] == [1, 2]
    blocks = Blocks(16)
    own = published(blocks, PROMPT[: 2 * BLOCK])
    assert blocks.shared("m", PROMPT[: 2 * BLOCK]) == own[:1]


def test_what_is_given_back_can_be_taken_and_the_longest_unused_beginning_goes_first() -> None:
    blocks = Blocks(4)
    first = published(blocks, PROMPT[:BLOCK])
    second = published(blocks, PROMPT[BLOCK : 2 * BLOCK])
    blocks.give_back(first)
    blocks.give_back(second)
    assert blocks.free == 4
    blocks.take(3)
    assert blocks.shared("m", [*PROMPT[:BLOCK], 1, 2]) == []
    assert blocks.shared("m", [*PROMPT[BLOCK : 2 * BLOCK], 1, 2]) == second


def test_blocks_that_someone_reads_are_given_to_nobody_else() -> None:
    blocks = Blocks(3)
    own = published(blocks, PROMPT[:BLOCK])
    shared = blocks.shared("m", [*PROMPT[:BLOCK], 1, 2])
    blocks.give_back(own)
    assert shared == own
    assert blocks.free == 2
    assert not set(blocks.take(2)) & set(own)
    with pytest.raises(ValueError, match="0 are free"):
        blocks.take(1)


def test_a_model_that_is_forgotten_leaves_nothing_to_share_and_nothing_taken() -> None:
    blocks = Blocks(8)
    own = published(blocks, PROMPT)
    blocks.forget("m")
    assert blocks.shared("m", PROMPT) == []
    blocks.give_back(own)
    assert sorted(blocks.take(8)) == list(range(8))
