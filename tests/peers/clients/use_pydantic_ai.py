"""pydantic-ai: text, structured output in its modes, streaming, history."""

from checks import ASKED, MODEL, check
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, PromptedOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel

SHORT = {"max_tokens": 40, "temperature": 0.0}
LONG = {"max_tokens": 300, "temperature": 0.0}
chat = OpenAIChatModel(MODEL)


class City(BaseModel):
    name: str
    people: int


@check
def text():
    assert Agent(chat, model_settings=SHORT).run_sync(ASKED).output


@check
def instructions():
    assert Agent(chat, instructions="Be brief.", model_settings=SHORT).run_sync(ASKED).output


@check
async def stream():
    async with Agent(chat, model_settings=SHORT).run_stream(ASKED) as result:
        assert [part async for part in result.stream_text()]


@check
def history():
    agent = Agent(chat, model_settings=SHORT)
    first = agent.run_sync(ASKED)
    assert agent.run_sync("And again.", message_history=first.all_messages()).output


@check
def usage():
    assert Agent(chat, model_settings=SHORT).run_sync(ASKED).usage.output_tokens


@check
def structured_default():
    out = Agent(chat, output_type=City, model_settings=LONG).run_sync("Paris")
    assert isinstance(out.output, City)


@check
def structured_native():
    agent = Agent(chat, output_type=NativeOutput(City), model_settings=LONG)
    assert isinstance(agent.run_sync("Paris, 2 million people").output, City)


@check
def structured_prompted():
    agent = Agent(chat, output_type=PromptedOutput(City), model_settings=LONG)
    assert isinstance(agent.run_sync("Paris, 2 million people").output, City)


@check
def tool():
    agent = Agent(chat, model_settings=SHORT)

    @agent.tool_plain
    def order_status(number: int) -> str:
        """Where an order is."""
        return "sent"

    assert agent.run_sync("Where is order 7?").output


@check
def responses_text():
    assert Agent(OpenAIResponsesModel(MODEL), model_settings=SHORT).run_sync(ASKED).output


@check
def responses_structured():
    agent = Agent(OpenAIResponsesModel(MODEL), output_type=NativeOutput(City), model_settings=LONG)
    assert isinstance(agent.run_sync("Paris, 2 million people").output, City)
