"""Whether a job fits into the memory that is free, before it starts; or what would.

For: `service.training`. Not for: the estimate itself, see `helpers.backend.bases.memory`.

    fit(spec, report.tokens, free=8 * 10**9)      # the job, perhaps with recompute=True
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from helpers.backend.bases.memory import shape_of, training_bytes
from helpers.backend.protocol.errors import ApiError
from helpers.backend.training.spec import MAX_ROWS, TrainSpec
from helpers.datasets.validation.report import TokenLengths

RECOMPUTED = (
    "Memory is short: activations are worked out twice, which takes longer. "
    "A smaller batch_size may do without."
)


def needed(spec: TrainSpec, lengths: TokenLengths) -> int:
    """Bytes at the job's peak, in float32 unless in 4 bits, which is what a job takes at most."""
    longest = min(lengths.longest, spec.max_tokens)
    # A step packs examples together, up to MAX_ROWS rows at a time; the longest one must fit whole.
    rows = max(longest, min(MAX_ROWS, spec.batch_size * longest))
    if spec.method == "dpo":
        rows = 2 * longest  # both answers, one pair at a time
    shape = shape_of(Path(spec.base_gguf))
    return training_bytes(
        shape,
        rows=rows,
        longest=longest,
        targets=rows,
        rank=spec.rank,
        recompute=spec.recompute,
        four_bit=spec.four_bit,
    )


def fit(spec: TrainSpec, lengths: TokenLengths | None, *, free: int) -> TrainSpec:
    """The job in the form that is fastest and fits. Raises `ApiError` with what would fit."""
    if lengths is None:
        return spec
    # Recomputing is slower, so only where the faster form does not fit.
    for one in (spec, replace(spec, recompute=True)):
        if needed(one, lengths) <= free:
            return one
    smaller = next((one for one in _smaller(spec) if needed(one, lengths) <= free), None)
    remedies = ["take a smaller base", "shorten the longest examples", "close other programs"]
    if smaller:
        remedies.insert(0, f"set batch_size to {smaller.batch_size}")
    raise ApiError(
        400,
        f"Training needs about {_gigabytes(needed(spec, lengths))} of memory, "
        f"{_gigabytes(needed(replace(spec, recompute=True), lengths))} with activations worked out "
        f"twice, and {_gigabytes(free)} are free. Remedy: {', or '.join(remedies)}. Who knows "
        "better sets WORKBOOK_JOB_GB before the server starts.",
        param="model",
        code="insufficient_memory",
    )


def _smaller(spec: TrainSpec) -> Iterator[TrainSpec]:
    size = spec.batch_size // 2
    while size:
        yield replace(spec, batch_size=size, recompute=True)
        size //= 2


def _gigabytes(number: int) -> str:
    return f"{number / 1e9:,.1f} GB"
