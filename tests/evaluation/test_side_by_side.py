"""Several models asked in turn, followed piece by piece; on our own server, with a fake engine."""

import threading
from dataclasses import replace

import openai
import pytest

from helpers.backend.protocol.sampling import Delta
from helpers.base import settings as settings_module
from helpers.base.settings import BASE_MODEL
from helpers.evaluation.side_by_side import Prompted, SideBySide, plain
from helpers.widgets import chat
from tests.backend.in_process import TOKEN, InstantEngine, served


class WordEngine(InstantEngine):
    """Says the last message word by word, and how many messages it was shown."""

    def generate(self, model, prompt, sampling):
        words = f"{len(prompt)} {prompt[-1]['content']}".split()
        for word in words:
            yield Delta(f"{word} ")
        yield Delta("", finish_reason="stop", prompt_tokens=7, completion_tokens=len(words))


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    own = replace(settings_module.load(), state=tmp_path_factory.mktemp("state"))
    with served(own, WordEngine()) as (_, url):
        yield openai.OpenAI(base_url=f"{url}/v1", api_key=TOKEN, max_retries=0)


def notes(talk):
    return Prompted(BASE_MODEL, talk, notes=(("Late fee", "It is $5."),))


def declines(talk):
    return Prompted(said="I cannot say.")


def test_each_voice_is_asked_in_its_way_and_says_what_it_took(client):
    talk = SideBySide(
        client, {"a": plain(BASE_MODEL, system="Be brief."), "b": notes, "c": declines}
    )
    pieces = []
    turn = talk.ask("How much is it?", changed=lambda: pieces.append(talk.turns[0].replies[0].text))
    assert [one.text.strip() for one in turn.replies] == [
        "2 How much is it?",
        "1 How much is it?",
        "I cannot say.",
    ]
    assert turn.over
    # It could be read while it was being written.
    assert len(set(pieces)) >= 4
    first, second, third = turn.replies
    assert (first.prompt_tokens, first.completion_tokens, second.notes[0][0]) == (7, 5, "Late fee")
    assert first.cost.startswith("7 tokens read, 5 written, ")
    assert third.cost.startswith("no model was asked")


def test_what_was_said_before_is_shown_to_each_only_where_wanted(client):
    talk = SideBySide(client, {"a": plain(BASE_MODEL)})
    talk.ask("one")
    assert talk.ask("two").replies[0].text.split()[0] == "1"
    assert talk.ask("three", remember=True).replies[0].text.split()[0] == "5"


def test_a_failing_voice_says_so_and_the_next_one_speaks(client):
    talk = SideBySide(client, {"gone": plain("no-such-model"), "here": plain(BASE_MODEL)})
    gone, here = talk.ask("hello").replies
    assert gone.state == "failed"
    assert "no-such-model" in gone.error
    assert here.state == "done"


def test_a_stop_ends_the_answer_and_those_behind_it(client):
    talk, stop = SideBySide(client, {"a": plain(BASE_MODEL), "b": plain(BASE_MODEL)}), None
    stop = threading.Event()

    def at_the_second_word():
        if len(talk.turns[0].replies[0].text.split()) >= 2:
            stop.set()

    turn = talk.ask("one two three four five", changed=at_the_second_word, stop=stop)
    assert [one.state for one in turn.replies] == ["stopped", "stopped"]
    assert "five" not in turn.replies[0].text


def test_the_panel_asks_what_was_typed_and_leaves_a_table_without_a_kernel(client):
    view = chat.panel(
        client, {"base": BASE_MODEL, "with notes": notes}, system="Hi.", examples=["Is it $5?"]
    )
    receive = view._handle_custom_msg
    receive({"do": "ask", "text": "  "}, [])
    assert view.screen["notice"] == "Type a question first."
    receive({"do": "ask", "text": "and <b>now</b>?"}, [])
    view.wait()
    assert [turn["question"] for turn in view.screen["turns"]] == ["Is it $5?", "and <b>now</b>?"]
    assert view.screen["busy"] is False
    bundle = view._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    page = data["text/html"]
    assert page.count("<tr>") == 3
    assert "and &lt;b&gt;now" in page
    assert "Late fee" in page
    assert page.count("$") == page.count("<span>$</span>") > 1
    receive({"do": "clear"}, [])
    assert view.screen["turns"] == []


def test_in_plain_text_an_empty_line_ends(client):
    typed, said = iter(["hello", ""]), []
    chat.text(client, {"base": BASE_MODEL}, ask=lambda _: next(typed), say=said.append)
    assert said[0].split() == ["base:", "1", "hello"]
    assert "7 tokens read, 2 written" in said[1]
