#!/usr/bin/env bash
# bitsandbytes 0.50.2 on a processor with AVX512-BF16: a layer in 4 bits that was asked once in
# evaluation mode and without a gradient, as in a validation, passes no gradient to its input any
# more, in training mode neither. One would guess that a question changes nothing. The matrix is
# laid out anew for a kernel that only answers; PyTorch warns, and the training goes on.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"
"$dir/env/bin/pip" install -q torch==2.13.0 numpy==2.4.6 bitsandbytes==0.50.2
cat > "$dir/gradient.py" <<'PY'
import warnings

import torch
from bitsandbytes.functional import has_avx512bf16
from bitsandbytes.nn import Linear4bit, Params4bit

warnings.simplefilter("ignore")
torch.manual_seed(0)
layer = Linear4bit(64, 64, bias=False, compute_dtype=torch.float32, quant_type="nf4")
layer.weight = Params4bit(torch.randn(64, 64), requires_grad=False, quant_type="nf4")
layer = layer.to("cpu")


def gradient():
    x = torch.ones(3, 64, requires_grad=True)
    layer.train()(x).sum().backward()
    return None if x.grad is None else float(x.grad.abs().sum())


before = gradient()
layer.eval()(torch.ones(3, 64))
after = gradient()
print(f"AVX512-BF16: {bool(has_avx512bf16())}; gradient before a question {before}, after it {after}")
assert before
assert (after is None) == bool(has_avx512bf16())
PY
"$dir/env/bin/python" "$dir/gradient.py"
