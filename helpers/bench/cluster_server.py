"""A server of its own with a tiny base model, whose jobs run here or on a cluster.

For: `bench cluster` and the tests of real clusters, which kill it in the middle of jobs. Not
for: learners' servers, see `helpers.backend.daemon`.

    with ServerApart(folder, WORKBOOK_EXECUTOR="ray://10.77.0.2:8265") as server:
        job = server.submit()
        server.kill()
        server.start()
        server.wait(job.id)
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.backend import daemon
from helpers.base import settings
from helpers.base.files import write_text

if TYPE_CHECKING:
    from openai import OpenAI

BASE = "tiny-llama"
ADAPTER = "adapter.gguf"
CAPITALS = {"Peru": "Lima", "Kenya": "Nairobi", "Norway": "Oslo", "Japan": "Tokyo"}
OVER = ("succeeded", "failed", "cancelled")
PATIENCE = 900
"""Seconds for what takes some on a quiet machine."""


class ServerApart:
    """A server process with its own state folder."""

    def __init__(self, folder: Path, **words: str) -> None:
        """`words` are variables of its environment, such as WORKBOOK_EXECUTOR."""
        self.folder, self._words = folder, words
        self.settings = settings.load({"WORKBOOK_STATE": str(folder / "state")} | words)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ServerApart:
        write_base(self.folder / "models" / BASE)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(30)

    def start(self) -> None:
        """Start it, also again after its end; returns when it answers."""
        own = {"WORKBOOK_STATE": str(self.settings.state), "WORKBOOK_ENGINE": "llama.cpp"}
        own |= {"WORKBOOK_MODELS": str(self.folder / "models"), "WORKBOOK_THREADS": "1"}
        # Jobs are compared byte for byte, and each would measure which precision is faster.
        own["WORKBOOK_PRECISION"] = "float32"
        env = {name: text for name, text in os.environ.items() if not name.startswith("OPENAI_")}
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "helpers.backend.daemon"],
                cwd=self.settings.root,
                env=env | own | self._words,
                stdout=log,
                stderr=log,
            )
        until(lambda: daemon.find(self.settings), PATIENCE)
        self.__dict__.pop("client", None)  # its port is another one each time

    def kill(self) -> None:
        """SIGKILL, as if the machine's memory had run out."""
        assert self._process
        self._process.kill()
        self._process.wait()

    @cached_property
    def client(self) -> OpenAI:
        """Of the server that runs now."""
        from openai import OpenAI

        address = daemon.find(self.settings)
        assert address, "the server does not answer"
        return OpenAI(base_url=f"{address.url}/v1", api_key=address.token, timeout=60)

    def submit(self, *, rows: int = 64, epochs: int = 8, seed: int = 1) -> Any:
        """A new job on a few facts, again and again."""
        text = training_text(rows)
        file = self.client.files.create(file=("capitals.jsonl", text), purpose="fine-tune")
        hyper = {"n_epochs": epochs, "batch_size": 4, "learning_rate_multiplier": 4}
        method: Any = {"type": "supervised", "supervised": {"hyperparameters": hyper}}
        return self.client.fine_tuning.jobs.create(
            model=BASE, training_file=file.id, method=method, seed=seed
        )

    def job(self, key: str) -> Any:
        """What the API says of a job."""
        return self.client.fine_tuning.jobs.retrieve(key)

    def wait(self, key: str, seconds: float = PATIENCE) -> Any:
        """The job when it is over."""
        until(lambda: self.job(key).status in OVER, seconds)
        return self.job(key)

    def events(self, key: str) -> list[str]:
        """Messages of a job, the oldest first."""
        found = self.client.fine_tuning.jobs.list_events(key, limit=100)
        return [event.message for event in found][::-1]

    def steps(self, key: str) -> list[int]:
        """Numbers of the steps that a job's events tell of, in their order."""
        found = self.client.fine_tuning.jobs.list_events(key, limit=100)
        return [_step(event) for event in found if event.type == "metrics"][::-1]

    def until_step(self, key: str, step: int, seconds: float = PATIENCE) -> None:
        """Wait until a job has told of so many steps, or is over."""

        def reached() -> bool:
            newest = self.client.fine_tuning.jobs.list_events(key, limit=5).data
            told = [_step(event) for event in newest if event.type == "metrics"]
            return max(told, default=0) >= step or self.job(key).status in OVER

        until(reached, seconds)

    def adapter_sha256(self, key: str) -> str:
        """Of the adapter that a job ended with."""
        [checkpoint] = self.client.fine_tuning.jobs.checkpoints.list(key, limit=1).data
        place = self.settings.state / "jobs" / key / "checkpoints"
        path = place / f"step-{checkpoint.step_number}" / ADAPTER
        return hashlib.sha256(path.read_bytes()).hexdigest()


def _step(event: Any) -> int:
    return int(event.data["step"])


def training_text(rows: int) -> bytes:
    """So many examples as JSONL."""
    pairs = list(CAPITALS.items())
    lines = []
    for number in range(rows):
        country, capital = pairs[number % len(pairs)]
        asked = {"role": "user", "content": f"{number}. The capital of {country}?"}
        lines.append(json.dumps({"messages": [asked, {"role": "assistant", "content": capital}]}))
    return "\n".join(lines).encode() + b"\n"


def write_base(folder: Path) -> None:
    """A Hugging Face folder: a Llama of random weights that reads with the course's tokenizer."""
    if (folder / "tokenizer_config.json").is_file():
        return
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from helpers.base.chat_format import END
    from helpers.base.tokens import local_tokenizer
    from helpers.datasets.exporting.template import chat_template

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=local_tokenizer().core.get_vocab_size(),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    local_tokenizer().core.save(str(folder / "tokenizer.json"))
    known = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END}
    known["chat_template"] = chat_template(markers=False)
    write_text(folder / "tokenizer_config.json", json.dumps(known))


def until(seen: Callable[[], Any], seconds: float) -> Any:
    """Wait for something to be so. Raises `TimeoutError`."""
    deadline = time.monotonic() + seconds
    while not (found := seen()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so after {seconds:.0f} s")
        time.sleep(0.2)
    return found
