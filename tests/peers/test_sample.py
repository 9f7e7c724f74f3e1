"""Two of the programs that nobody here wrote, in every whole run; `test --peers` runs them all."""

from __future__ import annotations

import shutil

import pytest

from tests.peers import openai_tests

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_openais_own_tests_of_each_route_pass(environment_of, server, tmp_path):
    """Its strict client reads each answer; the other clients get the same ones."""
    python = environment_of("openai_sdk")
    which = "strict and not Async and test_method"
    found, unnamed = openai_tests.run(python, server, tmp_path, which)
    assert len(found.passed) > 40
    assert not unnamed, "\n".join(unnamed)


@pytest.mark.skipif(shutil.which("npm") is None, reason="Node.js is not installed")
def test_vercels_ai_sdk_chats_streams_and_calls_tools(node_modules, ask_peer):
    found = ask_peer("ai_sdk", "", ["node", "ai_sdk.mjs"], node_modules)
    assert found.failed == {}
    assert len(found.passed) > 20
