"""Old releases of `openai`: their commands and snippets word for word, on today's server."""

from __future__ import annotations

import json
import re
import sys
import textwrap
import time
from pathlib import Path

import pytest

from helpers.base import settings as settings_module
from helpers.base.errors import BackendError, CourseError, SetupError
from helpers.base.settings import BASE_MODEL
from helpers.datasets.conversion import convert_file
from helpers.datasets.validation.file import validate_file
from helpers.legacy import openai_package
from helpers.legacy.openai_package import Package

QUESTIONS = [
    "My internet is not working. What should I do?",
    "The wifi drops every evening. What should I do?",
    "My phone cannot see the network. What should I do?",
    "The router shows a red light. What should I do?",
    "Pages load slowly. What should I do?",
    "I forgot the wifi password. What should I do?",
    "The cable is broken. What should I do?",
    "I want to change my tariff. What should I do?",
    "My bill is too high. What should I do?",
    "I move to another flat. What should I do?",
]
pytestmark = pytest.mark.timeout(900)
"""The first test of a release installs it."""
FT = r"ft:[\w.-]+:\w*:[\w-]*:\w+"


@pytest.fixture(scope="session")
def settings_here(server):
    return settings_module.load()


def installed(version, settings):
    try:
        return openai_package.package(version, settings=settings)
    except SetupError as error:
        if "no network" in error.message or "no build" in error.message:
            pytest.skip(f"openai {version} cannot be installed here: {error.message}")
        raise


@pytest.fixture(scope="module")
def old(settings_here) -> Package:
    return installed("0.28.1", settings_here)


