"""Lay a batch out without padding, with the tokens that all examples share only once.

For: the forward pass. A batch of n examples of lengths l_i that begin with the same
P tokens takes P + sum(l_i - P) rows, instead of n * max(l_i).

    batch = pack(examples)
    batch.ids.shape        # (rows,)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from helpers.backend.training.examples import Example


@dataclass(frozen=True)
class PackedBatch:
    """One batch as one long row of tokens. N rows, of which the first P are shared."""

    ids: torch.Tensor
    """Token ids, shape (N,)."""
    positions: torch.Tensor
    """Place of each token in its own example, shape (N,)."""
    prefix: int
    """P: how many first tokens all examples share."""
    examples: int
    """How many examples there are, n."""
    spread: torch.Tensor
    """For each (example, place), flat in (n * L,): which own row, counted after the shared
    ones, stands there. Padding repeats row 0."""
    back: torch.Tensor
    """For each own row, its place in `spread`, shape (N - P,)."""
    predict: torch.Tensor
    """Rows whose next token is a target, shape (T,)."""
    labels: torch.Tensor
    """The tokens to predict there, shape (T,)."""
    owner: torch.Tensor
    """Place in the batch of the example that each target belongs to, shape (T,)."""
    answers: torch.Tensor
    """Whether each target is a word of the answer, and not of the prompt; shape (T,)."""

    def to(self, device: torch.device) -> PackedBatch:
        """The same batch with its tensors on `device`."""
        moved: dict[str, Any] = {
            field.name: value.to(device)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), torch.Tensor)
        }
        return replace(self, **moved)


def shared_prefix(examples: Sequence[Example], *, prompts: bool = False) -> int:
    """How many first tokens all examples share, leaving each at least one of its own.

    Targets are never shared: a token to predict belongs to one example.
    """
    first = examples[0]
    # Less one: the token before the first target predicts it, and must be the example's own too.
    limit = min(min(len(e.ids), e.learnt(prompts=prompts).index(True)) for e in examples) - 1
    same = 0
    while same < limit and all(e.ids[same] == first.ids[same] for e in examples):
        same += 1
    return same


def pack(examples: Sequence[Example], *, share: bool = True, prompts: bool = False) -> PackedBatch:
    """The layout of one batch. Each example needs a target after its second token.

    With `prompts`, the asker's words are predicted too.
    """
    prefix = shared_prefix(examples, prompts=prompts) if share else 0
    ids = list(examples[0].ids[:prefix])
    positions = list(range(prefix))
    longest = max(len(example.ids) for example in examples) - prefix
    spread = torch.zeros((len(examples), longest), dtype=torch.long)
    back = []
    predict: list[int] = []
    labels: list[int] = []
    owner: list[int] = []
    answers: list[bool] = []
    for place, example in enumerate(examples):
        start, own = len(ids), len(example.ids) - prefix
        spread[place, :own] = torch.arange(start - prefix, start - prefix + own)
        # The way back is kept too, so that the gradient is gathered and never scattered.
        back.append(torch.arange(place * longest, place * longest + own))
        ids += example.ids[prefix:]
        positions += range(prefix, len(example.ids))
        learnt = example.learnt(prompts=prompts)
        for index in range(1, len(example.ids)):
            if learnt[index]:
                # The token before a target predicts it; `shared_prefix` left it to the example.
                predict.append(start + index - 1 - prefix)
                labels.append(example.ids[index])
                owner.append(place)
                answers.append(example.targets[index])
    return PackedBatch(
        torch.tensor(ids),
        torch.tensor(positions),
        prefix,
        len(examples),
        spread.flatten(),
        torch.cat(back),
        torch.tensor(predict),
        torch.tensor(labels),
        torch.tensor(owner),
        torch.tensor(answers),
    )


def split_by_rows(
    examples: Sequence[Example], limit: int, *, prompts: bool = False
) -> list[list[Example]]:
    """Cut a batch into parts of like size, of about `limit` rows each at most, to bound
    the memory. What all share counts once. An example longer than the limit makes a part of
    its own.
    """
    shared = shared_prefix(examples, prompts=prompts)
    own = [len(example.ids) - shared for example in examples]
    # Behind a long prefix there is still room for the longest, which would fill a part alone.
    room = max(limit - shared, *own)
    # As many parts as the room asks for, but of one size: a small rest would waste a pass.
    share = sum(own) / -(-sum(own) // room)
    parts: list[list[Example]] = []
    held = 0
    for example, length in zip(examples, own, strict=True):
        # Cut at the end that is nearer: an example goes on to the next part by its larger half.
        if not parts or held + length / 2 > share * len(parts):
            parts.append([])
        parts[-1].append(example)
        held += length
    return parts
