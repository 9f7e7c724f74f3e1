"""instructor in its default mode and in its others."""

import instructor
import openai
from checks import MODEL, check
from pydantic import BaseModel

ASK = [{"role": "user", "content": "Name a person with an age: Ann, 30."}]


class Person(BaseModel):
    name: str
    age: int


def by(mode, **more):
    client = instructor.from_openai(openai.OpenAI(), mode=mode)
    out = client.chat.completions.create(
        model=MODEL, messages=ASK, response_model=Person, max_tokens=300, max_retries=1, **more
    )
    assert isinstance(out, Person)


@check
def default_mode():
    client = instructor.from_openai(openai.OpenAI())
    out = client.chat.completions.create(
        model=MODEL,
        messages=ASK,
        response_model=Person,
        max_tokens=300,
        max_retries=1,
        temperature=0,
    )
    assert isinstance(out, Person)


@check
def tools():
    by(instructor.Mode.TOOLS, temperature=0)


@check
def json_mode():
    by(instructor.Mode.JSON, temperature=0)


@check
def json_schema():
    by(instructor.Mode.JSON_SCHEMA, temperature=0)


@check
def markdown_json():
    by(instructor.Mode.MD_JSON, temperature=0)


@check
async def async_schema():
    client = instructor.from_openai(openai.AsyncOpenAI(), mode=instructor.Mode.JSON_SCHEMA)
    out = await client.chat.completions.create(
        model=MODEL, messages=ASK, response_model=Person, max_tokens=300, temperature=0
    )
    assert isinstance(out, Person)


@check
def partial_stream():
    client = instructor.from_openai(openai.OpenAI(), mode=instructor.Mode.JSON_SCHEMA)
    parts = client.chat.completions.create_partial(
        model=MODEL, messages=ASK, response_model=Person, max_tokens=300, temperature=0
    )
    assert list(parts)
