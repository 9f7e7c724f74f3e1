"""Clients that others have written for OpenAI's API do real work on the embedded server.

Simon Willison's `llm` and LangChain live in an environment of their own, made on demand.
Hugging Face's client comes with the course's packages and shares no code with OpenAI's.
"""

from __future__ import annotations

import json
import textwrap

import pytest

from helpers.base import settings as settings_module
from helpers.base.errors import SetupError
from helpers.base.settings import BASE_MODEL, EMBEDDING_MODEL
from helpers.legacy import environments, openai_package
from helpers.legacy.openai_package import Package

pytestmark = pytest.mark.slow
ARTICLES = {
    "The router restarts when you hold its button for five seconds.": "How do I restart my router?",
    "A bill is due fourteen days after its date.": "When must I pay the invoice?",
    "Parcels can be followed under Orders in the app.": "Where is my package?",
}


@pytest.fixture(scope="module")
def others(server) -> Package:
    config = settings_module.load()
    folder = (config.environments or config.state) / "clients"
    try:
        python = environments.ensure(folder, openai_package.PINS / "clients.txt")
    except SetupError as error:
        if "no network" in error.message or "no build" in error.message:
            pytest.skip(f"the clients cannot be installed here: {error.message}")
        raise
    return Package("clients", python, config)


def printed(package, code):
    """What a program prints, as JSON."""
    done = package.python(textwrap.dedent(code))
    assert done.code == 0, done.output
    return json.loads(done.output.splitlines()[-1])


# llm, a command line


@pytest.fixture
def llm(others, server, tmp_path, monkeypatch):
    """`llm …` with one more model, as its documentation describes it."""
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    model = {"model_id": "desk", "model_name": BASE_MODEL, "api_base": f"{server.url}/v1"}
    model |= {"api_key_name": "workbook", "supports_schema": True}
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps([model]), encoding="utf-8")
    (tmp_path / "keys.json").write_text(json.dumps({"workbook": server.token}), encoding="utf-8")

    def run(*words):
        done = others.run(["python", "-m", "llm", *words])
        assert done.code == 0, done.output
        return done.output

    return run


def test_llm_asks_goes_on_talking_and_logs_what_was_used(llm):
    assert "desk" in llm("models")
    first = llm("-m", "desk", "-o", "temperature", "0", "-o", "max_tokens", "12", "Say hello.")
    assert first.strip()
    assert llm("-c", "-o", "max_tokens", "6", "And goodbye.").strip()
    logged = json.loads(llm("logs", "--json"))
    assert logged[0]["response"].strip() == first.strip()
    assert len({row["conversation_id"] for row in logged}) == 1
    assert all(row["input_tokens"] and row["output_tokens"] for row in logged)
    assert logged[0]["input_tokens"] < logged[1]["input_tokens"]


def test_llm_gets_an_answer_in_the_form_of_its_schema(llm):
    said = llm("-m", "desk", "--no-stream", "--schema", "name, age int", "Anna is 31 years old.")
    answer = json.loads(said)
    # llm's schema asks for both, and forbids no others.
    assert {"name", "age"} <= set(answer)
    assert isinstance(answer["age"], int)


# LangChain


def test_langchain_chats_streams_and_fills_a_form(others):
    said = printed(
        others,
        f"""
        import json
        from langchain_openai import ChatOpenAI
        from pydantic import BaseModel

        class Person(BaseModel):
            name: str
            age: int

        model = ChatOpenAI(model={BASE_MODEL!r}, temperature=0, max_tokens=40)
        reply = model.invoke("Say hello.")
        pieces = [chunk.text for chunk in model.stream("Say hello.")]
        several = [one.text for one in model.batch(["Say hello.", "Say goodbye."])]
        form = model.with_structured_output(Person, method="json_schema")
        person = form.invoke("Anna is 31 years old.")
        print(json.dumps({{
            "reply": reply.text, "pieces": pieces, "several": several,
            "used": reply.usage_metadata["total_tokens"], "age": person.age,
        }}))
        """,
    )
    assert said["reply"] == "".join(said["pieces"]) == said["several"][0]
    assert len([piece for piece in said["pieces"] if piece]) > 1
    assert said["used"] > 4
    assert isinstance(said["age"], int)


def test_langchain_retrieves_what_answers_a_question(others):
    said = printed(
        others,
        f"""
        import json
        from langchain_core.prompts import ChatPromptTemplate
        from langchain_core.vectorstores import InMemoryVectorStore
        from langchain_openai import ChatOpenAI, OpenAIEmbeddings

        articles = {ARTICLES!r}
        vectors = OpenAIEmbeddings(model={EMBEDDING_MODEL!r}, check_embedding_ctx_length=False)
        store = InMemoryVectorStore.from_texts(list(articles), vectors)
        found = [store.similarity_search(text, k=1)[0].page_content for text in articles.values()]
        prompt = ChatPromptTemplate.from_messages(
            [("system", "Answer from this text: {{text}}"), ("user", "{{question}}")]
        )
        model = ChatOpenAI(model={BASE_MODEL!r}, temperature=0, max_tokens=30)
        answer = (prompt | model).invoke({{"text": found[1], "question": "When must I pay?"}})
        print(json.dumps({{"found": found, "answer": answer.text}}))
        """,
    )
    assert said["found"] == list(ARTICLES)
    assert said["answer"].strip()


# Hugging Face


def test_hugging_faces_client_chats_and_streams(server):
    from huggingface_hub import InferenceClient

    other = InferenceClient(base_url=f"{server.url}/v1", api_key=server.token)
    asked = {"model": BASE_MODEL, "messages": [{"role": "user", "content": "Say hello."}]}
    asked |= {"temperature": 0, "max_tokens": 40}
    reply = other.chat.completions.create(**asked, logprobs=True, top_logprobs=2)
    text = reply.choices[0].message.content
    assert len(reply.choices[0].logprobs.content[0].top_logprobs) == 2
    assert reply.usage.completion_tokens <= 40
    pieces = [
        chunk.choices[0].delta.content or ""
        for chunk in other.chat.completions.create(**asked, stream=True)
        if chunk.choices
    ]
    assert "".join(pieces) == text


def test_hugging_faces_client_is_told_of_errors_in_its_own_way(server):
    from huggingface_hub import InferenceClient
    from huggingface_hub.errors import HfHubHTTPError

    other = InferenceClient(base_url=f"{server.url}/v1", api_key="wrong")
    with pytest.raises(HfHubHTTPError, match="401"):
        other.chat.completions.create(
            model=BASE_MODEL, messages=[{"role": "user", "content": "Hi"}]
        )