@pytest.fixture(scope="module")
def later(settings_here) -> Package:
    return installed("2.34.0", settings_here)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, with a training file of ten prompt/completion pairs."""
    monkeypatch.chdir(tmp_path)
    rows = [{"prompt": text, "completion": " Restart the router.\n"} for text in QUESTIONS]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    Path("pairs.jsonl").write_text(text, encoding="utf-8")
    return tmp_path


def works(package, command, **more):
    done = package.run(command, **more)
    assert done.code == 0, done.output
    return done.output


def found(pattern, text):
    match = re.search(pattern, text)
    assert match, text
    return match[0]


# The runner itself, with this very Python in the place of an old release.


@pytest.fixture
def runner(settings_here) -> Package:
    return Package("any", Path(sys.executable), settings_here)


def test_the_key_reaches_the_command_and_no_output(runner, server, capfd):
    code = "import os; print(os.environ['OPENAI_API_KEY'] * 2); print(os.environ)"
    shown = []
    done = runner.python(code, show=shown.append)
    assert done.output.startswith("[key][key]\n")
    assert f"'OPENAI_API_BASE': '{server.url}/v1'" in done.output
    assert f"'OPENAI_BASE_URL': '{server.url}/v1'" in done.output
    assert "".join(shown) == done.output
    assert server.token not in done.output
    assert capfd.readouterr() == ("", "")


def test_a_key_cut_in_two_by_the_pipe_is_still_hidden():
    for cut in range(7):
        whole = "a secret b"
        pieces = iter([whole[: cut + 2], whole[cut + 2 :]])
        assert "".join(openai_package._without("secret", pieces)) == "a [key] b"


def test_output_comes_piece_by_piece_and_typing_goes_in(runner):
    code = "import time; print(input(), flush=True); time.sleep(.3); print('later', end='')"
    seen = []
    begin = time.perf_counter()
    done = runner.run(
        ["python", "-c", code],
        typed="hello\n",
        show=lambda piece: seen.append((piece, time.perf_counter() - begin)),
    )
    times = {piece.strip(): at for piece, at in seen if piece.strip()}
    assert times["later"] - times["hello"] > 0.2
    assert repr(done) == "hello\nlater"


def test_a_failure_shows_its_code_and_a_command_that_hangs_is_ended(runner):
    assert repr(runner.python("raise SystemExit(3)")).endswith("(ended with code 3)")
    with pytest.raises(BackendError, match="still running"):
        runner.python("import time; time.sleep(60)", seconds=0.5)


def test_other_programs_and_other_releases_are_refused(runner):
    with pytest.raises(CourseError, match="begin the command with openai or python"):
        runner.run("rm -rf .")
    with pytest.raises(CourseError, match=r"0\.28\.1, 2\.34\.0"):
        openai_package.package("1.0.0")


# openai 0.28.1


@pytest.mark.slow
def test_the_whole_fine_tunes_story_of_0_28_1(old, here, client):
    """Create with a file on disk and stream to the end, then everything one does with it."""
    command = f"openai api fine_tunes.create -t pairs.jsonl -m {BASE_MODEL} --n_epochs 2"
    shown = []
    said = works(old, command, show=lambda piece: shown.append((time.monotonic(), piece)))
    assert "Uploaded file from pairs.jsonl: file-" in said
    key = found(r"ft-\w+", found(r"Created fine-tune: ft-\w+", said))
    assert "Streaming events until fine-tuning is complete..." in said
    assert "Fine-tune started" in said
    assert re.search(r"\[20\d\d-\d\d-\d\d [\d:]+\] Step 1/\d+: training loss=", said)
    assert "Job complete! Status: succeeded" in said
    model = found(FT, found(rf"completions.create -m {FT}", said))
    assert shown[-1][0] - shown[0][0] > 1, "all came at once, at the end"

    assert key in works(old, "openai api fine_tunes.list")
    body = json.loads(works(old, f"openai api fine_tunes.get -i {key}"))
    assert (body["status"], body["fine_tuned_model"]) == ("succeeded", model)
    assert body["training_files"][0]["filename"] == "pairs.jsonl"
    assert "Fine-tune succeeded" in works(old, f"openai api fine_tunes.follow -i {key}")
    assert "Fine-tune succeeded" in works(old, f"openai api fine_tunes.events -i {key}")
    table = works(old, f"openai api fine_tunes.results -i {key}").splitlines()
    assert table[0].startswith("step,train_loss")
    assert client.fine_tuning.jobs.retrieve(key.replace("ft-", "ftjob-")).fine_tuned_model == model

    advised = f'openai api completions.create -m {model} -p "{QUESTIONS[0]}"'
    assert works(old, advised).startswith(QUESTIONS[0])
    assert works(old, f"{advised} --stream").startswith(QUESTIONS[0])
    client.put("/models/my_model/alias", body={"model": model}, cast_to=object)
    # The article asks for no temperature, so its words are drawn.
    assert works(old, ["python", "-c", ARTICLE]).strip()
    whole, streamed = works(old, ["python", "-c", FEW_SHOT]).splitlines()
    assert whole == streamed
    assert "router" in whole
    assert json.loads(works(old, f"openai api fine_tunes.delete -i {key}"))["deleted"]
    gone = old.run(f"openai api models.get -i {model}")
    assert gone.code
    assert "does not exist" in gone.output


ARTICLE = """import openai
response = openai.Completion.create(model="my_model",
    prompt="My internet is not working. What should I do?", max_tokens=60)
