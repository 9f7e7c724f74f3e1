"""An exported folder: complete, free of this machine's paths, and fit for other programs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.backend.training.spec import PROGRESS, TrainSpec
from helpers.base.errors import DataError
from helpers.finetuning import exporting

JOB = "ftjob-1"
NAMES = ("Modelfile", "README.md", "peft/adapter_config.json")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with one finished job of two checkpoints."""
    job, base = tmp_path / "state" / "jobs" / JOB, tmp_path / "weights.gguf"
    base.write_bytes(b"GGUF base")
    TrainSpec(base_gguf=str(base), training_file="train.jsonl", rank=32).write(job)
    for step in (5, 10):
        folder = job / "checkpoints" / f"step-{step}"
        folder.mkdir(parents=True)
        (folder / "adapter.gguf").write_bytes(b"GGUF adapter %d" % step)
        (folder / "adapter_model.safetensors").write_bytes(b"weights %d" % step)
        config = {"r": 32, "base_model_name_or_path": str(base)}
        (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    rows = [{"type": "checkpoint", "path": f"checkpoints/step-{step}"} for step in (5, 10)]
    lines = [json.dumps(row) + "\n" for row in [*rows, {"type": "done", "trained_tokens": 1}]]
    (job / PROGRESS).write_text("".join(lines), encoding="utf-8")
    return tmp_path / "state"


@pytest.fixture
def out(state: Path, tmp_path: Path) -> exporting.ExportedModel:
    return exporting.export(JOB, tmp_path / "out", name="support", state=state)


def test_the_newest_adapter_is_there_in_both_forms_beside_its_base(out):
    assert set(out.files) == {
        "Modelfile", "README.md", "adapter.gguf", "base.gguf", "peft/adapter_config.json",
        "peft/adapter_model.safetensors",
    }  # fmt: skip
    assert (out.folder / "adapter.gguf").read_bytes() == b"GGUF adapter 10"
    assert (out.folder / "peft" / "adapter_model.safetensors").read_bytes() == b"weights 10"
    assert out.files["base.gguf"] == len(b"GGUF base")


def test_no_text_of_it_names_this_machine(out, tmp_path):
    texts = [(out.folder / n).read_text("utf-8") for n in NAMES]
    texts += [*out.commands.values(), repr(out), out._repr_html_()]
    assert not [text for text in texts if str(tmp_path) in text]


def test_the_modelfile_names_files_that_are_there_and_the_template_of_the_training(out):
    text = (out.folder / "Modelfile").read_text(encoding="utf-8")
    named = re.findall(r"^(?:FROM|ADAPTER) \./(\S+)$", text, re.M)
    assert named == ["base.gguf", "adapter.gguf"]
    assert all(name in out.files for name in named)
    from helpers.base.chat_format import END, START

    template = re.search(r'TEMPLATE """(.*?)"""', text, re.S)
    assert template
    one = template[1].split("{{- range .Messages }}")[1].split("{{ end }}")
    filled = one[0].replace("{{ .Role }}", "user").replace("{{ .Content }}", "Hi")
    assert filled + one[1] == f"{START}user\nHi{END}\n{START}assistant\n"


def test_the_commands_name_the_exported_files_and_the_rank(out):
    assert "-m base.gguf --lora adapter.gguf" in out.commands["llama.cpp"]
    assert "--max-lora-rank 32" in out.commands["vLLM"]
    assert "--lora-modules support=./peft" in out.commands["vLLM"]
    assert "ollama create support -f Modelfile" in out.commands["Ollama"]


def test_exporting_twice_leaves_the_same_folder(out, state):
    again = exporting.export(JOB, out.folder, name="support", state=state)
    assert again.files == out.files


def test_a_job_that_is_not_finished_here_is_an_error(state, tmp_path):
    (state / "jobs" / JOB / PROGRESS).write_text('{"type": "checkpoint", "path": "x"}\n')
    for job in (JOB, "ftjob-none"):
        with pytest.raises(DataError, match="no adapter of"):
            exporting.export(job, tmp_path / "none", name="support", state=state)


def test_of_a_job_that_was_ended_a_step_that_is_named_can_be_taken(state, tmp_path):
    rows = [{"type": "checkpoint", "step": n, "path": f"checkpoints/step-{n}"} for n in (5, 10)]
    text = "".join(json.dumps(row) + "\n" for row in [*rows, {"type": "step", "step": 11}])
    (state / "jobs" / JOB / PROGRESS).write_text(text, encoding="utf-8")
    out = exporting.export(JOB, tmp_path / "out", name="support", state=state, step=5)
    assert (out.folder / "adapter.gguf").read_bytes() == b"GGUF adapter 5"
    with pytest.raises(DataError, match="no adapter of"):
        exporting.export(JOB, tmp_path / "none", name="support", state=state)


def test_a_model_that_calls_tools_takes_templates_with_tools_along(state, tmp_path):
    out = exporting.export(JOB, tmp_path / "out", name="desk", state=state, tools=True)
    template = (out.folder / "chat_template.jinja").read_text(encoding="utf-8")
    assert "<tool_call>" in template
    assert "--jinja --chat-template-file chat_template.jinja" in out.commands["llama.cpp"]
    assert "--tool-call-parser hermes --enable-auto-tool-choice" in out.commands["vLLM"]
    text = (out.folder / "Modelfile").read_text(encoding="utf-8")
    assert "{{- range .Tools }}" in text
    assert text.count("{{ range .ToolCalls }}") == 1


def test_the_card_names_data_licence_and_how_to_serve(state, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting.settings, "base_gguf", lambda: tmp_path / "weights.gguf")
    out = exporting.export(JOB, tmp_path / "out", name="support", state=state)
    card = (out.folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: peft\nbase_model: HuggingFaceTB/SmolLM2")
    for word in ("not known", "Apache-2.0", "ollama create", "vllm serve", "No scores"):
        assert word in card


def test_scores_stand_on_the_card_with_their_intervals(state, tmp_path):
    scores = {"key facts": "0.81 [0.74, 0.87]", "yes|no": 0.5}
    out = exporting.export(JOB, tmp_path / "out", name="support", state=state, scores=scores)
    card = (out.folder / "README.md").read_text(encoding="utf-8")
    assert "| key facts | 0.81 [0.74, 0.87] |\n| yes\\|no | 0.5 |" in card


def test_a_base_that_came_as_gguf_is_not_merged(state, tmp_path):
    with pytest.raises(DataError, match=r"came as GGUF.*models add"):
        exporting.export(JOB, tmp_path / "out", name="desk", state=state, merged=True)


@pytest.mark.skipif(sys.platform == "win32", reason="a script for a shell")
def test_a_script_starts_the_model_from_any_folder(out, tmp_path):
    script = exporting.write_start(out, "vllm")
    assert script.name == "serve-vllm.sh"
    program = tmp_path / "bin" / "vllm"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nls peft >/dev/null && echo "$@"\n')
    program.chmod(0o755)
    env = {"PATH": f"{program.parent}:/usr/bin:/bin"}
    command = ["sh", str(script), "--port", "8001"]
    # The base came as GGUF from nowhere: whoever serves says where its full weights are.
    refused = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "names the folder of the base model" in refused.stderr
    done = subprocess.run(
        command, env=env | {"BASE": "/bases/tiny"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [
        "serve", "/bases/tiny", "--enable-lora", "--max-lora-rank", "32", "--lora-modules",
        "support=./peft", "--port", "8001",
    ]  # fmt: skip
    with pytest.raises(DataError, match="use one of"):
        exporting.write_start(out, "sglang")
    assert exporting.client_address("vllm") == exporting.client_address("vLLM")
