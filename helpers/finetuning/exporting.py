"""Take a tuned model out of the course: its files in one folder, with what runs them.

For: Ollama, llama.cpp, vLLM and LM Studio, each with an API like OpenAI's. The adapter is copied
as it was trained: as a PEFT folder and as a GGUF file, with the base model beside it; merged, it
is one model that needs no adapter. Not for: hosted fine-tunes, whose weights nobody gets.

    out = export(job.id, state / "export" / "support", name="support")
    print(out.commands["Ollama"])
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.backend.bases.families import read_shape
from helpers.backend.bases.served import served_gguf
from helpers.backend.training.spec import TrainSpec, read_progress
from helpers.base import settings
from helpers.base.chat_format import END, START
from helpers.base.errors import DataError
from helpers.base.files import own_copy
from helpers.base.markup import cell, html_text
from helpers.base.template_tokenizer import BASE_FILE, folder_of, load
from helpers.datasets.exporting.template import chat_template
from helpers.finetuning.model_card import CardFacts, model_card
from helpers.finetuning.ollama_template import ollama_template, tool_template

ADAPTER, BASE, PEFT = "adapter.gguf", "base.gguf", "peft"
MERGED, MERGED_GGUF, TOKENIZER, CARD = "merged", "merged.gguf", "tokenizer", "README.md"
TEMPLATE = "chat_template.jinja"
HUGGING_FACE = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""The course's base model, where vLLM finds its full weights."""
UNKNOWN_BASE = "FOLDER_OF_THE_BASE"
LICENCE = "Apache-2.0"
"""Of the base model's weights."""
CONTEXT = 8192
PORT = {"Ollama": 11434, "llama.cpp": 8080, "vLLM": 8000, "LM Studio": 1234}
TOKENIZER_FILES = (
    "config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "*.jinja",
    "added_*.json",
)
"""What it takes to write a chat as the base reads it."""


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
            f"<tr>{cell(f'<code>{html_text(path)}</code>')}"
            f'<td style="text-align:right">{size:,}</td></tr>'
            for path, size in self.files.items()
        )
        return f"<table><tr>{cell('file', 'th')}<th>bytes</th></tr>{rows}</table>"


@dataclass(frozen=True)
class TunedBase:
    """The base that an adapter was trained on, as an export names it."""

    name: str
    source: str
    """Where its full weights are: `owner/name` on a hub, with its revision; empty if only here."""
    licence: str
    context: int
    folder: Path | None = None
    """Its Hugging Face folder; None for one that came as GGUF."""

    @property
    def full_weights(self) -> str:
        """What vLLM is given."""
        return self.source.partition("@")[0] or UNKNOWN_BASE


def export(
    job_id: str,
    folder: Path,
    *,
    name: str,
    state: Path | None = None,
    step: int | None = None,
    system: str = "",
    merged: bool = False,
    tools: bool = False,
    scores: Mapping[str, object] | None = None,
) -> ExportedModel:
    """Copy the adapter of a finished job, its base model, a Modelfile and a card into `folder`.

    `step` takes an earlier checkpoint than the last, also of a job that was ended; `system` is the
    message that Ollama puts before each chat. `merged` also writes one model that needs no adapter,
    as Hugging Face folder and as GGUF: twice the base's size more. `tools`, for a model that was
    trained to call them, writes the templates with them in. `scores` go into the card, by name,
    say with their intervals. Raises `DataError` if no such job was trained on this machine, and
    for `merged` where the base came as GGUF.
    """
    job = (state or settings.load().state) / "jobs" / job_id
    rows = read_progress(job)
    checkpoints = [row for row in rows if row["type"] == "checkpoint"]
    made = [row["path"] for row in checkpoints if step is None or row["step"] == step]
    # A job that was cancelled leaves checkpoints too, but no "done" row: of these, only one that
    # is asked for by its step is meant.
    if not made or (step is None and rows[-1]["type"] != "done"):
        raise DataError(
            f"no adapter of {job_id} on this machine",
            fix="a job of the embedded server that has succeeded is needed, and a step it kept",
        )
    adapter, spec = job / made[-1], TrainSpec.read(job)
    base = _base_of(Path(spec.base_gguf))
    if merged and base.folder is None:
        raise DataError(
            f"{base.name} came as GGUF, with numbers too coarse to add an adapter to",
            fix="train on its Hugging Face folder, see: python3 -m helpers models add",
        )
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(adapter / ADAPTER, folder / ADAPTER)
    _copy_base(Path(spec.base_gguf), folder, base)
    _copy_peft(adapter, folder / PEFT, base)
    if merged and base.folder:
        _merge(base.folder, adapter, folder)
    # A base that came as GGUF is read with the course's own ChatML; another one has a template.
    own = base.folder is None
    text = (
        modelfile(system=system, tools=tools, licence=base.licence)
        if own
        else _own_modelfile(base, system)
    )
    (folder / "Modelfile").write_text(text, encoding="utf-8")
    if tools and own:
        # The base's own template has no tools; another base brings its own, in its GGUF.
        (folder / TEMPLATE).write_text(chat_template(markers=False), encoding="utf-8")
    run = commands(name, rank=spec.rank, base=base, merged=merged, tools=tools)
    card = model_card(_facts(name, job, spec, base, rows), commands=run, scores=scores)
    (folder / CARD).write_text(card, encoding="utf-8")
    # Listed after everything is written: the card and the Modelfile are part of the folder.
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}
    return ExportedModel(folder, name, files, run)


