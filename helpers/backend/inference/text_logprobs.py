"""How likely each token of a given text is, as `echo` with `logprobs` asks for it.

llama.cpp tells the probabilities of tokens that it chooses, and of no others. So the text is
forced upon it: a grammar that allows one token after the other, while the probabilities are
those before any grammar. For: engine.score. Not for: the probabilities of an answer.

    score(ask, tokenizer, [504, 3575, 282], alternatives=1)[0].logprob      # of token 3575
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from helpers.backend.protocol.sampling import TokenLogprob
from helpers.base.errors import BackendError
from helpers.base.local_tokenizer import LocalTokenizer

PIECE = 128
"""Tokens forced in one request: a longer grammar takes longer to read than it saves."""
Ask = Callable[[Mapping[str, Any]], list[dict[str, Any]]]
"""Sends a request to llama.cpp and returns all of its chunks."""


def score(
    ask: Ask, tokenizer: LocalTokenizer, ids: Sequence[int], *, alternatives: int
) -> list[TokenLogprob]:
    """One entry for each token but the first, which nothing stands before.

    `alternatives` likeliest tokens come with each. Raises `BackendError` if llama.cpp refuses.
    """
    found: dict[int, dict[str, Any]] = {}
    place = 1
    while place < len(ids):
        # With tokens for single bytes beside letters, llguidance holds to the first token only.
        piece = ids[place : place + (PIECE if tokenizer.from_bytes else 1)]
        ends = [n for n, token in enumerate(piece, start=1) if token in tokenizer.end_ids]
        # After a token that ends a text, llama.cpp goes on in a new request only.
        piece = piece[: ends[0]] if ends else piece
        found |= _aligned(_forced(ask, ids[:place], piece, alternatives), piece, place)
        place += len(piece)
    for place in range(1, len(ids)):
        if place not in found:
            found[place] = _looked_up(ask, tokenizer, ids[:place], ids[place])
    return [
        _entry(tokenizer, ids[place], found[place], alternatives) for place in range(1, len(ids))
    ]


def _forced(
    ask: Ask, before: Sequence[int], piece: Sequence[int], alternatives: int
) -> list[dict[str, Any]]:
    """What llama.cpp reports while it writes the piece behind what stands before."""
    # llguidance's form of a rule of tokens: `<[504]> <[3575]>`.
    rule = " ".join(f"<[{token}]>" for token in piece)
    return _reported(
        ask(
            {
                "prompt": list(before),
                "stream": False,
                "cache_prompt": True,
                "n_predict": len(piece),
                "temperature": 0,
                "top_k": 1,
                "n_probs": max(alternatives, 1),
                "grammar": f"%llguidance {{}}\nstart: {rule}",
            }
        )
    )


def _reported(chunks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    for chunk in chunks:
        if error := chunk.get("error"):
            raise BackendError(str(error.get("message", error)))
    return [
        item
        for chunk in chunks
        for choice in chunk.get("choices", ())
        for item in (choice.get("logprobs") or {}).get("content") or ()
    ]


def _aligned(
    items: Sequence[dict[str, Any]], piece: Sequence[int], start: int
) -> dict[int, dict[str, Any]]:
    """Each entry at the place of its token: of a letter's parts only the last has one."""
    found, place = {}, 0
    for item in items:
        while place < len(piece) and piece[place] != item["id"]:
            place += 1
        if place < len(piece):
            found[start + place] = item
        place += 1
    return found


def _looked_up(
    ask: Ask, tokenizer: LocalTokenizer, before: Sequence[int], token: int
) -> dict[str, Any]:
    """The entry of a token that is a part of a letter: found among all that could have come."""
    whole_word = tokenizer.encode("the")[:1]
    # Many models have more rows than tokens, and llama.cpp counts these too.
    items = _forced(ask, before, whole_word, 2 * tokenizer.core.get_vocab_size())
    every = items[0]["top_logprobs"] if items else []
    own = next((item for item in every if item["id"] == token), None)
    if own is None:
        raise BackendError("llama.cpp reported no probability of a token of the prompt")
    return {**own, "top_logprobs": every}


def _entry(
    tokenizer: LocalTokenizer, token: int, item: Mapping[str, Any], alternatives: int
) -> TokenLogprob:
    top = tuple(
        TokenLogprob.of(tokenizer.bytes_of(other["id"]), other["logprob"])
        for other in item["top_logprobs"][:alternatives]
    )
    return TokenLogprob.of(tokenizer.bytes_of(token), item["logprob"], top)
