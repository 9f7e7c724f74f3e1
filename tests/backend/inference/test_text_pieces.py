"""Text from tokens: letters of several bytes, and stop strings across tokens."""

from __future__ import annotations

import pytest

from helpers.backend.inference.text_pieces import TextPieces
from helpers.backend.protocol.sampling import TokenLogprob
from helpers.base.tokens import local_tokenizer


def read(text: str, stop: tuple[str, ...] = (), ids: list[int] | None = None):
    tokenizer = local_tokenizer()
    pieces = TextPieces(tokenizer, stop)
    given, entries = [], []
    for token in ids or tokenizer.encode_text(text):
        data = tokenizer.bytes_of(token)
        part, ready = pieces.add(token, TokenLogprob(str(token), -1.0, tuple(data)))
        given.append(part)
        entries += ready
        if pieces.stopped:
            return given, entries
    part, ready = pieces.rest()
    return [*given, part], [*entries, *ready]


@pytest.mark.parametrize("text", ["plain words", "Grüße, 日本語 👩‍👩‍👧!", "مرحبا"])
def test_pieces_are_whole_letters_and_together_the_text(text) -> None:
    given, entries = read(text)
    assert "".join(given) == text
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(given)
    assert b"".join(bytes(entry.bytes) for entry in entries).decode() == text


@pytest.mark.parametrize("stop", [" STOP", "日", "l,", "o, w"])
def test_nothing_of_a_stop_string_is_given_out(stop) -> None:
    text = "Hello, all! o, l STOP and 日本語"
    given, entries = read(text, (stop,))
    assert "".join(given) == text.split(stop)[0]
    assert not any(part.endswith(stop[:1]) for part in given[-1:] if len(stop) > 1)
    reported = b"".join(bytes(entry.bytes) for entry in entries).decode("utf-8", "replace")
    assert reported.startswith(text.split(stop)[0])


def test_the_beginning_of_a_stop_string_that_does_not_come_is_given_out() -> None:
    assert "".join(read("one\nEN two", ("\nEND",))[0]) == "one\nEN two"


def test_the_earliest_of_several_stop_strings_counts() -> None:
    assert "".join(read("a b c d", (" c", " b"))[0]) == "a"


def test_a_letter_that_is_cut_off_is_left_out() -> None:
    ids = local_tokenizer().encode_text("ok 🦄")
    given, _ = read("", ids=ids[:-1])
    assert "".join(given) in ("ok ", "ok")
