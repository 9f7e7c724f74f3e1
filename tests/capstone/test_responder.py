"""The folder that is taken away answers as its method did, from nothing but itself."""

from __future__ import annotations

import shutil
import stat
from dataclasses import replace
from types import SimpleNamespace as Bag

import pytest

from helpers.backend.api.routes.generation import as_measured
from helpers.backend.inference.engine import Engine
from helpers.backend.inference.models import Said, ServedMethod, ServedModel
from helpers.backend.protocol.sampling import Sampling, one_of
from helpers.base.errors import DataError
from helpers.base.gguf_header import read_header
from helpers.capstone import responder, takeaway
from helpers.capstone.baselines import FREQUENT, LINEAR, NEAREST, NEIGHBOURS, Linear
from helpers.capstone.lookup import PastAnswers
from helpers.capstone.methods import PromptForm, prompt
from helpers.capstone.samples import turns
from helpers.costs.monthly import BASE, FEW_SHOT, METHODS, RETRIEVAL, TUNED
from tests.backend.bases.plain_folder import write_plain
from tests.capstone.fake import embed

TALKS = [
    [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
    for asked, said in (
        ("where is my parcel", "In Berlin."),
        ("when does the shop open", "At 9."),
        ("refund the broken kettle", "Within 14 days."),
    )
]
FORM = PromptForm("You answer.")
ASKED = [{"role": "user", "content": "my parcel, where is it"}]


def method(name, **more):
    return takeaway.BestMethod("shop-x", name, FORM, 40, embed.name, "base", **more)


@pytest.fixture
def past():
    return PastAnswers.build(turns(TALKS), embed)


def answer(name, past, folder, **more):
    takeaway._lookups(folder, method(name), past=past, store=past)
    return responder.Responder(folder, method(name, **more), embed)(ASKED)


@pytest.mark.parametrize("name", METHODS)
def test_a_model_is_asked_with_the_very_prompt_of_the_proof(name, past, tmp_path):
    found = past.find(["my parcel, where is it"], embed(["my parcel, where is it"]), k=FORM.k)[0]
    examples = [past.turns[note.place] for note in found]
    expected = prompt(name, FORM, ASKED, notes=found, examples=examples)
    assert answer(name, past, tmp_path) == expected
    assert ("In Berlin." in str(expected)) == (name not in (BASE, TUNED))


def test_lookups_answer_without_a_model(past, tmp_path):
    assert answer(NEAREST, past, tmp_path / "a") == Said("In Berlin.")
    assert answer(NEIGHBOURS, past, tmp_path / "b") == Said("In Berlin.")
    assert answer(LINEAR, past, tmp_path / "c") == Said("In Berlin.")
    assert answer(FREQUENT, past, tmp_path / "d", answer="At 9.") == Said("At 9.")


def test_a_clients_own_system_message_stays(past, tmp_path):
    takeaway._lookups(tmp_path, method(BASE), past=past, store=past)
    own = [{"role": "system", "content": "Be rude."}, *ASKED]
    assert responder.Responder(tmp_path, method(BASE), embed)(own) == own


def test_a_looked_up_answer_is_sent_without_loading_a_model(tmp_path):
    engine = Engine(threads=1, cache=tmp_path)
    served = ServedModel("m", tmp_path / "no.gguf", method=ServedMethod(lambda _: Said("Yes."), 9))
    deltas = list(engine.generate(served, ASKED, Sampling()))
    assert "".join(delta.text for delta in deltas) == "Yes."
    assert deltas[-1].finish_reason == "stop"
    engine.close()


def test_the_likeliest_words_and_the_methods_length_are_taken_unless_the_client_asks():
    served = ServedModel("m", None, method=ServedMethod(lambda _: Said(""), 40))  # type: ignore[arg-type]
    assert as_measured(served, Sampling(), temperature=None) == Sampling(0.0, max_tokens=40)
    asked = Sampling(0.7, max_tokens=5)
    assert as_measured(served, asked, temperature=0.7) == asked
    labels = ServedMethod(lambda _: Said(""), 40, ("é", 'a "b"'))
    named = as_measured(replace(served, method=labels), Sampling(), temperature=None)
    assert named.grammar == one_of(labels.choices)
    schema = Sampling(json_object=True)
    assert as_measured(replace(served, method=labels), schema, temperature=0.0).grammar is None
    plain = ServedModel("m", None)  # type: ignore[arg-type]
    assert as_measured(plain, Sampling(), temperature=None) == Sampling()


def done(folder, best):
    tuned = Bag(step=None)
    found = Bag(best=best, yardstick="facts", questions=3, means={best: "0.50"}, pairs=())
    found.nothing = False
    found.against_best = dict
    version = Bag(name="My Shop (2)", version="1.0", created="2026-01-01", sha256="ab" * 32)
    return Bag(
        model_folder=folder, ranking=found, prepared=Bag(version=version), max_tokens=40,
        model="ft:x", job="ftjob-1", tuned=tuned, cut={best: 2}, store="the 3 training answers",
        notes=("Few rows.",), within_reach=None,
    )  # fmt: skip


def test_the_folder_says_what_it_is_and_others_may_read_it(past, tmp_path, monkeypatch):
    monkeypatch.setattr(takeaway, "verdict", lambda _: "Best is nearest.")
    course = Bag(backend="other", embedding_model=embed.name, chat_model="base")
    folder = tmp_path / "model"
    takeaway.write(done(folder, NEAREST), course, Bag(past=past, store=past, form=FORM, choices=()))
    (folder / "index" / "past.jsonl").chmod(0o600)
    takeaway._readable(folder)
    modes = [path.stat().st_mode for path in folder.rglob("*")]
    assert all(mode & stat.S_IROTH for mode in modes)
    read = takeaway.read_method(folder)
    assert read.choices == ()
    assert (read.model, read.method) == ("my-shop-2-nearest-past-answer", NEAREST)
    assert read.form == FORM
    card = (folder / "README.md").read_text(encoding="utf-8")
    for part in ("Best is nearest.", "ab" * 32, "Few rows.", "serve --model", "2 of its answers"):
        assert part in card
    shutil.copytree(folder, tmp_path / "elsewhere")
    shutil.rmtree(folder)
    again = tmp_path / "elsewhere"
    assert responder.Responder(again / "", read, embed)(ASKED) == Said("In Berlin.")


def test_a_method_without_training_takes_the_base_that_answered(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_MODELS", str(write_plain(tmp_path / "Tiny")))
    tiny = replace(method(BASE), weights="tiny")
    folder = tmp_path / "model"
    folder.mkdir()
    takeaway._weights(folder, None, tiny)
    assert read_header(folder / "base.gguf")["general.architecture"] == "qwen3"
    assert (folder / "tokenizer" / "tokenizer.json").is_file()
    assert "ADAPTER" not in (folder / "Modelfile").read_text(encoding="utf-8")
    assert "apache-2.0" in takeaway._licence(tiny)
    with pytest.raises(DataError, match=r"base model base is not on this machine .*models add"):
        takeaway._weights(folder, None, method(BASE))


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"method\.json cannot be read"):
        takeaway.read_method(tmp_path)


def service():
    adopted = []
    trainable = {"smollm2-135m-instruct": ("base.gguf", None)}
    models = Bag(adopt=adopted.append, trainable=trainable.__getitem__)
    return Bag(engine=Bag(embed=embed), models=models, adopted=adopted)


def test_a_server_adopts_a_folder_or_says_what_is_missing(past, tmp_path):
    minilm = takeaway.BestMethod("m", RETRIEVAL, FORM, 40, "all-minilm-l6-v2", "base")
    takeaway._lookups(tmp_path, minilm, past=past, store=past)
    with pytest.raises(DataError, match=r"holds no base\.gguf"):
        responder.adopt(service(), tmp_path, minilm)
    (tmp_path / "base.gguf").write_bytes(b"GGUF")
    host = service()
    responder.adopt(host, tmp_path, replace(minilm, choices=("a", "b")))
    assert host.adopted[0].gguf == tmp_path / "base.gguf"
    assert host.adopted[0].method.choices == ("a", "b")
    with pytest.raises(DataError, match="vectors of words"):
        responder.adopt(service(), tmp_path, method(FEW_SHOT))


def test_weights_of_a_linear_model_are_all_it_takes(past, tmp_path):
    takeaway._lookups(tmp_path, method(LINEAR), past=past, store=past)
    assert [path.name for path in (tmp_path / "index").iterdir()] == ["linear.npz"]
    assert Linear.load(tmp_path / "index").weights.shape == (3, 256)
