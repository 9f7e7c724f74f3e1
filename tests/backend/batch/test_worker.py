"""The process of a batch: what it is told, how it groups, and that padding changes no answer."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from peft import PeftModel

from helpers.backend.batch import worker
from helpers.backend.batch.prompts import WORTH_TOKENS
from helpers.backend.batch.worker import AT_ONCE, ROOM, UNFIT, BatchAnswer, Prompt, Task
from helpers.backend.storage.processes import start_bulk
from helpers.backend.training.base import load_base, save_adapter, with_adapter
from helpers.base import settings as settings_module
from helpers.base.tokens import local_tokenizer
from helpers.evaluation.requests import send_all
from helpers.rag.documents import load_articles
from tests.backend.training.tiny import write_gguf

KB = settings_module.load().root / "data" / "support" / "kb"
CPU = torch.device("cpu")
ENDS = (0,)
"""An end token that the tiny model hardly ever makes: answers have their full length."""


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="module")
def adapter(gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = with_adapter(load_base(gguf), rank=4, alpha=8, seed=1)
    torch.manual_seed(2)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter.data, std=0.3)
    return save_adapter(model, tmp_path_factory.mktemp("adapter") / "step-1")


def prompts(gguf: Path, lengths: tuple[int, ...], most: int = 6) -> list[Prompt]:
    """Prompts of these lengths, all different."""
    size = len(local_tokenizer(gguf).core.get_vocab())
    draw = torch.Generator().manual_seed(0)
    return [
        Prompt(f"p{i}", tuple(torch.randint(size, (n,), generator=draw).tolist()), most)
        for i, n in enumerate(lengths)
    ]


def test_a_task_comes_back_as_it_was_written_and_forgets_old_answers(tmp_path: Path) -> None:
    (tmp_path / worker.ANSWERED).write_text("{}\n")
    task = Task("a.gguf", None, (2,), 1, (Prompt("x", (1, 2), 3),))
    task.write(tmp_path)
    assert Task.read(tmp_path) == task
    assert worker.read_answers(tmp_path) == ([], 0)


def test_a_half_written_answer_is_left_out(tmp_path: Path) -> None:
    rows = [{"id": name, "tokens": [1], "ended": True} for name in "ab"]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / worker.ANSWERED).write_text(text + '{"id": "c", "tok')
    found, end = worker.read_answers(tmp_path)
    assert [one.id for one in found] == ["a", "b"]
    assert worker.read_answers(tmp_path, end) == ([], end)
    with (tmp_path / worker.ANSWERED).open("a") as stream:
        stream.write('ens": [3], "ended": false}\n')
    assert worker.read_answers(tmp_path, end)[0] == [BatchAnswer("c", (3,), False)]


def test_groups_hold_like_lengths_and_no_more_than_fits() -> None:
    sizes = [5, 900, 20, 7000, 30, *[10] * 40]
    made = list(worker.groups([Prompt(str(i), (1,) * n, 50) for i, n in enumerate(sizes)]))
    lengths = [[len(prompt.tokens) for prompt in group] for group in made]
    assert list(itertools.chain(*lengths)) == sorted(sizes, reverse=True)
    assert all(len(group) <= AT_ONCE for group in made)
    assert all(len(group) * (group[0] + 50) <= ROOM for group in lengths if len(group) > 1)
    assert lengths[0] == [7000, 900]
    alone = list(worker.groups([Prompt("a", (1,) * 9000, 9000), Prompt("b", (1,), 1)]))
    assert [len(group) for group in alone] == [1, 1]


def test_an_answer_in_a_group_is_the_one_it_gets_alone(gguf: Path) -> None:
    model = worker.load(Task(str(gguf), None, ENDS, 1, ()), CPU, torch.float32)
    asked = prompts(gguf, (3, 11, 7, 24))
    together = worker.answer(model, asked, ENDS)
    assert together == [worker.answer(model, [prompt], ENDS)[0] for prompt in asked]
    assert [len(one.tokens) for one in together] == [6] * 4
    assert len({one.tokens for one in together}) > 1


def test_an_answer_ends_at_the_end_token_or_at_its_own_limit(gguf: Path) -> None:
    model = worker.load(Task(str(gguf), None, ENDS, 1, ()), CPU, torch.float32)
    long, short = prompts(gguf, (5, 9), most=8)
    short = Prompt(short.id, short.tokens, 2)
    free = worker.answer(model, [long, short], ENDS)
    assert [(len(one.tokens), one.ended) for one in free] == [(8, False), (2, False)]
    end = free[0].tokens[-1]
    first = free[0].tokens.index(end)
    cut = worker.answer(model, [long], (*ENDS, end))[0]
    assert cut == BatchAnswer(long.id, free[0].tokens[:first], True)


def test_the_adapter_is_added_to_the_weights(gguf: Path, adapter: Path) -> None:
    merged = worker.load(Task(str(gguf), str(adapter), ENDS, 1, ()), CPU, torch.float32)
    kept = PeftModel.from_pretrained(load_base(gguf), str(adapter))
    ids = torch.tensor([prompts(gguf, (12,))[0].tokens])
    with torch.no_grad():
        ours, theirs, base = (model(ids).logits for model in (merged, kept, load_base(gguf)))
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)
    assert (ours - base).abs().max() > 0.1


def run(folder: Path) -> int:
    return start_bulk(folder, settings_module.load().root).wait(120)


@pytest.mark.slow
def test_the_process_answers_its_task_or_says_that_it_is_unfit(gguf: Path, tmp_path: Path) -> None:
    asked = prompts(gguf, tuple(range(2, 40)))
    Task(str(gguf), None, ENDS, 1, tuple(asked)).write(tmp_path)
    code = run(tmp_path)
    if code == UNFIT:
        assert worker.read_answers(tmp_path)[0] == []
        pytest.skip("this processor does not multiply bfloat16")
    assert code == 0, (tmp_path / "bulk.log").read_text()
    done, _ = worker.read_answers(tmp_path)
    assert sorted(one.id for one in done) == sorted(prompt.id for prompt in asked)
    assert max(len(one.tokens) for one in done) == 6


@pytest.mark.slow
def test_a_fault_is_an_exit_code_and_a_log(tmp_path: Path) -> None:
    Task("none.gguf", None, (2,), 1, (Prompt("x", (1,), 1),)).write(tmp_path)
    code = run(tmp_path)
    if code == UNFIT:
        pytest.skip("this processor does not multiply bfloat16")
    assert code == 1
    assert "none.gguf" in (tmp_path / "bulk.log").read_text()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals differ")
def test_the_process_ends_when_the_server_has_gone(gguf: Path, tmp_path: Path) -> None:
    Task(str(gguf), None, ENDS, 1, tuple(prompts(gguf, (8,) * 64, most=4000))).write(tmp_path)
    code = (
        "import sys, time; from pathlib import Path;"
        "from helpers.backend.storage.processes import *;"
        "print(start_bulk(Path(sys.argv[1]), Path.cwd()).pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=settings_module.load().root,
    )
    assert parent.stdout
    child = psutil.Process(int(parent.stdout.readline()))
    time.sleep(3)
    if not child.is_running():
        pytest.skip("this processor does not multiply bfloat16")
    parent.kill()
    parent.wait()
    gone, _ = psutil.wait_procs([child], timeout=30)
    if not gone:
        child.kill()
    assert gone


@pytest.mark.slow
def test_a_batch_says_nearly_what_single_requests_say(client) -> None:
    """Sixteen bits against eight, and other sums: the first words agree where they are sure."""
    articles = load_articles(KB)[:30]
    asked = [f"{article.text}\n\nRepeat the first sentence of this text." for article in articles]
    bodies = [
        {
            "model": settings_module.BASE_MODEL,
            "messages": [{"role": "user", "content": text}],
            "temperature": 0,
            "max_completion_tokens": 12,
        }
        for text in asked
    ]
    batch, single = send_all(client, bodies, batch=True), send_all(client, bodies)
    assert [one.prompt_tokens for one in batch] == [one.prompt_tokens for one in single]
    assert sum(one.prompt_tokens for one in batch) > WORTH_TOKENS
    same = [a.text.split()[:3] == b.text.split()[:3] for a, b in zip(batch, single, strict=True)]
    assert sum(same) >= 20, [(a.text, b.text) for a, b in zip(batch, single, strict=True)]