print(response.choices[0].text)
"""


FEW_SHOT = """import openai
shots = [("The wifi drops.", "Restart the router."), ("It is slow.", "Restart the router.")]
prompt = "".join(f"Q: {q}\\nA: {a}\\n" for q, a in shots) + "Q: My internet is not working.\\nA:"
asked = dict(model="my_model", prompt=prompt, max_tokens=20, stop="\\n", temperature=0)
print(openai.Completion.create(**asked).choices[0].text)
parts = openai.Completion.create(**asked, stream=True)
print("".join(part.choices[0].text for part in parts))
"""


@pytest.mark.slow
def test_a_fine_tune_of_0_28_1_is_created_without_following_and_cancelled(old, here):
    upload = works(old, "openai api files.create -f pairs.jsonl -p fine-tune")
    file = found(r"file-\w+", upload)
    command = f"openai api fine_tunes.create -t {file} -m {BASE_MODEL} --no_follow"
    said = works(old, command)
    assert f'"id": "{file}"' in said
    assert "Uploaded file" not in said
    key = found(r'"id": "(ft-\w+)"', said).split('"')[3]
    cancelled = json.loads(works(old, f"openai api fine_tunes.cancel -i {key}"))
    assert cancelled["status"] == "cancelled"
    assert "Fine-tune cancelled" in works(old, f"openai api fine_tunes.follow -i {key}")
    nothing = old.run(f"openai api fine_tunes.results -i {key}")
    assert "No results file available" in nothing.output


@pytest.mark.slow
def test_a_wrong_model_or_file_is_named_by_0_28_1(old, here):
    done = old.run("openai api fine_tunes.create -t pairs.jsonl -m curie")
    assert done.code
    assert "The model 'curie' does not exist" in done.output
    done = old.run(f"openai api fine_tunes.create -t nothing.jsonl -m {BASE_MODEL}")
    assert "nothing.jsonl" in done.output


# Snippets as old tutorials print them, and what they show. The server knows the model as an alias.
SNIPPETS = {
    "few-shot": (
        """
        prompt = "Q: The wifi drops.\\nA: Restart the router.\\nQ: My internet is not working.\\nA:"
        response = openai.Completion.create(model="davinci", prompt=prompt, max_tokens=9, stop="Q:")
        print(response["choices"][0]["text"])
        """,
        r"\w+",
    ),
    "streamed": (
        """
        parts = list(
            openai.Completion.create(model="davinci", prompt="One,", max_tokens=6, stream=True)
        )
        print(len(parts), parts[-1].choices[0].finish_reason)
        """,
        r"[5-9] length",
    ),
    "several prompts": (
        """
        r = openai.Completion.create(
            model="davinci", prompt=["a", "b"], n=2, max_tokens=2, logprobs=1, echo=True
        )
        print([choice.index for choice in r.choices], r.choices[2].text[0])
        """,
        r"\[0, 1, 2, 3\] b",
    ),
    "engine": (
        """
        r = openai.Completion.create(engine="davinci", prompt="Hi", max_tokens=2)
        print(r.object, openai.Engine.list().data[0].ready, openai.Engine.retrieve("davinci").id)
        """,
        "text_completion True davinci",
    ),
    "chat": (
        """
        messages = [{"role": "user", "content": "Hello"}]
        r = openai.ChatCompletion.create(model="davinci", messages=messages, max_tokens=8)
        print(r["choices"][0]["message"]["role"])
        r = openai.ChatCompletion.create(
            model="davinci", messages=messages, max_tokens=8, stream=True
        )
        print("".join(chunk.choices[0].delta.get("content", "") for chunk in r))
        """,
        r"assistant\n\w",
    ),
    "file": (
        """
        f = openai.File.create(file=open("pairs.jsonl", "rb"), purpose="fine-tune")
        print(openai.File.retrieve(f.id).status, len(openai.File.download(f.id)) == f.bytes)
        print(f.id in [x.id for x in openai.File.list().data], openai.File.delete(f.id).deleted)
        """,
        "processed True\nTrue True",
    ),
    "embedding": (
        """
        r = openai.Embedding.create(input=["a", "b"], model="all-minilm-l6-v2")
        print(len(r["data"]), len(r["data"][0]["embedding"]))
        """,
        "2 384",
    ),
    "async": (
        """
        import asyncio
        r = asyncio.run(openai.Completion.acreate(model="davinci", prompt="Hi", max_tokens=2))
        print(r.object, openai.FineTuningJob.list(limit=1).object)
        """,
        "text_completion list",
    ),
    "error": (
        """
        try:
            openai.Completion.create(model="text-davinci-003", prompt="Hi")
        except openai.error.InvalidRequestError as error:
            print(error.http_status, error.code)
        """,
        "404 model_not_found",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SNIPPETS)
def test_the_old_interface_of_0_28_1_answers(old, here, client, name):
    client.put("/models/davinci/alias", body={"model": BASE_MODEL}, cast_to=object)
    code, expected = SNIPPETS[name]
    said = works(old, ["python", "-c", f"import openai\n{textwrap.dedent(code)}"])
    assert re.search(expected, said), said


# openai 2.34.0


@pytest.mark.slow
def test_prepare_data_of_2_34_0_writes_what_todays_tools_read(later, old, here, client):
    rows = "".join(f'"{text}",{n} is what to press.\n' for n, text in enumerate(QUESTIONS))
    Path("pairs.csv").write_text(f"prompt,completion\n{rows}", encoding="utf-8")
    command = "openai tools fine_tunes.prepare_data -f pairs.csv"
    said = works(later, command, typed="\n" * 9)
    assert "Wrote modified file to `pairs_prepared.jsonl`" in said
    done = convert_file("pairs_prepared.jsonl", "chat.jsonl", to="chat")
    assert done.examples[3]["messages"][-1]["content"] == "3 is what to press."
    assert validate_file("chat.jsonl").ok
    quiet = works(old, f"{command} -q")
    assert "pairs_prepared (1).jsonl" in quiet
    data = Path("pairs_prepared.jsonl").read_bytes()
    assert client.files.create(file=("p.jsonl", data), purpose="fine-tune").status == "processed"


@pytest.mark.slow
def test_the_fine_tuning_commands_of_2_34_0(later, here):
    made = works(later, "openai api files.create -f pairs.jsonl -p fine-tune")
    file = found(r"file-\w+", made)
    hard = """-H '{"n_epochs": 1}' -s desk"""
    create = f"openai api fine_tuning.jobs.create -m {BASE_MODEL} -F {file} {hard}"
    job = found(r"ftjob-\w+", works(later, create))
    until = time.monotonic() + 300
    while time.monotonic() < until:
        state = works(later, f"openai api fine_tuning.jobs.retrieve -i {job}")
        if re.search(r'"status": "(succeeded|failed)"', state):
            break
        time.sleep(1)
    assert '"status": "succeeded"' in state
    assert job in works(later, "openai api fine_tuning.jobs.list -l 5")
    events = works(later, f"openai api fine_tuning.jobs.list_events -i {job}")
    assert "The job has successfully completed" in events
    model = found(FT, state)
    assert ":desk:" in model
    assert works(later, f'openai api completions.create -m {model} -p "Hi" -M 4').strip()
    assert model in works(later, "openai api models.list")
    assert '"deleted": true' in works(later, f"openai api models.delete -i {model}")
    other = found(r"ftjob-\w+", works(later, create))
    cancelled = works(later, f"openai api fine_tuning.jobs.cancel -i {other}")
    assert '"status": "cancelled"' in cancelled


@pytest.mark.slow
@pytest.mark.parametrize("more", ["", "--stream", "-n 2"])
def test_the_chat_command_of_2_34_0(later, more):
    command = f"openai api chat.completions.create -m {BASE_MODEL} -M 8 -t 0 -g user Hello {more}"
    assert works(later, command).strip()


@pytest.mark.slow
def test_each_release_is_itself_and_the_courses_package_is_untouched(old, later):
    import openai

    assert (
        works(old, ["python", "-c", "import openai.version as v; print(v.VERSION)"]) == "0.28.1\n"
    )
    assert works(later, ["python", "-c", "import openai; print(openai.__version__)"]) == "2.34.0\n"
    assert openai.__version__ == "3.54.0"
    assert Path(sys.prefix) not in old.python_path.parents
