"""LiteLLM by its openai/ provider."""

import litellm
from checks import ASKED, EMBEDDER, KEY, MODEL, URL, check
from pydantic import BaseModel

ASK = {"messages": [{"role": "user", "content": ASKED}], "max_tokens": 24}
LONG = {"max_tokens": 300, "temperature": 0}
TO = {"api_base": URL, "api_key": KEY}
NAME = f"openai/{MODEL}"


class Greeting(BaseModel):
    word: str


@check
def completion():
    assert litellm.completion(NAME, **ASK, **TO).choices[0].message.content


@check
def stream():
    parts = litellm.completion(NAME, **ASK, **TO, stream=True)
    assert "".join(part.choices[0].delta.content or "" for part in parts)


@check
async def async_completion():
    assert (await litellm.acompletion(NAME, **ASK, **TO)).usage.total_tokens


@check
def several():
    assert len(litellm.completion(NAME, **ASK, **TO, n=2).choices) == 2


@check
def stop():
    out = litellm.completion(NAME, **ASK, **TO, stop=["e"])
    assert "e" not in (out.choices[0].message.content or "")


@check
def schema():
    out = litellm.completion(NAME, **(ASK | LONG), **TO, response_format=Greeting)
    Greeting.model_validate_json(out.choices[0].message.content)


@check
def logprobs():
    out = litellm.completion(NAME, **ASK, **TO, logprobs=True, top_logprobs=2)
    assert out.choices[0].logprobs


@check
def embedding():
    out = litellm.embedding(f"openai/{EMBEDDER}", input=["router"], **TO)
    assert len(out.data[0]["embedding"]) == 384


@check
def text_completion():
    out = litellm.text_completion(
        model=f"text-completion-openai/{MODEL}", prompt="Once upon", max_tokens=8, **TO
    )
    assert out.choices[0].text


@check
def responses():
    assert litellm.responses(model=NAME, input=ASKED, max_output_tokens=16, **TO).output


@check
def tools():
    function = {"name": "order_status", "parameters": {"type": "object", "properties": {}}}
    out = litellm.completion(
        NAME,
        **ASK,
        **TO,
        tools=[{"type": "function", "function": function}],
        tool_choice="required",
    )
    assert out.choices[0].message.tool_calls


@check
def unknown_model_is_named():
    try:
        litellm.completion("openai/no-such-model", **ASK, **TO)
    except litellm.NotFoundError:
        return
    raise AssertionError("no error")
