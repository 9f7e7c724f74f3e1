"""The API through the real openai client, against the real server and the base model."""

import json

import openai
import pytest
from pydantic import BaseModel

from helpers.base.settings import BASE_MODEL, EMBEDDING_MODEL
from tests.backend.process import assert_no_pytorch

HELLO = [{"role": "user", "content": "Say hello."}]


def chat(client, **more):
    asked = {"model": BASE_MODEL, "messages": HELLO, "temperature": 0, "max_tokens": 12, **more}
    return client.chat.completions.create(**asked)


def test_models_are_listed_and_retrieved(client):
    names = [model.id for model in client.models.list()]
    assert {BASE_MODEL, EMBEDDING_MODEL} <= set(names)
    assert client.models.retrieve(BASE_MODEL).object == "model"


def test_a_built_in_model_cannot_be_deleted(client):
    with pytest.raises(openai.PermissionDeniedError):
        client.models.delete(BASE_MODEL)


def test_a_chat_answers_and_counts_tokens(client):
    reply = chat(client)
    assert reply.choices[0].message.content
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.usage.completion_tokens <= 12


def test_temperature_zero_repeats_itself(client):
    assert chat(client).choices[0].message.content == chat(client).choices[0].message.content


def test_a_seed_repeats_a_sampled_answer_and_another_seed_does_not(client):
    def sampled(seed):
        return chat(client, temperature=1.5, seed=seed, max_tokens=8).choices[0].message.content

    assert sampled(1) == sampled(1)
    assert len({sampled(seed) for seed in range(3)}) > 1


