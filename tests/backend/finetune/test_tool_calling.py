"""A real model that knows no tools keeps to a tool's schema when it must call one."""

from __future__ import annotations

import pytest
from openai import OpenAI

from helpers.base.settings import BASE_MODEL
from tests.backend.finetune.calling import TOOLS, asked, call_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def client(server):
    return OpenAI(base_url=f"{server.url}/v1", api_key=server.token)


def test_a_call_that_must_be_made_fits_its_tool_even_from_a_model_that_knows_none(client):
    once = {"parallel_tool_calls": False, "temperature": 1, "seed": 1}
    for question in ("Where is LW12345678?", "Hello", "Write a poem."):
        # Free text among the arguments may be cut off at the limit: only the name is certain.
        message = asked(client, BASE_MODEL, question, tool_choice="required", **once)
        (call,) = message.tool_calls
        assert call.function.name in {tool["function"]["name"] for tool in TOOLS}
    choice = {"type": "function", "function": {"name": "move_visit"}}
    made = call_in(asked(client, BASE_MODEL, "Friday morning please", tool_choice=choice, **once))
    assert made["name"] == "move_visit"
    days = TOOLS[2]["function"]["parameters"]["properties"]["day"]["enum"]
    assert made["arguments"]["day"] in days
    assert made["arguments"]["part"] in ("morning", "afternoon")
