"""The real model's answers fit the schemas they were asked for, and its prompts are scored."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor

import jsonschema
import pytest

from helpers.base.settings import BASE_MODEL
from helpers.base.tokens import local_tokenizer
from tests.backend.protocol.test_json_schema import CHECKER, REFUSED, TYPES, schema_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_every_answer_fits_its_schema_or_was_cut_off(client):
    schemas = {name: schema_of(kind) for name, kind in TYPES.items() if name not in REFUSED}

    def ask(name):
        form = {"name": "answer", "strict": True, "schema": schemas[name]}
        return client.chat.completions.create(
            model=BASE_MODEL,
            messages=[{"role": "user", "content": f"Make up a {name}. Answer as JSON."}],
            response_format={"type": "json_schema", "json_schema": form},
            temperature=0,
            max_tokens=60,
        ).choices[0]

    with ThreadPoolExecutor(8) as pool:
        answers = dict(zip(schemas, pool.map(ask, schemas), strict=True))
    whole = {name: a.message.content for name, a in answers.items() if a.finish_reason == "stop"}
    for name, text in whole.items():
        validator = jsonschema.Draft202012Validator(schemas[name], format_checker=CHECKER)
        validator.validate(json.loads(text))
    # Numbers and lists without a bound may run on until they are cut off.
    assert len(whole) > len(schemas) / 2, sorted(answers.keys() - whole.keys())
    assert all(not text.endswith("  ") for text in (a.message.content for a in answers.values()))


def test_a_prompt_is_scored_as_the_model_would_go_on(client):
    text = "The capital of France is Paris"
    asked = {"model": BASE_MODEL, "temperature": 0, "logprobs": 1}
    scored = client.completions.create(**asked, prompt=text, echo=True, max_tokens=0).choices[0]
    found = scored.logprobs
    assert scored.text == "".join(found.tokens) == text
    assert found.token_logprobs[0] is None
    assert all(-30 < value < 0 for value in found.token_logprobs[1:])
    assert [text[at:] for at in found.text_offset][1].startswith(" capital")
    ids = local_tokenizer().encode(text)
    again = client.completions.create(**asked, prompt=ids, echo=True, max_tokens=1).choices[0]
    assert again.logprobs.token_logprobs[1:6] == pytest.approx(found.token_logprobs[1:], abs=0.05)
    # What the model says by itself is as likely as when it is scored.
    said = client.completions.create(**asked, prompt=text, max_tokens=1).choices[0]
    both = client.completions.create(
        **asked, prompt=text + said.text, echo=True, max_tokens=0
    ).choices[0]
    assert both.logprobs.token_logprobs[-1] == pytest.approx(
        said.logprobs.token_logprobs[0], abs=0.05
    )


def test_parts_of_letters_and_marks_are_scored_too(client):
    text = "Tea 漢<|im_end|> go"
    scored = client.completions.create(
        model=BASE_MODEL, prompt=text, echo=True, max_tokens=0, logprobs=1
    ).choices[0]
    ids = local_tokenizer().encode(text)
    assert len(scored.logprobs.tokens) == len(ids)
    assert all(math.isfinite(value) for value in scored.logprobs.token_logprobs[1:])
    assert scored.text == text
