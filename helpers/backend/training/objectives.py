"""What a step minimises: the loss of the answers, or of preferences between answers.

For: the training loop. Both objectives report a loss in nats and an accuracy.

    stats = supervised(net, batch_of_examples, torch.Tensor.backward)
    stats.mean_loss, stats.accuracy
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from helpers.backend.training.examples import Example, Pair
from helpers.backend.training.forward import Noise
from helpers.backend.training.networks import AnyNetwork
from helpers.backend.training.packing import pack, split_by_rows
from helpers.backend.training.spec import MAX_ROWS


@dataclass
class Stats:
    """Sums over a batch or a whole set."""

    loss: float = 0.0
    hits: float = 0.0
    count: int = 0
    by_line: dict[int, float] = field(default_factory=dict)
    """Mean loss of each example, by its line in the file."""

    @property
    def mean_loss(self) -> float:
        return self.loss / max(self.count, 1)

    @property
    def accuracy(self) -> float:
        return self.hits / max(self.count, 1)

    def add(self, other: Stats) -> None:
        self.loss += other.loss
        self.hits += other.hits
        self.count += other.count
        self.by_line.update(other.by_line)


Backward = Callable[[torch.Tensor], None]


def supervised(
    net: AnyNetwork,
    examples: Sequence[Example],
    backward: Backward | None,
    *,
    prompt_loss_weight: float = 0.0,
    noise: Noise | None = None,
) -> Stats:
    """Mean cross-entropy over all target tokens of the batch; accuracy per token.

    `backward` receives each part's share of the loss; None only measures. With a
    `prompt_loss_weight` the asker's words are learnt too, each with that weight (Shi et al.
    2024); loss and accuracy are those of the answers alone in any case.
    """
    count = sum(example.n_targets for example in examples)
    total = count + prompt_loss_weight * sum(example.n_prompt for example in examples)
    stats = Stats(count=count)
    prompts = prompt_loss_weight > 0
    for part in split_by_rows(examples, MAX_ROWS, prompts=prompts):
        batch = pack(part, prompts=prompts).to(net.device)
        losses, hits = net.losses_and_hits(batch, noise=noise)
        if backward:
            weighted = losses.where(batch.answers, losses * prompt_loss_weight)
            # By the whole batch's number, not the part's: gradients of parts add up to its mean.
            backward(weighted.sum() / total)
        losses = losses.detach().where(batch.answers, 0.0)
        stats.loss += float(losses.sum())
        stats.hits += float((hits & batch.answers).sum())
        means = sums_by_owner(losses, batch.owner, len(part)) / torch.tensor(
            [example.n_targets for example in part], device=net.device
        )
        stats.by_line.update({e.line: float(mean) for e, mean in zip(part, means, strict=True)})
    return stats


def dpo(net: AnyNetwork, pairs: Sequence[Pair], backward: Backward | None, *, beta: float) -> Stats:
    """Direct preference optimisation (Rafailov et al. 2023); accuracy: the better answer wins.

    The reference is the model without the new matrices, or the parent it started from,
    as `net.reference` says.
    """
    stats = Stats(count=len(pairs))
    for pair in pairs:
        # Both answers in one pack: the question before them is computed once.
        batch = pack([pair.preferred, pair.other]).to(net.device)
        anchor = _log_likelihoods(net.reference.losses(batch), batch.owner)
        now = _log_likelihoods(net.token_losses(batch), batch.owner)
        margin = beta * ((now - anchor)[0] - (now - anchor)[1])
        loss = -F.logsigmoid(margin)
        if backward:
            backward(loss / len(pairs))
        stats.loss += float(loss.detach())
        stats.hits += float(margin.detach() > 0)
        stats.by_line[pair.line] = float(loss.detach())
    return stats


def _log_likelihoods(losses: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
    return -sums_by_owner(losses, owner, 2)


def sums_by_owner(values: torch.Tensor, owner: torch.Tensor, n: int) -> torch.Tensor:
    """Sum of the values that belong to each of n examples, shape (n,)."""
    return values.new_zeros(n).index_add(0, owner, values)
