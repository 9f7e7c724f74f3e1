#!/usr/bin/env bash
# mlx-lm 0.32.2: the rows that a last, smaller batch leaves out are always the ones with tools.
# One would guess that batches are made of rows of like length, and that over the epochs every
# row is learnt. Rows are sorted by their number of keys before they are tokens, so those with
# `tools` beside `messages` stand last, and the rows that fill no batch are cut off at the end.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"

"$dir/env/bin/pip" install -q mlx-lm==0.32.2 'mlx[cpu]==0.32.4'
"$dir/env/bin/python" - <<'PY'
from importlib.metadata import version

from mlx_lm.tuner.datasets import CacheDataset, ChatDataset
from mlx_lm.tuner.trainer import iterate_batches


class Letters:
    """A tokenizer of letters: what is measured does not depend on it."""

    def apply_chat_template(self, messages, tools=None, **_):
        return [ord(letter) for letter in str(tools or "") + messages[-1]["content"]]


def row(number, **more):
    return {"messages": [{"role": "assistant", "content": f"answer {number:02}"}], **more}


rows = [row(n, tools=["T"]) if n < 4 else row(n) for n in range(12)]
data = CacheDataset(ChatDataset(rows, Letters()))
seen = set()
batches = iterate_batches(data, batch_size=8, max_seq_length=128, loop=True)
for _ in range(50):
    batch, lengths = next(batches)
    seen |= {"".join(chr(i) for i in ids if i)[-9:] for ids in batch.tolist()}
print("mlx-lm", version("mlx-lm"), len(seen), "of 12 rows in 50 batches of 8:", sorted(seen))
assert len(seen) == 8 and not any(text.endswith(f"0{n}") for text in seen for n in range(4))
PY
