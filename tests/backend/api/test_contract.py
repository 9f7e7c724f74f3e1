"""schemathesis against OpenAI's API description: every operation, every check, and in sequence.

The engine answers at once, so that thousands of requests fit into a minute; that the real
model's answers conform is shown by `test_openai_document`.
"""

from __future__ import annotations

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from helpers.backend.service.limits import Limits
from helpers.base.settings import BASE_MODEL, EMBEDDING_MODEL
from tests.backend.in_process import TOKEN, InstantEngine, served
from tests.backend.openai_document import document, known_models, mended

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
document()
MODELS = {
    "CreateChatCompletionRequest": BASE_MODEL,
    "CreateCompletionRequest": BASE_MODEL,
    "CreateEmbeddingRequest": EMBEDDING_MODEL,
    "CreateFineTuningJobRequest": BASE_MODEL,
    "ResponseProperties": BASE_MODEL,
}
PHASES = ("examples", "coverage", "fuzzing", "stateful")
EXAMPLES = {"coverage": 100, "fuzzing": 4, "stateful": 20}
"""Of each operation. `tests/peers/test_contract_at_length.py` asks more of them."""
ACCEPTED = ["2xx", "401", "403", "404", "409", "429"]
REFUSABLE = {"expected-statuses": [*ACCEPTED, "400"]}
"""What the description cannot say: a line must be JSONL, this model reads no pictures."""


def operation(path: str, *, more: dict | None = None, **checks: dict) -> dict:
    return {"include-path": path, "include-method": "POST", "checks": checks, **(more or {})}


ASKING = [
    # A field that this server does not read, for instance of audio, is not judged.
    operation(
        path,
        more={"phases": {"coverage": {"enabled": False}}, "generation": {"mode": mode}},
        positive_data_acceptance=REFUSABLE,
        negative_data_rejection={"enabled": False},
    )
    # schemathesis cannot spell out the opposite of one schema in Responses.
    for path, mode in (("/chat/completions", "all"), ("/responses", "positive"))
]
OPERATIONS = [
    *ASKING,
    operation("/completions", positive_data_acceptance=REFUSABLE),
    operation("/embeddings", positive_data_acceptance=REFUSABLE),
    operation("/files", positive_data_acceptance=REFUSABLE),
    operation("/fine_tuning/jobs", positive_data_acceptance=REFUSABLE),
    *(
        operation(
            f"/fine_tuning/jobs/{{fine_tuning_job_id}}/{verb}", positive_data_acceptance=REFUSABLE
        )
        for verb in ("cancel", "pause", "resume")
    ),
]


def failures(url: str, phase: str, examples: int) -> tuple[dict[str, str], int]:
    """What a phase finds, each kind once with a command that shows it; and how much it did."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": 20_261_122,
            "base-url": f"{url}/v1",
            "headers": {"Authorization": f"Bearer {TOKEN}"},
            "continue-on-failure": True,
            "request-timeout": 120,
            "generation": {
                "no-shrink": True,
                "database": "none",
                "max-examples": examples,
            },
            "operations": OPERATIONS,
            "phases": {name: {"enabled": name == phase} for name in PHASES},
        }
    )
    whole = mended()
    known_models(whole, MODELS)
    found, requests = {}, 0
    for event in from_schema(schemathesis.openapi.from_dict(whole, config=config)).execute():
        assert not isinstance(event, events.NonFatalError | events.FatalError), event
        if isinstance(event, events.ScenarioFinished):
            requests += len(event.recorder.interactions)
            for checks in event.recorder.checks.values():
                for info in (check.failure_info for check in checks if check.failure_info):
                    kind = f"{event.recorder.label}: {info.failure.title}"
                    found.setdefault(kind, f"{info.failure.message}\n{info.code_sample[:800]}")
    return found, requests


@pytest.mark.parametrize("phase", EXAMPLES)
def test_the_server_keeps_to_openais_description(settings, phase):
    keeps_to_the_description(settings, phase, EXAMPLES[phase])


def keeps_to_the_description(settings, phase, examples):
    with served(settings, InstantEngine(), Limits(jobs=100_000)) as (_, url):
        found, requests = failures(url, phase, examples)
    assert not found, "\n\n".join(f"{kind}\n{shown}" for kind, shown in found.items())
    assert requests > 100
