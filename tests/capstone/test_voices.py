"""The chat on one's own data reads and looks up as the proof did."""

from __future__ import annotations

from helpers.base import jsonl
from helpers.capstone import voices
from helpers.capstone.methods import PromptForm
from helpers.capstone.samples import readable, turns
from helpers.costs.monthly import BASE
from tests.capstone.fake import embed

LONG = " ".join(f"word{n}" for n in range(3000))
TALK = [{"role": "user", "content": LONG}, {"role": "assistant", "content": "In Berlin."}]


def test_a_very_long_message_is_looked_up_and_sent_as_it_was_in_the_proof(tmp_path):
    jsonl.write(tmp_path / "dataset/train.jsonl", [{"messages": TALK}])
    store = voices._store(tmp_path, embed)
    assert store.turns == tuple(turns([readable(TALK)])) != tuple(turns([TALK]))
    asked = voices._voice(BASE, "m", PromptForm("You answer."), store, embed)(TALK[:1])
    assert asked.messages[-1] == readable(TALK)[0]