def export_base(gguf: Path, folder: Path, *, system: str = "") -> TunedBase:
    """Copy a base without any adapter into `folder`, which is there, with its Modelfile."""
    base = _base_of(gguf)
    _copy_base(gguf, folder, base)
    text = (
        modelfile(adapter=False, system=system, licence=base.licence)
        if base.folder is None
        else _own_modelfile(base, system, adapter=False)
    )
    # A lone surrogate, which a system message out of a broken table can hold, becomes "?".
    (folder / "Modelfile").write_text(text, encoding="utf-8", errors="replace")
    return base


def _copy_base(gguf: Path, folder: Path, base: TunedBase) -> None:
    # A second name for the same bytes where the disk allows it: the base model is large.
    (folder / BASE).unlink(missing_ok=True)
    own_copy(served_gguf(gguf), folder / BASE)
    if base.folder:
        _copy_tokenizer(base.folder, folder)


def _base_of(gguf: Path) -> TunedBase:
    """What is known of a base by its file."""
    source = folder_of(gguf)
    if source is None:
        own = gguf == settings.base_gguf()
        return TunedBase(gguf.stem, HUGGING_FACE if own else "", LICENCE if own else "", CONTEXT)
    known = json.loads((gguf.parent / BASE_FILE).read_text(encoding="utf-8"))
    shape = read_shape(json.loads((source / "config.json").read_text(encoding="utf-8")))
    context = min(shape.context, CONTEXT)
    return TunedBase(source.name, known["source"], known["licence"], context, source)


def _facts(
    name: str, job: Path, spec: TrainSpec, base: TunedBase, rows: Sequence[Mapping[str, Any]]
) -> CardFacts:
    examples = next((row["examples"] for row in rows if row["type"] == "started"), 0)
    return CardFacts(
        name,
        base.name,
        base.source,
        base.licence,
        job.name,
        spec.training_sha256,
        examples,
        spec.n_epochs,
        spec.rank,
        spec.seed,
    )


def _copy_tokenizer(source: Path, target: Path) -> None:
    """What reads chats for `base.gguf`, and a note that says where it is."""
    # An earlier export of another base may have left files that this one does not have.
    shutil.rmtree(target / TOKENIZER, ignore_errors=True)
    (target / TOKENIZER).mkdir()
    for form in TOKENIZER_FILES:
        for path in source.glob(form):
            shutil.copyfile(path, target / TOKENIZER / path.name)
    (target / BASE_FILE).write_text(json.dumps({"folder": TOKENIZER}), encoding="utf-8")


def _merge(source: Path, adapter: Path, target: Path) -> None:
    # Here: who exports an adapter alone needs none of it.
    from helpers.backend.bases.convert import write_gguf
    from helpers.backend.bases.merge import write_merged

    write_merged(source, adapter, target / MERGED)
    reader = load(source)
    template, end = reader.template.source, reader.end_mark
    write_gguf(target / MERGED, target / MERGED_GGUF, template=template, end=end)


