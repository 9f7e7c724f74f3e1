"""Take a tuned model out of the course: its files in one folder, with what runs them.

For: Ollama, llama.cpp and vLLM, each with an API like OpenAI's. The adapter is copied as
it was trained: as a PEFT folder and as a GGUF file, with the base model beside it. Not for:
hosted fine-tunes, whose weights nobody gets.

    out = export(job.id, state / "export" / "support", name="support")
    print(out.commands["Ollama"])
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from helpers.backend.training.spec import TrainSpec, read_progress
from helpers.base import settings
from helpers.base.chat_format import END, START
from helpers.base.errors import DataError
from helpers.base.markup import html_text

ADAPTER, BASE, PEFT = "adapter.gguf", "base.gguf", "peft"
HUGGING_FACE = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""The course's base model, where vLLM finds its full weights."""
LICENCE = "Apache-2.0"
"""Of the base model's weights."""
CONTEXT = 8192
PORT = {"Ollama": 11434, "llama.cpp": 8080, "vLLM": 8000}


@dataclass(frozen=True)
class ExportedModel:
    """A folder that can be carried to another machine."""

    folder: Path
    name: str
    files: dict[str, int]
    """Bytes by path inside the folder."""
    commands: dict[str, str]
    """By program: what to type inside the folder."""

    def __repr__(self) -> str:
        return "\n".join(f"{size:>12,}  {path}" for path, size in self.files.items())

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><code>{html_text(path)}</code></td>"
            f'<td style="text-align:right">{size:,}</td></tr>'
            for path, size in self.files.items()
        )
        return f"<table><tr><th>file</th><th>bytes</th></tr>{rows}</table>"


def export(
    job_id: str,
    folder: Path,
    *,
    name: str,
    state: Path | None = None,
    step: int | None = None,
    system: str = "",
) -> ExportedModel:
    """Copy the adapter of a finished job, its base model, and a Modelfile into `folder`.

    `step` takes an earlier checkpoint than the last; `system` is the message that Ollama puts
    before each chat. Raises `DataError` if no such job was trained on this machine.
    """
    job = (state or settings.load().state) / "jobs" / job_id
    rows = read_progress(job)
    checkpoints = [row for row in rows if row["type"] == "checkpoint"]
    made = [row["path"] for row in checkpoints if step is None or row["step"] == step]
    if not made or rows[-1]["type"] != "done":
        raise DataError(
            f"no adapter of {job_id} on this machine",
            fix="a job of the embedded server that has succeeded is needed, and a step it kept",
        )
    adapter, spec = job / made[-1], TrainSpec.read(job)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(adapter / ADAPTER, folder / ADAPTER)
    _same_or_copy(Path(spec.base_gguf), folder / BASE)
    _copy_peft(adapter, folder / PEFT)
    (folder / "Modelfile").write_text(modelfile(system=system), encoding="utf-8")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}
    return ExportedModel(folder, name, files, commands(name, rank=spec.rank))


def _copy_peft(adapter: Path, target: Path) -> None:
    """The PEFT files alone, naming the base model instead of a path on this machine."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    shutil.copy2(adapter / "adapter_model.safetensors", target)
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = HUGGING_FACE
    (target / "adapter_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def _same_or_copy(source: Path, target: Path) -> None:
    """A second name for the same bytes where the disk allows it: the base model is large."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def modelfile(*, adapter: bool = True, system: str = "") -> str:
    """What `ollama create` reads: base, adapter, the chat template (ChatML), greedy answers.

    `system` is the message that the model was trained with: without it, it answers otherwise.
    """
    template = (
        f"{{{{- range .Messages }}}}{START}{{{{ .Role }}}}\n"
        f"{{{{ .Content }}}}{END}\n{{{{ end }}}}{START}assistant\n"
    )
    adapter_line = f"ADAPTER ./{ADAPTER}\n" if adapter else ""
    return (
        f"FROM ./{BASE}\n{adapter_line}"
        f'TEMPLATE """{template}"""\n'
        f"{_system_line(system)}"
        f'PARAMETER stop "{END}"\nPARAMETER temperature 0\nPARAMETER num_ctx {CONTEXT}\n'
        f'LICENSE """{LICENCE}"""\n'
    )


def _system_line(text: str) -> str:
    """A system message for Ollama; three quotes in it would end the text too early."""
    quotes = '"' * 3
    safe = text.replace(quotes, "''")
    return f"SYSTEM {quotes}{safe}{quotes}\n" if text else ""


def commands(name: str, *, rank: int) -> dict[str, str]:
    """How each program is started, inside the exported folder."""
    return {
        "Ollama": f"ollama create {name} -f Modelfile\nollama run {name}",
        "llama.cpp": (
            f"llama-server -m {BASE} --lora {ADAPTER} \\\n"
            f"    --ctx-size {CONTEXT} --port {PORT['llama.cpp']}"
        ),
        "vLLM": (
            f"vllm serve {HUGGING_FACE} --enable-lora \\\n"
            f"    --max-lora-rank {rank} --lora-modules {name}=./{PEFT}"
        ),
    }


def client_address(program: str) -> str:
    """The base URL of a program's API on this machine, for `OPENAI_BASE_URL`."""
    return f"http://localhost:{PORT[program]}/v1"
