"""Simon Willison's llm: its models of other servers, by its library and its command."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from checks import ASKED, KEY, MODEL, URL, check
from pydantic import BaseModel

FOLDER = Path(tempfile.mkdtemp())
(FOLDER / "extra-openai-models.yaml").write_text(
    f"- model_id: here\n  model_name: {MODEL}\n  api_base: {URL}\n  api_key_name: here\n"
    "  supports_schema: true\n  supports_tools: true\n"
    f"- model_id: old\n  model_name: {MODEL}\n  api_base: {URL}\n  api_key_name: here\n"
    "  completion: true\n"
)
(FOLDER / "keys.json").write_text(json.dumps({"here": KEY}))
os.environ["LLM_USER_PATH"] = str(FOLDER)

import llm  # noqa: E402 - it reads its folder when it is imported


class City(BaseModel):
    name: str
    people: int


def model(name="here"):
    return llm.get_model(name)


def order_status(number: int) -> str:
    """Where an order is."""
    return "sent"


@check
def prompt():
    assert model().prompt(ASKED, stream=False, max_tokens=24).text()


@check
def stream():
    assert "".join(model().prompt(ASKED, max_tokens=24))


@check
def second_turn():
    talk = model().conversation()
    talk.prompt(ASKED, max_tokens=24).text()
    assert talk.prompt("And again.", max_tokens=24).text()


@check
def schema():
    said = model().prompt("Paris, 2 million people", schema=City, stream=False, max_tokens=300)
    City.model_validate_json(said.text())


@check
def old_completions():
    assert model("old").prompt("Once upon a time", stream=False, max_tokens=8).text()


@check
def command():
    words = [sys.executable, "-m", "llm", "-m", "here", "-o", "max_tokens", "24", ASKED]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.strip(), done.stderr[-300:]


@check
def tools():
    said = model().chain("Where is order 7?", tools=[order_status], options={"max_tokens": 40})
    assert said.text()
