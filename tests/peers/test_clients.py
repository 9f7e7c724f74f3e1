"""Clients of OpenAI's API, with their default modes, doing real work on the embedded server.

A check that fails must stand in `HANGS_ON`, with what it hangs on; one that stands there and
passes is taken off the list.
"""

from __future__ import annotations

import shutil

import pytest

from tests.peers.conftest import HERE, Outcome

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(3000)]

SIZE = "a model of 135 million parameters does not follow the instruction"
OWN_NAMES = "of names without a provider, LiteLLM takes only those of OpenAI's own models"
HANGS_ON: dict[str, dict[str, str]] = {
    "instructor": {"json_mode": SIZE, "markdown_json": SIZE},
    "pydantic_ai": {"structured_prompted": SIZE},
    "dspy": {"typed": SIZE, "ask_what_finetune_gave": OWN_NAMES},
    "langchain_js": {"json_mode": SIZE},
}  # fmt: skip
PYTHON = (
    "dspy", "haystack", "inspect_ai", "instructor", "langchain_openai", "litellm",
    "llama_index", "llm", "lm_eval", "openai_agents", "pydantic_ai",
)  # fmt: skip
NODE = ("openai_node", "ai_sdk", "langchain_js")
PACKAGES = {
    "openai_node": "openai",
    "ai_sdk": "ai",
    "langchain_js": "@langchain/openai",
    "haystack": "haystack-ai",
    "llama_index": "llama-index-core",
    "pydantic_ai": "pydantic-ai-slim",
}


def judge(found: Outcome) -> None:
    """Every failure is expected, and every expected one is still there."""
    known = HANGS_ON.get(found.client, {})
    unexpected = {name: why for name, why in found.failed.items() if name not in known}
    found.failed.update({name: why for name, why in known.items() if name in found.failed})
    assert unexpected == {}
    assert sorted(name for name in known if name in found.passed) == []


def version_of(name: str) -> str:
    package = PACKAGES.get(name, name).replace("_", "-")
    for line in (HERE / "pins" / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        pinned, _, version = line.partition("==")
        if pinned == package:
            return version
    raise AssertionError(f"{package} is not pinned")


@pytest.mark.parametrize("name", PYTHON)
def test_a_python_client(name, environment_of, ask_peer, results, tmp_path, monkeypatch):
    python = environment_of(name)
    script = HERE / "clients" / f"use_{name}.py"
    found = ask_peer(name, version_of(name), [str(python), str(script)], tmp_path)
    results.append(found)
    judge(found)


@pytest.mark.skipif(shutil.which("npm") is None, reason="Node.js is not installed")
@pytest.mark.parametrize("name", NODE)
def test_a_node_client(name, node_modules, ask_peer, results):
    import json

    package = PACKAGES[name]
    pins = json.loads((node_modules / "package.json").read_text(encoding="utf-8"))
    version = pins["dependencies"][package]
    found = ask_peer(name, version, ["node", f"{name}.mjs"], node_modules)
    results.append(found)
    judge(found)
