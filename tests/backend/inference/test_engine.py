"""The engine with the real base model. Answers are short, so that the file takes seconds."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import psutil
import pytest

from helpers.backend.bases.registry import find
from helpers.backend.inference.engine import LLAMA_CPP, OPENVINO, ContextTooLong, Engine
from helpers.backend.inference.models import ServedModel
from helpers.backend.inference.pool import BATCH, SLOT_TOKENS, SLOTS, GivenUp, Lane
from helpers.backend.protocol.sampling import Delta, Sampling, one_of
from helpers.backend.storage.gguf_files import written
from helpers.base import settings as settings_module
from helpers.base.errors import BackendError
from helpers.base.settings import BASE_MODEL
from helpers.base.tokens import local_tokenizer

pytestmark = pytest.mark.slow

HELLO = [{"role": "user", "content": "What is a router? Answer in one sentence."}]


@pytest.fixture(scope="module")
def model() -> ServedModel:
    return ServedModel.of(find(settings_module.load()).fit[BASE_MODEL])


@pytest.fixture(scope="module", params=[LLAMA_CPP, OPENVINO])
def engine(request, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if request.param == OPENVINO:
        pytest.importorskip("openvino")
    # One thread: two are many times slower while anything else runs on the machine.
    made = Engine(threads=1, cache=tmp_path_factory.mktemp("cache"), chosen=request.param)
    yield made
    made.close()


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tmp_path_factory.mktemp("adapter") / "adapter.gguf", strength=0.2)


def write_adapter(path: Path, strength: float) -> Path:
    """LoRA weights that change the answers: random ones on the value projections."""
    rng = np.random.default_rng(0)
    with written(path, "llama") as writer:
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", 4.0)
        for layer in range(30):
            for name, shape in (("lora_a", (4, 576)), ("lora_b", (192, 4))):
                values = rng.normal(0, strength, shape).astype(np.float32)
                writer.add_tensor(f"blk.{layer}.attn_v.weight.{name}", values)
    return path


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def ask(engine: Engine, model: ServedModel, prompt=HELLO, **how) -> list[Delta]:
    sampling = Sampling(**{"temperature": 0, "max_tokens": 12, **how})
    return list(engine.generate(model, prompt, sampling))


def test_an_answer_comes_in_pieces_and_ends_with_reason_and_counts(engine, model) -> None:
    deltas = ask(engine, model)
    assert len(deltas) > 5
    assert [d.finish_reason for d in deltas[:-1]] == [None] * (len(deltas) - 1)
    last = deltas[-1]
    assert (last.finish_reason, last.completion_tokens) == ("length", 12)
    assert last.prompt_tokens == engine.count(model, HELLO)


def test_a_model_that_is_done_stops_by_itself(engine, model) -> None:
    prompt = "<|im_start|>user\nSay yes.<|im_end|>\n<|im_start|>assistant\nYes."
    deltas = ask(engine, model, prompt, max_tokens=60, logit_bias={2: 100.0})
    assert deltas[-1].finish_reason == "stop"
    assert text(deltas) == ""


def test_a_repeated_prompt_is_served_from_the_cache(engine, model) -> None:
    ask(engine, model)
    assert ask(engine, model)[-1].cached_tokens > engine.count(model, HELLO) / 2


def test_temperature_zero_repeats_the_same_tokens_and_probabilities(engine, model) -> None:
    runs = [ask(engine, model, logprobs=2) for _ in range(3)]
    assert [delta.logprobs for delta in runs[1]] == [delta.logprobs for delta in runs[0]]
    assert [delta.logprobs for delta in runs[2]] == [delta.logprobs for delta in runs[0]]


def test_a_seed_repeats_a_sample_and_another_gives_another(engine, model) -> None:
    def sample(seed: int) -> str:
        return text(ask(engine, model, temperature=1.5, seed=seed))

    assert sample(1) == sample(1)
    assert len({sample(seed) for seed in range(3)}) > 1


def test_without_a_seed_samples_differ(engine, model) -> None:
    assert len({text(ask(engine, model, temperature=1.5)) for _ in range(3)}) > 1


def test_a_stop_string_ends_the_answer_and_is_left_out(engine, model) -> None:
    whole = text(ask(engine, model))
    stop = whole.split()[3]
    deltas = ask(engine, model, stop=(f" {stop}",))
    assert text(deltas) == whole.split(f" {stop}")[0]
    assert deltas[-1].finish_reason == "stop"


def test_logprobs_are_those_of_the_chosen_tokens(engine, model) -> None:
    deltas = ask(engine, model, logprobs=5)
    items = [item for delta in deltas for item in delta.logprobs]
    assert len(items) == deltas[-1].completion_tokens
    assert "".join(item.token for item in items) == text(deltas)
    for item in items:
        assert bytes(item.bytes).decode() == item.token
        assert len(item.top) == 5
        assert item.logprob == item.top[0].logprob == max(top.logprob for top in item.top)
        assert 0 < sum(math.exp(top.logprob) for top in item.top) <= 1.0001


def test_logprobs_are_the_models_own_at_any_temperature(engine, model) -> None:
    cold = ask(engine, model, logprobs=0, max_tokens=1)[0].logprobs[0]
    hot = ask(engine, model, logprobs=20, max_tokens=1, temperature=2.0, seed=1)[0].logprobs[0]
    assert cold.top == ()
    assert cold.logprob == pytest.approx(hot.top[0].logprob, abs=1e-3)


def test_no_logprobs_are_made_unless_asked_for(engine, model) -> None:
    assert all(not delta.logprobs for delta in ask(engine, model))


def test_an_answer_keeps_to_a_json_schema(engine, model) -> None:
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 12},
            "size": {"enum": ["small", "large"]},
            "count": {"type": "integer", "minimum": 1, "maximum": 9},
        },
        "required": ["city", "size", "count"],
        "additionalProperties": False,
    }
    for seed in range(3):
        answer = ask(engine, model, json_schema=schema, temperature=1.5, seed=seed, max_tokens=80)
        jsonschema.validate(json.loads(text(answer)), schema)


def test_an_answer_is_one_of_several_texts_however_they_are_written(engine, model) -> None:
    texts = ["card", "card arrival", 'a "quoted" one', "Café, 5 €"]
    said = {
        text(ask(engine, model, grammar=one_of(texts), temperature=2.0, seed=seed, max_tokens=20))
        for seed in range(4)
    }
    assert said <= set(texts)
    assert text(ask(engine, model, grammar=one_of(texts[3:]), max_tokens=20)) == texts[3]


def test_a_json_object_is_one(engine, model) -> None:
    prompt = [{"role": "user", "content": 'Reply with {"a": 1} as JSON.'}]
    answer = text(ask(engine, model, prompt, json_object=True, max_tokens=100, stop=("\n\n",)))
    assert answer.startswith("{")


def test_logit_bias_forbids_and_forces_tokens(engine, model) -> None:
    token = local_tokenizer().encode(" banana")[0]
    forced = ask(engine, model, logit_bias={token: 100.0}, max_tokens=3)
    first = local_tokenizer().encode(text(ask(engine, model, max_tokens=1)))[0]
    forbidden = ask(engine, model, logit_bias={first: -100.0}, max_tokens=1)
    assert text(forced) == local_tokenizer().decode([token]) * 3
    assert local_tokenizer().encode(text(forbidden))[0] != first


def test_a_frequency_penalty_breaks_repetition(engine, model) -> None:
    bias = {local_tokenizer().encode(" banana")[0]: 12.0}
    prompt = "banana banana banana banana"
    plain = text(ask(engine, model, prompt, logit_bias=bias, max_tokens=16))
    penalised = text(ask(engine, model, prompt, logit_bias=bias, frequency_penalty=2.0))
    words = [
        len(set(answer.split())) / max(len(answer.split()), 1) for answer in (plain, penalised)
    ]
    assert words[1] > words[0]


def test_a_text_prompt_is_continued(engine, model) -> None:
    assert "Paris" in text(ask(engine, model, "The capital of France is", max_tokens=4))


def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(engine, model) -> None:
    small = replace(model, context=40)
    with pytest.raises(ContextTooLong) as caught:
        ask(engine, small, "word " * 60)
    assert caught.value.prompt_tokens >= 60
    assert caught.value.context == 40
    assert str(caught.value.prompt_tokens) in str(caught.value)


def test_an_answer_ends_where_the_context_does(engine, model) -> None:
    assert Sampling(max_tokens=500).request(room=7)["n_predict"] == 7
    assert Sampling().limit(room=5000) == 1024


def test_more_requests_than_slots_are_all_answered(engine, model) -> None:
    def one(number: int) -> tuple[int, Delta]:
        return number, ask(engine, model, f"{number}, ", max_tokens=3)[-1]

    with ThreadPoolExecutor(SLOTS + 4) as threads:
        answers = dict(threads.map(one, range(SLOTS + 4)))
    assert all(last.completion_tokens in (2, 3) for last in answers.values())


def test_closing_the_iterator_frees_the_model_at_once(engine, model) -> None:
    stream = engine.generate(model, HELLO, Sampling(max_tokens=4000, logit_bias={2: -100.0}))
    next(stream)
    begin = time.perf_counter()
    stream.close()
    assert time.perf_counter() - begin < 0.2
    wait_for_requests_to_end()


def test_a_long_prompt_can_be_cancelled_while_it_is_read(engine, model) -> None:
    stream = engine.generate(model, "word " * (BATCH + 200), Sampling(max_tokens=1))
    assert next(stream).text == ""
    stream.close()
    wait_for_requests_to_end()


def wait_for_requests_to_end(seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while any(thread.name == "llama.cpp request" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "a cancelled request goes on"
        time.sleep(0.02)


def test_an_adapter_changes_the_answers_and_the_base_stays_as_it_was(
    engine, model, adapter
) -> None:
    before = text(ask(engine, model))
    tuned = ServedModel("ft:test", model.gguf, adapter)
    assert text(ask(engine, tuned)) != before
    assert text(ask(engine, model)) == before


def test_a_zero_adapter_changes_nothing(engine, model, tmp_path) -> None:
    zero = ServedModel("ft:zero", model.gguf, write_adapter(tmp_path / "zero.gguf", strength=0))
    assert text(ask(engine, zero)) == text(ask(engine, model))
    engine.unload("ft:zero")


def test_only_the_most_recent_models_stay_loaded(model, adapter, tmp_path) -> None:
    few = Engine(threads=1, cache=tmp_path, max_loaded=1)
    with contextlib.closing(few):
        ask(few, model, max_tokens=1)
        ask(few, ServedModel("ft:test", model.gguf, adapter), max_tokens=1)
        assert [held.id for held in few._llama.models] == ["ft:test"]


def test_a_model_that_nobody_asks_for_gives_its_memory_back(model, tmp_path) -> None:
    few = Engine(threads=1, cache=tmp_path)
    with contextlib.closing(few):
        stream = few.generate(model, HELLO, Sampling(max_tokens=50, logit_bias={2: -100.0}))
        next(stream)
        few.rest(0)
        assert few._llama.models, "a request is under way"
        stream.close()
        wait_for_requests_to_end()
        held = psutil.Process().memory_info().rss
        few.rest(60)
        assert few._llama.models
        few.rest(0)
        assert not few._llama.models
        assert psutil.Process().memory_info().rss < held - 100e6
        assert ask(few, model, max_tokens=1)


def test_sharing_cores_reloads_a_model_with_one_thread(model, tmp_path) -> None:
    busy = Engine(threads=2, cache=tmp_path)
    with contextlib.closing(busy):
        assert busy._llama._pool.get(model).threads == 2
        busy.share_cores(True)
        assert busy._llama._pool.get(model).threads == 1
        busy.share_cores(True, why="neighbours")
        busy.share_cores(False)
        assert busy._llama._pool.get(model).threads == 1, "one reason is left"
        busy.share_cores(False, why="neighbours")
        assert busy._llama._pool.get(model).threads == 2


@pytest.mark.parametrize("damage", ["missing", "not an adapter"])
def test_a_model_that_cannot_be_loaded_says_so(engine, model, tmp_path, damage) -> None:
    path = tmp_path / "adapter.gguf"
    if damage != "missing":
        path.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(BackendError, match="ft:broken"):
        ask(engine, ServedModel("ft:broken", model.gguf, path))


def test_requests_wait_in_line_for_a_slot_and_leave_it_when_nobody_waits(model) -> None:
    lane = Lane(model, slots=1, tokens=100, threads=1)
    lane._loaded = lambda: "server"  # type: ignore[method-assign,assignment,return-value]
    order: list[str] = []
    left = threading.Event()

    def use(name: str) -> None:
        with contextlib.suppress(GivenUp), lane.reserved(lambda: name == "gone" and left.is_set()):
            order.append(name)

    waiting = [threading.Thread(target=use, args=(name,)) for name in ("first", "gone", "last")]
    with lane.reserved(lambda: False):
        for place, thread in enumerate(waiting, start=1):
            thread.start()
            while len(lane._line) < place:
                time.sleep(0.001)
        left.set()
        waiting[1].join(5)
        assert len(lane._line) == 2
    for thread in waiting:
        thread.join(5)
    assert order == ["first", "last"]


def test_a_long_request_gets_a_slot_that_holds_the_whole_context(engine, model) -> None:
    prompt = "word " * (SLOT_TOKENS + 10)
    with contextlib.closing(engine.generate(model, prompt, Sampling(max_tokens=1))) as stream:
        assert next(stream).text == ""


QUESTIONS = [
    f"{opening} How do I {aim}?"
    for opening in ("", "Please help.", "I am new here and quite lost with it.", "Urgent!")
    for aim in ("reset my router", "get a receipt by post", "bake bread", "cancel order 4417")
]


def test_sixteen_greedy_answers_are_the_same_before_during_and_after_load(
    engine, model, adapter
) -> None:
    asked = ServedModel("ft:test", model.gguf, adapter)

    def answer(question: str) -> str:
        return text(ask(engine, asked, [{"role": "user", "content": question}], max_tokens=24))

    before = list(map(answer, QUESTIONS))
    with ThreadPoolExecutor(16) as threads:
        during = list(threads.map(answer, QUESTIONS))
    after = list(map(answer, QUESTIONS))
    assert during == before
    assert after == before


def test_closing_the_engine_ends_requests_under_way_and_leaves_no_thread(model, tmp_path) -> None:
    before = psutil.Process().num_threads()
    short = Engine(threads=1, cache=tmp_path)
    stream = short.generate(model, HELLO, Sampling(max_tokens=4000, logit_bias={2: -100.0}))
    next(stream)
    short.close()
    with pytest.raises(BackendError, match="stopping"):
        list(stream)
    wait_for_requests_to_end()
    deadline = time.monotonic() + 10
    while psutil.Process().num_threads() > before + 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert psutil.Process().num_threads() <= before + 1


def test_llama_cpp_writes_nothing_and_its_port_needs_a_key(tmp_path) -> None:
    script = """
import sys, urllib.error, urllib.request
from pathlib import Path
from helpers.base import settings
from helpers.backend.bases.registry import find
from helpers.backend.inference.models import ServedModel
from helpers.backend.inference.engine import Engine, Sampling
engine = Engine(threads=1, cache=Path(sys.argv[1]))
model = ServedModel.of(next(iter(find(settings.load()).fit.values())))
list(engine.generate(model, "Hi", Sampling(max_tokens=1)))
with engine._llama._pool.get(model).reserved(1) as server:
    try:
        urllib.request.urlopen(server.listening_address + "/props")
        sys.exit("open to everyone")
    except urllib.error.HTTPError as error:
        assert error.code == 401
assert "torch" not in sys.modules
engine.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
