"""Haystack's generators and embedders."""

from checks import ASKED, EMBEDDER, MODEL, URL, check
from haystack import Document, Pipeline
from haystack.components.builders import ChatPromptBuilder
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import Tool

SHORT = {"max_completion_tokens": 24, "temperature": 0}


def generator(**more):
    return OpenAIChatGenerator(model=MODEL, api_base_url=URL, generation_kwargs=SHORT, **more)


@check
def chat():
    assert generator().run([ChatMessage.from_user(ASKED)])["replies"][0].text


@check
def stream():
    parts = []
    generator(streaming_callback=parts.append).run([ChatMessage.from_user(ASKED)])
    assert parts


@check
def pipeline():
    flow = Pipeline()
    template = [ChatMessage.from_user("Say {{word}}.")]
    flow.add_component("prompt", ChatPromptBuilder(template=template, required_variables=["word"]))
    flow.add_component("llm", generator())
    flow.connect("prompt.prompt", "llm.messages")
    assert flow.run({"prompt": {"word": "hello"}})["llm"]["replies"]


@check
def text_embedder():
    out = OpenAITextEmbedder(model=EMBEDDER, api_base_url=URL).run("router")
    assert len(out["embedding"]) == 384


@check
def document_embedder():
    embed = OpenAIDocumentEmbedder(model=EMBEDDER, api_base_url=URL)
    assert embed.run([Document(content="router")])["documents"][0].embedding


@check
def tools():
    tool = Tool("order_status", "Where an order is", {"type": "object", "properties": {}}, dict)
    out = generator(tools=[tool]).run([ChatMessage.from_user("Where is order 7?")])
    assert out["replies"][0]


@check
def tool_called():
    schema = {"type": "object", "properties": {"number": {"type": "integer"}}}
    tool = Tool("order_status", "Where an order is", schema | {"required": ["number"]}, dict)
    forced = {"max_completion_tokens": 100, "temperature": 0, "tool_choice": "required"}
    asked = [ChatMessage.from_user("Where is order 7?")]
    out = generator(tools=[tool]).run(asked, generation_kwargs=forced)
    call = out["replies"][0].tool_calls[0]
    assert call.tool_name == "order_status"
    assert isinstance(call.arguments["number"], int)
    answered = [*asked, out["replies"][0]]
    answered += [ChatMessage.from_tool("sent", origin=one) for one in out["replies"][0].tool_calls]
    assert generator(tools=[tool]).run(answered)["replies"]
