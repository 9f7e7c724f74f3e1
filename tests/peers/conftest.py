"""Programs that nobody here wrote, each in an environment of its own.

They run with `python3 -m helpers test --peers`: making their environments needs the network
and some minutes. What they found is written to `docs/peers.md`, with versions and date. Other
runs have a sample of two, which is skipped without a network.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from helpers.base import settings
from helpers.base.chat_format import END
from helpers.base.errors import SetupError
from helpers.base.settings import BASE_MODEL, EMBEDDING_MODEL
from helpers.base.tokens import local_tokenizer, openai_tokenizer
from helpers.legacy import environments
from tests.peers import table

HERE = Path(__file__).resolve().parent
SAMPLE = "test_sample.py"
PEERS = bool(os.environ.get("WORKBOOK_PEERS"))
collect_ignore = [p.name for p in HERE.glob("test_*.py") if (p.name == SAMPLE) == PEERS]
LIMIT = 2700
"""Seconds for all checks of one client, on two cores that others may use too."""


@dataclass
class Outcome:
    """What the checks of one client came to."""

    client: str
    version: str
    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Reason by check."""


def fetched(command: list[str], folder: Path) -> None:
    """Run what asks the network; a sample is skipped where that fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode and not PEERS:
        pytest.skip(f"{command[0]} cannot fetch it here: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def environment_of() -> Callable[[str], Path]:
    """The Python of an environment with the pins of one client."""

    def make(name: str) -> Path:
        config = settings.load()
        folder = (config.environments or config.state) / "peers" / name
        try:
            return environments.ensure(folder, HERE / "pins" / f"{name}.txt")
        except SetupError as error:
            if not PEERS and ("no network" in error.message or "no build" in error.message):
                pytest.skip(f"{name} cannot be installed here: {error.message}")
            raise

    return make


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory) -> Path:
    """A folder with the scripts and the packages of package-lock.json."""
    config = settings.load()
    folder = (config.environments or config.state) / "peers" / "node"
    folder.mkdir(parents=True, exist_ok=True)
    for path in (HERE / "node").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    if not (folder / "node_modules").is_dir():
        fetched(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], folder)
    return folder


def _tokenizer(folder: Path) -> str:
    """The base model's tokenizer, in a folder as Hugging Face's packages read it."""
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END}
    (folder / "tokenizer_config.json").write_text(json.dumps(kind), encoding="utf-8")
    local_tokenizer().core.save(str(folder / "tokenizer.json"))
    return str(folder)


@pytest.fixture(scope="session")
def ask_peer(server, tmp_path_factory) -> Callable[..., Outcome]:
    """Run a client's script and collect what it prints."""
    openai_tokenizer("cl100k_base")
    words = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "OPENAI_API_KEY": server.token,
        "CHAT_MODEL": BASE_MODEL,
        "EMBEDDING_MODEL": EMBEDDING_MODEL,
        "TOKENIZER": _tokenizer(tmp_path_factory.mktemp("tokenizer")),
        "TIKTOKEN_CACHE_DIR": str(settings.load().state / "cache" / "tiktoken"),
    }

    def ask(client: str, version: str, command: list[str], folder: Path) -> Outcome:
        done = subprocess.run(
            command,
            cwd=folder,
            env=words,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        found = Outcome(client, version)
        for line in done.stdout.splitlines():
            if line.startswith("CHECK "):
                said = json.loads(line.removeprefix("CHECK "))
                if said["ok"]:
                    found.passed.append(said["check"])
                else:
                    found.failed[said["check"]] = said["why"]
        assert found.passed or found.failed, f"{done.stdout}\n{done.stderr}"[-2000:]
        return found

    return ask


@pytest.fixture(scope="session")
def results() -> Iterator[list[Outcome]]:
    """Outcomes of this run; at its end they go into the table."""
    found: list[Outcome] = []
    yield found
    if target := os.environ.get("WORKBOOK_PEERS_TABLE"):
        table.write(Path(target), found, dt.datetime.now(dt.UTC).date())
