from __future__ import annotations

import json
import re

import pytest

from helpers.backend.training.spec import TrainSpec
from helpers.base import jsonl
from helpers.base.errors import DataError
from helpers.datasets.example import TrainingExample
from helpers.datasets.exporting import features, portability, recipes, shapes
from helpers.datasets.exporting.export import export
from helpers.datasets.exporting.losses import Account, tried
from helpers.datasets.exporting.portability import check_portability
from helpers.datasets.exporting.readers import read_row, rows_of_file
from helpers.datasets.exporting.rows import RESULTS, rows_of
from helpers.datasets.exporting.targets import TARGETS
from helpers.datasets.validation.file import validate_file
from tests.datasets.exporting.rows import EXAMPLES, canonical

WEIGHED = [EXAMPLES["chat"], EXAMPLES["weight_0"]]


def test_each_feature_is_found_where_it_stands_and_only_there():
    assert set(EXAMPLES) == set(features.FEATURES)
    for name, row in EXAMPLES.items():
        assert name in features.of(TrainingExample.of(row)), name
    assert features.of(TrainingExample.of(EXAMPLES["chat"])) == {"chat"}


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_a_target_loses_what_its_account_says_and_nothing_else(target):
    for name, row in EXAMPLES.items():
        example = TrainingExample.of(row)
        account = Account(target)
        account.add(1, example)
        made = rows_of(example, target)
        assert bool(made) == (account.rows_left_out == 0), name
        back = [read_row(json.loads(jsonl.dump(one))) for one in made]
        if not account.losses:
            assert list(map(canonical, back)) == [canonical(example)], name
        fates = {loss.fate for loss in account.losses.values()}
        if made and "unrolled" in fates:
            learnt = [m for m in example.messages if m["role"] == "assistant"]
            assert len(made) == sum(m.get("weight", 1) for m in learnt), name


def test_what_changes_the_meaning_stops_until_it_is_accepted(tmp_path):
    path = tmp_path / "train.jsonl"
    jsonl.write(path, WEIGHED)
    with pytest.raises(DataError, match=r"weight 0, .*trained on \(1 rows: 2\).*--accept"):
        export(path, tmp_path / "out", target="cohere")
    assert not (tmp_path / "out").exists()
    done = export(path, tmp_path / "out", target="cohere", accept=True)
    assert done.rows == {"train.jsonl": 2}
    page = (tmp_path / "out" / "LOSSES.md").read_text(encoding="utf-8")
    assert "| an answer of weight 0, which is not learnt | trained on | yes | 1 | 2 |" in page


def test_the_page_of_an_export_says_all_that_its_target_carries_and_what_was_seen(tmp_path):
    path = tmp_path / "train.jsonl"
    jsonl.write(path, [EXAMPLES["chat"]])
    export(path, tmp_path / "out", target="mlx-lm")
    page = (tmp_path / "out" / "LOSSES.md").read_text(encoding="utf-8")
    date = tried()["mlx-lm"]["date"]
    assert f"from {date}: what {TARGETS['mlx-lm'].package} made" in page
    assert "| a list of tools | row left out | yes | row left out |" in page
    assert "| a chat | kept | no | same tokens |" in page
    export(path, tmp_path / "hosted", target="cohere")
    page = (tmp_path / "hosted" / "LOSSES.md").read_text(encoding="utf-8")
    assert "| a chat | kept | no | not tried |" in page
    assert "No package read these rows" in page
    assert "not tried there" in page


def test_an_export_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "train.jsonl"
    jsonl.write(path, [EXAMPLES["tools"]])
    with pytest.raises(DataError, match="no row is left for Cohere"):
        export(path, tmp_path / "out", target="cohere", accept=True)
    assert [one.name for one in tmp_path.iterdir()] == ["train.jsonl"]
    with pytest.raises(DataError, match=r"there is no target 'gpt'.*one of: openai, azure"):
        export(path, tmp_path / "out", target="gpt")


def test_a_damaged_file_is_refused_before_any_target_sees_it(tmp_path):
    path = tmp_path / "train.jsonl"
    jsonl.write(path, [EXAMPLES["chat"], {"messages": [{"role": "robot", "content": "x"}]}])
    for name in TARGETS:
        with pytest.raises(DataError, match="unknown_role"):
            export(path, tmp_path / name, target=name)


def test_azure_gets_its_byte_order_mark_and_bedrock_both_forms(tmp_path):
    path = tmp_path / "train.jsonl"
    jsonl.write(path, [EXAMPLES["chat"]])
    export(path, tmp_path / "azure", target="azure")
    assert (tmp_path / "azure" / "train.jsonl").read_bytes().startswith(b"\xef\xbb\xbf{")
    export(path, tmp_path / "bedrock", target="bedrock")
    for name in ("nova", "claude"):
        (back,) = map(read_row, rows_of_file(tmp_path / "bedrock" / f"{name}-train.jsonl"))
        assert back.as_json() == EXAMPLES["chat"]