def test_a_stream_adds_up_to_the_whole_answer(client):
    whole = chat(client).choices[0].message.content
    chunks = list(chat(client, stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens > 0


def test_a_stop_text_ends_the_answer_before_it(client):
    whole = chat(client, max_tokens=30).choices[0].message.content
    stop = whole.split()[2]
    reply = chat(client, max_tokens=30, stop=[stop]).choices[0]
    assert reply.message.content == whole[: whole.index(stop)]
    assert reply.finish_reason == "stop"


def test_the_token_limit_is_named_as_the_reason(client):
    assert chat(client, max_tokens=2).choices[0].finish_reason == "length"
    assert chat(client, max_tokens=None, max_completion_tokens=2).usage.completion_tokens == 2


def test_n_gives_several_answers(client):
    reply = chat(client, n=3, temperature=1.2, seed=5)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]


def test_several_answers_are_streamed_each_under_its_number(client):
    usage = {"include_usage": True}
    chunks = list(chat(client, n=2, max_tokens=3, stream=True, stream_options=usage))
    texts = {0: "", 1: ""}
    for choice in (chunk.choices[0] for chunk in chunks if chunk.choices):
        texts[choice.index] += choice.delta.content or ""
    assert texts[0] == texts[1] == chat(client, max_tokens=3).choices[0].message.content
    assert chunks[-1].usage.completion_tokens == 6


def test_the_smallest_top_p_leaves_the_likeliest_token(client):
    narrow = chat(client, temperature=2, top_p=0.000001, max_tokens=6)
    assert (
        narrow.choices[0].message.content == chat(client, max_tokens=6).choices[0].message.content
    )


def test_logprobs_are_sorted_probabilities_of_the_chosen_tokens(client):
    items = chat(client, logprobs=True, top_logprobs=3).choices[0].logprobs.content
    for item in items:
        tops = [top.logprob for top in item.top_logprobs]
        assert tops == sorted(tops, reverse=True)
        assert item.logprob == pytest.approx(tops[0])
        assert bytes(item.bytes).decode(errors="replace") == item.token


def test_a_json_schema_is_kept_to(client):
    class Person(BaseModel):
        name: str
        age: int

    messages = [{"role": "user", "content": "Anna is 31. Answer in JSON."}]
    reply = client.chat.completions.parse(
        model=BASE_MODEL, messages=messages, response_format=Person, temperature=0, max_tokens=60
    )
    assert isinstance(reply.choices[0].message.parsed, Person)


def test_the_response_format_text_changes_nothing(client):
    plain = chat(client, max_tokens=12).choices[0].message.content
    asked = chat(client, max_tokens=12, response_format={"type": "text"})
    assert asked.choices[0].message.content == plain


def test_a_json_object_is_one(client):
    messages = [{"role": "user", "content": 'Write this as JSON: {"a": 1}'}]
    asked = {"messages": messages, "response_format": {"type": "json_object"}}
    reply = chat(client, **asked, max_tokens=80, stop="\n\n").choices[0]
    if reply.finish_reason == "length":
        assert reply.message.content.lstrip().startswith("{")
    else:
        assert isinstance(json.loads(reply.message.content), dict)


def test_completions_continue_a_text(client):
    reply = client.completions.create(
        model=BASE_MODEL, prompt="One, two, three,", max_tokens=4, temperature=0, logprobs=2
    )
    assert reply.choices[0].text
    assert len(reply.choices[0].logprobs.tokens) == 4


def test_completions_stream_the_same_text(client):
    asked = {"model": BASE_MODEL, "prompt": "The sky is", "max_tokens": 6, "temperature": 0}
    whole = client.completions.create(**asked).choices[0].text
    parts = client.completions.create(stream=True, **asked)
    assert "".join(part.choices[0].text for part in parts) == whole


def test_embeddings_are_the_same_as_numbers_and_as_base64(client):
    asked = {"model": EMBEDDING_MODEL, "input": ["router", "a cat"]}
    as_base64 = client.embeddings.create(**asked).data
    as_numbers = client.embeddings.create(encoding_format="float", **asked).data
    for one, other in zip(as_base64, as_numbers, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
        assert sum(x * x for x in other.embedding) == pytest.approx(1, abs=1e-4)


def test_similar_texts_have_similar_embeddings(client):
    texts = ["How do I reset my router?", "resetting the router", "I baked a cake."]
    rows = [
        row.embedding for row in client.embeddings.create(model=EMBEDDING_MODEL, input=texts).data
    ]

    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert cosine(rows[0], rows[1]) > 0.8 > 0.3 > cosine(rows[0], rows[2])


def test_neither_chats_nor_embeddings_nor_jobs_bring_pytorch_into_the_server(client):
    chat(client, max_tokens=1)
    client.embeddings.create(model=EMBEDDING_MODEL, input="router")
    row = json.dumps({"messages": [*HELLO, {"role": "assistant", "content": "Hello!"}]})
    file = client.files.create(file=("a.jsonl", f"{row}\n".encode() * 10), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model=BASE_MODEL, training_file=file.id)
    client.fine_tuning.jobs.cancel(job.id)
    assert_no_pytorch()


def test_responses_answer_and_remember(client):
    first = client.responses.create(
        model=BASE_MODEL, input="My name is Ada.", instructions="Be brief.", max_output_tokens=10
    )
    assert first.output_text
    second = client.responses.create(
        model=BASE_MODEL,
        input="What is my name?",
        previous_response_id=first.id,
        max_output_tokens=10,
    )
    assert second.usage.input_tokens > first.usage.input_tokens


def test_responses_take_several_turns_and_parts(client):
    turns = [
        {"role": "developer", "content": "Answer in one word."},
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Hello, Ada."}]},
        {"role": "user", "content": [{"type": "input_text", "text": "What is my name?"}]},
    ]
    asked = {"model": BASE_MODEL, "max_output_tokens": 16, "temperature": 0}
    whole = client.responses.create(input=turns, **asked)
    assert whole.output_text
    last = client.responses.create(input=turns[-1:], instructions=turns[0]["content"], **asked)
    assert whole.usage.input_tokens > last.usage.input_tokens + 8


def test_streamed_responses_send_their_events_in_order(client):
    stream = client.responses.create(
        model=BASE_MODEL, input="Hi", stream=True, max_output_tokens=6, temperature=0
    )
    events = list(stream)
    names = [event.type for event in events]
    assert names[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert names[-1] in ("response.completed", "response.incomplete")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == events[-1].response.output_text


def test_files_go_through_their_life(client):
    made = client.files.create(file=("../../notes.txt", b"hello"), purpose="user_data")
    assert made.filename == "notes.txt"
    assert client.files.retrieve(made.id).bytes == 5
    assert client.files.wait_for_processing(made.id).status == "processed"
    assert client.files.content(made.id).read() == b"hello"
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)


def test_files_are_listed_page_by_page(client):
    ids = [client.files.create(file=(f"{i}.txt", b"x"), purpose="user_data").id for i in range(3)]
    pages = client.files.list(limit=2, purpose="user_data")
    assert pages.has_more
    assert [file.id for file in pages][:3] == ids[::-1]
    for name in ids:
        client.files.delete(name)


def test_every_answer_names_its_request(client):
    raw = client.models.with_raw_response.list()
    assert raw.headers["x-request-id"].startswith("req_")
