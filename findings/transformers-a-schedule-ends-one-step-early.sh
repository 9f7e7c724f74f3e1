#!/usr/bin/env bash
# transformers 5.23.0: under "cosine_warmup_with_min_lr" the last step of a training has the lowest
# rate already, which is zero unless one is given: it learns nothing.
# One would guess the rates of "cosine_with_min_lr", but for the warm-up: there the lowest rate
# comes after the last step. Its documentation says that the warm-up rises from zero; it begins
# with a part of the peak, and the fall is a step ahead.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"

"$dir/env/bin/pip" install -q transformers==5.23.0 torch==2.13.0
"$dir/env/bin/python" - <<'PY'
from importlib.metadata import version

import torch
from transformers import get_scheduler

STEPS, WARMUP = 10, 2


def rates(kind):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_scheduler(kind, optimizer, WARMUP, STEPS, {"min_lr_rate": 0.0})
    made = []
    for _ in range(STEPS):
        made.append(round(optimizer.param_groups[0]["lr"], 3))
        optimizer.step()
        schedule.step()
    return made


older, newer = rates("cosine_with_min_lr"), rates("cosine_warmup_with_min_lr")
print("transformers", version("transformers"))
print("cosine_with_min_lr       ", older)
print("cosine_warmup_with_min_lr", newer)
assert older[0] == 0 and older[-1] > 0
assert newer[0] == 0.5 and newer[-1] == 0
assert newer[WARMUP:-1] == older[WARMUP + 1 :]
PY
