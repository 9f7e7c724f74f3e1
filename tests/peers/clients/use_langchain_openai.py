"""langchain-openai with its defaults."""

from checks import ASKED, EMBEDDER, MODEL, check
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel

chat = ChatOpenAI(model=MODEL, temperature=0, max_tokens=24)


class Greeting(BaseModel):
    """A greeting."""

    word: str


@tool
def order_status(number: int) -> str:
    """Where an order is."""
    return "sent"


@check
def invoke():
    assert chat.invoke(ASKED).content


@check
def messages():
    assert chat.invoke([SystemMessage("You are brief."), HumanMessage(ASKED)]).usage_metadata


@check
def stream():
    assert "".join(part.content for part in chat.stream(ASKED))


@check
async def async_stream():
    assert [part async for part in chat.astream(ASKED)]


@check
def many_at_once():
    assert len(chat.batch([ASKED] * 4)) == 4


@check
def logprobs():
    assert chat.bind(logprobs=True).invoke(ASKED).response_metadata["logprobs"]["content"]


@check
def structured_by_schema():
    out = chat.with_structured_output(Greeting, method="json_schema").invoke(ASKED)
    assert isinstance(out, Greeting)


@check
def structured_by_json_mode():
    how = chat.with_structured_output(Greeting, method="json_mode")
    assert isinstance(how.invoke('Reply with JSON: {"word": "hello"}'), Greeting)


@check
def structured_by_tool():
    caller = ChatOpenAI(model=MODEL, temperature=0, max_tokens=200)
    out = caller.with_structured_output(Greeting, method="function_calling").invoke(ASKED)
    assert isinstance(out, Greeting)


@check
def tools():
    caller = ChatOpenAI(model=MODEL, temperature=0, max_tokens=100)
    forced = caller.bind_tools([order_status], tool_choice="any")
    asked = HumanMessage("Where is order 7?")
    called = forced.invoke([asked])
    assert isinstance(called.tool_calls[0]["args"]["number"], int)
    results = [order_status.invoke(call) for call in called.tool_calls]
    assert caller.bind_tools([order_status]).invoke([asked, called, *results]) is not None


@check
def tools_streamed():
    caller = ChatOpenAI(model=MODEL, temperature=0, max_tokens=100)
    forced = caller.bind_tools([order_status], tool_choice="order_status")
    parts = list(forced.stream("Where is order 7?"))
    whole = parts[0]
    for part in parts[1:]:
        whole += part
    assert whole.tool_calls[0]["name"] == "order_status"


@check
def embeddings_by_tokens():
    assert len(OpenAIEmbeddings(model=EMBEDDER).embed_query("router")) == 384


@check
def embeddings_of_texts():
    embed = OpenAIEmbeddings(model=EMBEDDER, check_embedding_ctx_length=False)
    assert len(embed.embed_documents(["a", "b"])) == 2


@check
def completions():
    assert OpenAI(model=MODEL, max_tokens=8).invoke("Once upon a time")


@check
def responses_api():
    assert ChatOpenAI(model=MODEL, use_responses_api=True).invoke(ASKED).content
