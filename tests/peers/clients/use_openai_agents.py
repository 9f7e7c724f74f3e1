"""OpenAI's agents package over both of its model classes."""

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
    set_tracing_disabled,
)
from checks import ASKED, MODEL, check
from openai import AsyncOpenAI
from pydantic import BaseModel

set_tracing_disabled(True)
SHORT = ModelSettings(max_tokens=400, temperature=0)


class City(BaseModel):
    name: str
    people: int


@function_tool
def order_status(number: int) -> str:
    """Where an order is."""
    return "sent"


def agent(kind=OpenAIResponsesModel, **more):
    return Agent(
        name="desk",
        instructions="Be brief.",
        model=kind(MODEL, AsyncOpenAI()),
        model_settings=SHORT,
        **more,
    )


@check
def responses():
    assert Runner.run_sync(agent(), ASKED).final_output


@check
def chat_completions():
    assert Runner.run_sync(agent(OpenAIChatCompletionsModel), ASKED).final_output


@check
async def stream():
    run = Runner.run_streamed(agent(), ASKED)
    assert [event async for event in run.stream_events()]


@check
async def stream_of_chat():
    run = Runner.run_streamed(agent(OpenAIChatCompletionsModel), ASKED)
    assert [event async for event in run.stream_events()]


@check
def second_turn():
    first = Runner.run_sync(agent(), ASKED)
    again = [*first.to_input_list(), {"role": "user", "content": "And again."}]
    assert Runner.run_sync(agent(), again).final_output


@check
async def session():
    memory = SQLiteSession("one")
    await Runner.run(agent(), ASKED, session=memory)
    assert (await Runner.run(agent(), "And again.", session=memory)).final_output


@check
def previous_response():
    first = Runner.run_sync(agent(), ASKED)
    out = Runner.run_sync(agent(), "And again.", previous_response_id=first.last_response_id)
    assert out.final_output


@check
def structured():
    out = Runner.run_sync(agent(output_type=City), "Paris, 2 million people")
    assert isinstance(out.final_output, City)


@check
def structured_chat():
    out = Runner.run_sync(agent(OpenAIChatCompletionsModel, output_type=City), "Paris, 2 million")
    assert isinstance(out.final_output, City)


@check
def tool():
    assert Runner.run_sync(agent(tools=[order_status]), "Where is order 7?").final_output


def calls_made(kind):
    """The tool must be called once; then the model may answer."""
    settings = ModelSettings(max_tokens=400, temperature=0, tool_choice="required")
    desk = Agent(
        name="desk",
        model=kind(MODEL, AsyncOpenAI()),
        model_settings=settings,
        tools=[order_status],
    )
    run = Runner.run_sync(desk, "Where is order 7?")
    return [item for item in run.new_items if item.type == "tool_call_output_item"]


@check
def tool_called_in_responses():
    assert calls_made(OpenAIResponsesModel)


@check
def tool_called_in_chats():
    assert calls_made(OpenAIChatCompletionsModel)
