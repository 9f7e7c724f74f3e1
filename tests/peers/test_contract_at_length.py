"""The contract with OpenAI's description once more, with four times as many examples."""

from __future__ import annotations

import pytest

from tests.backend.api.test_contract import EXAMPLES, keeps_to_the_description

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(1200)]
TIMES = 4


@pytest.mark.parametrize("phase", ["fuzzing", "stateful"])
def test_the_server_keeps_to_openais_description_at_length(settings, phase):
    keeps_to_the_description(settings, phase, TIMES * EXAMPLES[phase])