def test_parquet_brings_everything_back(tmp_path):
    for name, row in EXAMPLES.items():
        path = tmp_path / "train.jsonl"
        jsonl.write(path, [row])
        export(path, tmp_path / "out", target="datasets")
        (back,) = map(read_row, rows_of_file(tmp_path / "out" / "train.parquet"))
        assert canonical(back) == canonical(TrainingExample.of(row)), name


def test_an_answer_of_weight_0_makes_one_row_for_each_answer_that_is_learnt(tmp_path):
    path = tmp_path / "train.jsonl"
    jsonl.write(path, WEIGHED)
    export(path, tmp_path / "out", target="llamafactory")
    rows = list(jsonl.read(tmp_path / "out" / "train.jsonl"))
    assert [len(row["messages"]) for row in rows] == [3, 5]
    assert "mask_history: true" in (tmp_path / "out" / "llamafactory.yaml").read_text()


def test_calls_for_mistral_have_ids_of_nine_letters_and_answers_the_same_ones():
    (row,) = rows_of(TrainingExample.of(EXAMPLES["tool_answers"]), "mistral")
    call_id = row["messages"][2]["tool_calls"][0]["id"]
    assert len(call_id) == 9
    assert call_id.isalnum()
    assert row["messages"][3]["tool_call_id"] == call_id
    assert row["tools"] == EXAMPLES["tools"]["tools"]


TWO_CALLS = EXAMPLES["several_calls"]["messages"]


def test_answers_of_tools_stand_in_the_order_of_their_calls_where_no_id_tells_them():
    before, after = TWO_CALLS[:3], TWO_CALLS[5:]
    shuffled = [*before, TWO_CALLS[4], TWO_CALLS[3], *after]
    row = {**EXAMPLES["several_calls"], "messages": shuffled}
    ordered = TrainingExample.of(EXAMPLES["several_calls"])
    for name in ("trl", "axolotl", "llamafactory", "ms-swift", "google"):
        assert rows_of(TrainingExample.of(row), name) == rows_of(ordered, name), name
    assert rows_of(TrainingExample.of(row), "openai")[0]["messages"] == shuffled


def test_both_answers_of_tools_are_one_turn_where_a_trainer_wants_turns():
    (row,) = rows_of(TrainingExample.of(EXAMPLES["several_calls"]), "google")
    assert [len(content["parts"]) for content in row["contents"]] == [1, 2, 2, 1]
    row = rows_of(TrainingExample.of(EXAMPLES["several_calls"]), "llamafactory")[-1]
    roles = ["system", "user", "function_call", "observation", "assistant"]
    assert [message["role"] for message in row["messages"]] == roles


def test_what_one_tool_said_is_one_answer_whatever_it_looks_like():
    row = json.loads(json.dumps(EXAMPLES["tool_answers"]))
    row["messages"][3]["content"] = f"a{RESULTS}b"
    example = TrainingExample.of(row)
    *_, made = rows_of(example, "llamafactory")
    assert canonical(read_row(made)) == canonical(example)


def test_a_text_and_the_call_after_it_count_as_one_message_where_they_would_be_joined():
    said = {"role": "assistant", "content": "Let me see."}
    row = {**EXAMPLES["tool_answers"]}
    row["messages"] = [*row["messages"][:2], said, *row["messages"][2:]]
    example = TrainingExample.of(row)
    for name in ("mistral", "llamafactory", "ms-swift"):
        account = Account(TARGETS[name])
        account.add(1, example)
        assert "text_and_call" in account.losses, name
        assert rows_of(example, name) == [], name
    assert len(rows_of(example, "trl")) == 1


def test_older_functions_become_tools():
    function = {"name": "hours", "arguments": "{}"}
    row = {
        "messages": [
            {"role": "user", "content": "When?"},
            {"role": "assistant", "content": None, "function_call": function},
            {"role": "function", "name": "hours", "content": "9"},
            {"role": "assistant", "content": "At 9."},
        ],
        "functions": [{"name": "hours"}],
    }
    made = TrainingExample.of(row)
    assert made.tools == ({"type": "function", "function": {"name": "hours"}},)
    (call,) = made.messages[1]["tool_calls"]
    assert (call["function"], made.messages[2]["tool_call_id"]) == (function, call["id"])


def test_what_our_server_does_beyond_the_settings_is_said_of_trainers(tmp_path):
    from helpers.backend.training.hyperparameters import NEFTUNE_ALPHA, PROMPT_LOSS_WEIGHT

    path = tmp_path / "train.jsonl"
    jsonl.write(path, [EXAMPLES["chat"]])
    said = {}
    for target in ("trl", "openai"):
        export(path, tmp_path / target, target=target)
        said[target] = (tmp_path / target / "LOSSES.md").read_text(encoding="utf-8")
    assert f"a weight of {PROMPT_LOSS_WEIGHT}" in said["trl"]
    assert f"(NEFTune, {NEFTUNE_ALPHA:g})" in said["trl"]
    assert "NEFTune" not in said["openai"]


