"""The tests that OpenAI's own package carries in its source distribution, on this server.

They are generated from OpenAI's description and written for a mock; `sdk_proxy.py` gives them
the server's key, ids and models. Tests of routes that this server does not offer are not run.
What fails by the nature of the tests stands in `ARTEFACTS`, with its reason.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import time

import pytest

from tests.peers.conftest import HERE, Outcome
from tests.ports import free_port

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(3600)]

VERSION = "3.54.0"
OFFERED = (
    "test_batches.py", "test_completions.py", "test_embeddings.py", "test_files.py",
    "test_models.py", "test_responses.py", "test_uploads.py", "fine_tuning/test_jobs.py",
    "fine_tuning/jobs", "chat", "responses", "uploads",
)  # fmt: skip
NOT_OFFERED = "test_responses and compact"
REFUSED = "asks for every parameter of the description at once; those refused here are named"
BACKGROUND = "needs a response that is made in the background, which is refused by name"
BASE64 = "the strict client does not take the base64 for which the package itself asks"
ARTEFACTS = {
    r"test_(completions|responses|input_tokens)\.py.*with_all_params": REFUSED,
    r"test_jobs\.py.*create_with_all_params": REFUSED,
    r"test_embeddings\.py.*create_with_all_params": "asks a model of 384 dimensions for one",
    r"test_embeddings\.py.*_create\[(strict|aiohttp)\]": BASE64,
    r"test_responses\.py.*_cancel\[": BACKGROUND,
    r"test_responses\.py.*_retrieve.*_overload_2\[": BACKGROUND,
}
"""By pattern of a test's id."""


def test_the_packages_own_tests_pass_but_for_named_artefacts(
    environment_of, server, results, tmp_path
):
    python = environment_of("openai_sdk")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "openai"]
    command += ["-d", str(tmp_path), f"openai=={VERSION}"]
    subprocess.run(command, check=True, capture_output=True)
    with tarfile.open(tmp_path / f"openai-{VERSION}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    port = free_port()
    proxy = subprocess.Popen(
        [sys.executable, str(HERE / "sdk_proxy.py"), server.url, server.token, str(port)],
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(1)
        done = subprocess.run(
            [str(python), "-m", "pytest", "-q", "-o", "addopts=", "--timeout", "120", "-rA",
             "-p", "no:cacheprovider", "--tb=no", "-k", f"not ({NOT_OFFERED})",
             *(f"tests/api_resources/{name}" for name in OFFERED)],
            cwd=tmp_path / f"openai-{VERSION}",
            env={"TEST_API_BASE_URL": f"http://127.0.0.1:{port}", "PATH": ""},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        proxy.terminate()
    found = Outcome("openai (its own tests)", VERSION)
    unnamed = []
    for verdict, name, said in re.findall(
        r"^(PASSED|FAILED|ERROR) (\S+)(?: - (.*))?", done.stdout, re.MULTILINE
    ):
        if verdict == "PASSED":
            found.passed.append(name)
            continue
        why = next((why for p, why in ARTEFACTS.items() if re.search(p, name)), None)
        found.failed[name] = why or said
        if why is None:
            unnamed.append(f"{name}: {said}")
    results.append(found)
    assert len(found.passed) > 600, done.stdout[-2000:]
    assert not unnamed, "\n".join(unnamed)
    failed = "\n".join(found.failed)
    assert [pattern for pattern in ARTEFACTS if not re.search(pattern, failed)] == []