def _copy_peft(adapter: Path, target: Path, base: TunedBase) -> None:
    """The PEFT files alone, naming the base model instead of a path on this machine."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    shutil.copy2(adapter / "adapter_model.safetensors", target)
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    # "owner/name@revision" in our files; PEFT takes the name alone.
    config["base_model_name_or_path"] = base.source.partition("@")[0] or base.name
    (target / "adapter_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def modelfile(
    *, adapter: bool = True, system: str = "", tools: bool = False, licence: str = LICENCE
) -> str:
    """What `ollama create` reads: base, adapter, the chat template (ChatML), greedy answers.

    `system` is the message that the model was trained with: without it, it answers otherwise.
    `tools` puts offered tools, calls and results into the template.
    """
    template = (
        tool_template()
        if tools
        else (
            f"{{{{- range .Messages }}}}{START}{{{{ .Role }}}}\n"
            f"{{{{ .Content }}}}{END}\n{{{{ end }}}}{START}assistant\n"
        )
    )
    adapter_line = f"ADAPTER ./{ADAPTER}\n" if adapter else ""
    return (
        f"FROM ./{BASE}\n{adapter_line}"
        f'TEMPLATE """{template}"""\n'
        f"{_system_line(system)}"
        f'PARAMETER stop "{END}"\nPARAMETER temperature 0\nPARAMETER num_ctx {CONTEXT}\n'
        + _licence_line(licence)
    )


def _own_modelfile(base: TunedBase, system: str, *, adapter: bool = True) -> str:
    """The same for a base with a template of its own."""
    assert base.folder
    reader = load(base.folder)
    template = ollama_template(reader.template)
    said = f'TEMPLATE """{template}"""\n' if template else ""
    adapter_line = f"ADAPTER ./{ADAPTER}\n" if adapter else ""
    return (
        f"FROM ./{BASE}\n{adapter_line}{said}{_system_line(system)}"
        f'PARAMETER stop "{reader.end_mark}"\nPARAMETER temperature 0\n'
        f"PARAMETER num_ctx {base.context}\n{_licence_line(base.licence)}"
    )


def _licence_line(licence: str) -> str:
    """Nothing for a base whose licence is not known."""
    return f'LICENSE """{licence}"""\n' if licence else ""


def _system_line(text: str) -> str:
    """A system message for Ollama; three quotes in it would end the text too early."""
    quotes = '"' * 3
    safe = text.replace(quotes, "''")
    return f"SYSTEM {quotes}{safe}{quotes}\n" if text else ""


def commands(
    name: str,
    *,
    rank: int,
    base: TunedBase | None = None,
    merged: bool = False,
    tools: bool = False,
) -> dict[str, str]:
    """How each program is started, inside the exported folder."""
    context = base.context if base else CONTEXT
    own = base is None or base.folder is None
    file = TEMPLATE if own else ""
    for_llama = (
        f" \\\n    --jinja{f' --chat-template-file {file}' if file else ''}" if tools else ""
    )
    # The parser is of Hermes' form, as the course's model and Qwen write calls.
    hermes = " --tool-call-parser hermes --enable-auto-tool-choice"
    for_vllm = f" \\\n   {hermes}{f' --chat-template {file}' if file else ''}" if tools else ""
    found = {
        "Ollama": f"ollama create {name} -f Modelfile\nollama run {name}",
        "llama.cpp": (
            f"llama-server -m {BASE} --lora {ADAPTER} \\\n"
            f"    --ctx-size {context} --port {PORT['llama.cpp']}{for_llama}"
        ),
        "vLLM": (
            f"vllm serve {base.full_weights if base else HUGGING_FACE} --enable-lora \\\n"
            f"    --max-lora-rank {rank} --lora-modules {name}=./{PEFT}{for_vllm}"
        ),
    }
    if merged:
        # LM Studio loads no adapters.
        found["LM Studio"] = f"lms import {MERGED_GGUF}\nlms server start"
    return found


def write_start(out: ExportedModel, program: str) -> Path:
    """A script in the folder that serves the model there; it takes further options.

    `BASE` in its environment names full weights of the base that lie elsewhere. Raises `DataError`
    for a program that is not served by a script.
    """
    names = {name.lower(): name for name in PORT if name in out.commands and name != "LM Studio"}
    if program.lower() not in names:
        raise DataError(f"no command for {program!r}", fix=f"use one of: {', '.join(names)}")
    command = out.commands[names[program.lower()]]
    command = command.replace(UNKNOWN_BASE, '"${BASE:?names the folder of the base model}"')
    command = re.sub(r"^vllm serve (\w\S+)", r'vllm serve "${BASE:-\1}"', command)
    lines = ["#!/bin/sh", "set -e", 'cd "$(dirname "$0")"', f'{command} "$@"']
    path = out.folder / f"serve-{program.lower()}.sh"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def client_address(program: str) -> str:
    """The base URL of a program's API on this machine, for `OPENAI_BASE_URL`."""
    ports = {name.lower(): port for name, port in PORT.items()}
    return f"http://localhost:{ports[program.lower()]}/v1"