@pytest.mark.slow
def test_the_recipe_is_the_trainers_own():
    from helpers.backend.bases.families import SEVEN

    ours, theirs = TrainSpec("", ""), recipes.Recipe()
    for name in ("n_epochs", "batch_size", "learning_rate", "rank", "alpha", "max_tokens", "beta"):
        assert getattr(theirs, name) == getattr(ours, name), name
    assert recipes.MODULES == SEVEN


def test_a_preference_of_another_trainer_is_no_broken_completion(tmp_path):
    path = tmp_path / "pairs.jsonl"
    jsonl.write(path, [{"prompt": "When?", "chosen": "At 9.", "rejected": "Never."}])
    report = validate_file(path, minimum=1)
    assert set(report.counts) == {"unknown_format"}
    assert "preference" in str(report)
    assert read_row(next(iter(jsonl.read(path)))).preferred == {
        "role": "assistant",
        "content": "At 9.",
    }


DATED = {
    **EXAMPLES["preference"],
    "preferred_output": [{"role": "assistant", "content": "2026-11-29"}],
    "non_preferred_output": [{"role": "assistant", "content": "I do not know."}],
}


@pytest.mark.parametrize("row", [DATED, {"prompt": "When?", "completion": "2026-11-29"}])
def test_answers_that_would_become_times_stop_until_it_is_accepted(tmp_path, row):
    path = tmp_path / "train.jsonl"
    jsonl.write(path, [row] * 3)
    with pytest.raises(DataError, match=r"train: one column holds dates alone.*--accept"):
        export(path, tmp_path / "out", target="trl")
    assert "holds dates alone" in str(export(path, tmp_path / "out", target="trl", accept=True))
    assert "dates" in (tmp_path / "out" / "LOSSES.md").read_text(encoding="utf-8")
    assert "dates" not in str(export(path, tmp_path / "own", target="openai"))
    jsonl.write(path, [row, {**EXAMPLES["preference" if "input" in row else "completion"]}])
    assert "dates" not in str(export(path, tmp_path / "mixed", target="trl"))


def test_what_trips_a_valid_file_elsewhere_is_named(tmp_path):
    def said(rows, target, name="train.jsonl"):
        path = tmp_path / name
        jsonl.write(path, rows)
        return str(check_portability(path, target=target, count_tokens=lambda text: len(text)))

    assert said([EXAMPLES["chat"]] * 8, "safe") == "nothing stands against any trainer"
    assert "trained on (1 rows: 2)" in said(WEIGHED, "safe")
    assert "valid.jsonl" in said([EXAMPLES["chat"]] * 8, "mlx-lm", "validation.jsonl")
    for target in ("mlx-lm", "torchtune"):
        assert "1 of 9 rows fill no batch of 8" in said([EXAMPLES["chat"]] * 9, target)
    called = [EXAMPLES["chat"], EXAMPLES["tool_calls"]]
    assert "calls without a content" not in said(called[:1], "trl")
    for target in ("trl", "torchtune", "safe"):
        assert re.search(r"calls without a content .*: 2$", said(called, target), re.M), target
    assert "calls without a content" not in said(called, "mistral")
    long = {"prompt": "When? " * 200, "completion": " At 9."}
    assert "tokens are dropped unless max_length is set: 1" in said([long], "trl")
    assert "a column named text" in said([{**EXAMPLES["completion"], "text": "x"}], "trl")
    assert "holds dates alone" in said([DATED], "trl")
    assert "holds dates alone" not in said([DATED, EXAMPLES["preference"]], "trl")
    path = tmp_path / "bom.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + jsonl.dump(EXAMPLES["chat"]))
    assert "byte order mark" in str(check_portability(path, target="together"))


def test_a_list_that_comes_late_in_a_large_file_is_named(tmp_path, monkeypatch):
    path = tmp_path / "train.jsonl"
    monkeypatch.setattr(portability, "BLOCK", 1000)
    many = [EXAMPLES["chat"]] * 10
    for rows, named in ((([*many, EXAMPLES["parts"]]), True), ([EXAMPLES["parts"], *many], False)):
        jsonl.write(path, rows)
        found = str(check_portability(path, target="trl", count_tokens=len))
        assert ("below 10 MB of plain texts" in found) == named


def test_what_a_large_file_shows_late_stands_in_front_where_types_are_guessed(
    tmp_path, monkeypatch
):
    path = tmp_path / "train.jsonl"
    many = [EXAMPLES["chat"]] * 10
    jsonl.write(path, [*many, *WEIGHED * 2, EXAMPLES["tool_calls"]])
    export(path, tmp_path / "small", target="trl")
    monkeypatch.setattr(shapes, "BLOCK", 1000)
    done = export(path, tmp_path / "large", target="trl")
    assert "train.jsonl: 2 rows stand in front" in str(done)
    assert "2 rows stand in front" in (tmp_path / "large" / "LOSSES.md").read_text("utf-8")
    small, large = (list(jsonl.read(tmp_path / n / "train.jsonl")) for n in ("small", "large"))
    assert large == [small[11], small[14], *small[:11], *small[12:14]]
    export(path, tmp_path / "hosted", target="openai")
    assert list(jsonl.read(tmp_path / "hosted" / "train.jsonl")) == list(jsonl.read(path))
