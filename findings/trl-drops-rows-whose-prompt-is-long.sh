#!/usr/bin/env bash
# trl 1.16.0: a row of prompt and completion whose prompt fills `max_length` is gone.
# One would guess that a long row is cut at its end, as a row of messages is, or that its loss
# would say so. Both trainers leave such rows out of the data; nothing tells it but the title of
# a progress bar, which gives no number.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"

"$dir/env/bin/pip" install -q trl==1.16.0 transformers==5.23.0 datasets==5.2.0 torch==2.13.0
cd "$dir" && HF_HUB_OFFLINE=1 "$dir/env/bin/python" - 2> "$dir/said" <<'PY' || { tail -3 "$dir/said"; exit 1; }
from importlib.metadata import version

from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

words = ["[PAD]", "[UNK]", "[END]", "long", "short", "good", "bad"]
core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
core.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=core, pad_token="[PAD]", eos_token="[END]", unk_token="[UNK]"
)
shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
config = LlamaConfig(vocab_size=len(words), max_position_embeddings=64, **shape)
LlamaForCausalLM(config).save_pretrained("model")
tokenizer.save_pretrained("model")


def left(trainer, settings, rows):
    made = trainer(
        model=LlamaForCausalLM.from_pretrained("model"),
        args=settings(output_dir="out", max_length=16, use_cpu=True, report_to=[]),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    return len(made.train_dataset)


long, short = " ".join(["long"] * 20), "short short"
pairs = [{"prompt": p, "completion": " good"} for p in [long] * 4 + [short] * 8]
liked = [{"prompt": p, "chosen": " good", "rejected": " bad"} for p in [long] * 4 + [short] * 8]
whole = [{"text": f"{p} good"} for p in [long] * 4 + [short] * 8]
found = {
    "SFT, prompt and completion": left(SFTTrainer, SFTConfig, pairs),
    "DPO": left(DPOTrainer, DPOConfig, liked),
    "SFT, text": left(SFTTrainer, SFTConfig, whole),
}
print("trl", version("trl"), "rows left of 12:", found)
assert found == {"SFT, prompt and completion": 8, "DPO": 8, "SFT, text": 12}, found
PY
if grep -iE "warn.*(dropp|exceed|longer|too long)" "$dir/said"; then
    echo "it warns now" && exit 1
fi
