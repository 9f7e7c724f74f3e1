"""`models`: bases from a folder, a file or the hub are listed, added, checked and removed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from helpers.__main__ import parser
from helpers.backend.bases import registry
from helpers.backend.service.models import Models
from helpers.backend.storage.store import Store
from helpers.backend.training.spec import TrainSpec
from helpers.base import settings as settings_module
from helpers.base.errors import CourseError
from helpers.base.settings import BASE_MODEL
from helpers.cli import models
from tests.backend.bases.plain_folder import write_plain
from tests.backend.bases.pretended_hub import NAME, REVISION, pretended
from tests.places import ROOT


@pytest.fixture(autouse=True)
def own_state(settings, monkeypatch):
    monkeypatch.setattr(settings_module, "load", lambda: settings)
    return settings


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_plain(tmp_path / "Tiny")


def run(*words: str) -> int:
    return models.run(ROOT, parser().parse_args(["models", *words]))


def test_a_folder_is_added_listed_checked_and_removed(tiny, settings, capsys):
    assert run("add", str(tiny)) == 0
    assert "tiny: Qwen3, context 512, licence apache-2.0" in capsys.readouterr().out
    base = registry.find(settings).fit["tiny"]
    assert base.gguf.is_file()
    assert run() == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == [BASE_MODEL, "tiny"]
    assert run("check", "tiny") == 0
    assert str(tiny) in capsys.readouterr().out
    assert run("remove", "tiny") == 0
    assert "tiny" not in registry.find(settings).fit
    assert not base.gguf.exists()
    assert (tiny / "model.safetensors").is_file()


def test_a_server_that_runs_knows_what_was_added_since(tiny, settings):
    store = Store(settings.state)
    known = Models(settings, store, None)
    assert [one["id"] for one in known.all()][:1] == [BASE_MODEL]
    run("add", str(tiny), "--as", "mine")
    assert known.resolve("mine").context == 512
    run("remove", "mine")
    assert "mine" not in [one["id"] for one in known.all()]
    store.close()


def test_what_cannot_be_used_is_not_added_and_says_why(tiny, settings, capsys):
    (tiny / "tokenizer.json").unlink()
    with pytest.raises(CourseError, match=r"Tiny lacks tokenizer\.json"):
        run("add", str(tiny))
    assert registry.added(settings) == {}


def test_one_that_was_spoilt_since_stays_in_the_list_with_the_reason(tiny, settings, capsys):
    run("add", str(tiny))
    (tiny / "config.json").unlink()
    assert run() == 0
    assert "tiny cannot be used: Tiny lacks config.json" in capsys.readouterr().out
    assert run("check", "tiny") == 1
    shutil.rmtree(tiny)
    assert "there is no" in registry.find(settings).unfit["tiny"].reason
    assert run("remove", "tiny") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("add",), r"which model\?.*models add NAME"),
        (("add", "none"), "there is no none .*OWNER/NAME"),
        (("add", "./gone"), "no ./gone, neither here nor on the hub"),
        (("check", "none"), f"no model 'none' .*{BASE_MODEL}"),
        (("remove", BASE_MODEL), "was not added"),
    ],
)
def test_a_wrong_word_says_what_to_do(words, message):
    with pytest.raises(CourseError, match=message):
        run(*words)


def test_a_name_that_is_taken_is_refused(tiny):
    with pytest.raises(CourseError, match=r"is taken .*--as"):
        run("add", str(tiny), "--as", BASE_MODEL)


def test_a_base_that_tuned_models_answer_from_is_not_removed(tiny, settings):
    run("add", str(tiny))
    store = Store(settings.state)
    gguf = str(registry.find(settings).fit["tiny"].gguf)
    store.put("model", "ft:tiny:x", {"id": "ft:tiny:x", "_gguf": gguf, "_checkpoint": False})
    store.close()
    with pytest.raises(CourseError, match="ft:tiny:x need tiny"):
        run("remove", "tiny")


def test_a_base_that_a_waiting_job_needs_is_not_removed(tiny, settings):
    run("add", str(tiny))
    store = Store(settings.state)
    gguf = str(registry.find(settings).fit["tiny"].gguf)
    for key, status in (("ftjob-a", "queued"), ("ftjob-b", "succeeded")):
        store.put("job", key, {"id": key, "status": status})
        TrainSpec(gguf, "t.jsonl").write(store.job_dir(key))
    store.close()
    with pytest.raises(CourseError, match=r"^ftjob-a need tiny"):
        run("remove", "tiny")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


def at(monkeypatch, address):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


def test_a_hub_name_is_fetched_after_a_yes_with_size_licence_and_revision_shown(
    tiny, settings, cache, monkeypatch, capsys
):
    (tiny / "pytorch_model.bin").write_bytes(b"pickled")
    said = []
    monkeypatch.setattr("builtins.input", lambda text: said.append(text) or "n")
    with pretended(tiny) as (address, asked):
        at(monkeypatch, address)
        assert run("add", NAME) == 1
        assert not [one for one in asked if "/resolve/" in one]
        shown = capsys.readouterr().out
        assert f"{NAME}, revision {REVISION}" in shown
        assert "0.00 GB, licence apache-2.0" in shown
        monkeypatch.setattr("builtins.input", lambda text: "y")
        assert run("add", NAME) == 0
    base = registry.find(settings).fit["tiny-qwen"]
    assert base.source == f"{NAME}@{REVISION}"
    assert base.licence == "apache-2.0"
    assert base.gguf.is_file()
    assert not (base.folder / "pytorch_model.bin").exists()


@pytest.mark.parametrize(
    ("gated", "words", "message"),
    [
        (True, (NAME,), "asks for its terms to be accepted"),
        (False, ("owner/none",), "the hub has no model owner/none"),
        (False, (NAME, "--revision", "v9"), "has no such revision"),
    ],
)
def test_what_the_hub_refuses_is_said_in_a_line(gated, words, message, tiny, cache, monkeypatch):
    with pretended(tiny, gated=gated) as (address, _):
        at(monkeypatch, address)
        with pytest.raises(CourseError, match=message):
            run("add", *words, "--yes")


def test_without_a_network_it_says_so_and_what_else_there_is(cache, monkeypatch):
    at(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(CourseError, match=r"cannot be fetched.*path of a folder") as caught:
        run("add", NAME, "--yes")
    assert "\n" not in str(caught.value)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CourseError, match="cannot be fetched"):
        run("add", NAME, "--yes")
