"""The tests that OpenAI's own package carries in its source distribution, run on this server.

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
from pathlib import Path

from helpers.backend.daemon import Address
from tests.peers.conftest import HERE, Outcome, fetched
from tests.ports import free_port

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


def run(python: Path, server: Address, folder: Path, which: str = "") -> tuple[Outcome, list[str]]:
    """What passed and failed, and the failures that `ARTEFACTS` does not name.

    `which`: an expression of pytest's `-k`; all tests of the offered routes without it.
    """
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "openai"]
    fetched([*command, "-d", str(folder), f"openai=={VERSION}"], folder)
    with tarfile.open(folder / f"openai-{VERSION}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return _judged(_said(python, server, folder / f"openai-{VERSION}", which))


def _said(python: Path, server: Address, package: Path, which: str) -> str:
    """What pytest prints."""
    port = free_port()
    proxy = subprocess.Popen(
        [sys.executable, str(HERE / "sdk_proxy.py"), server.url, server.token, str(port)],
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(1)
        chosen = f"not ({NOT_OFFERED})" + (f" and ({which})" if which else "")
        return subprocess.run(
            [str(python), "-m", "pytest", "-q", "-o", "addopts=", "--timeout", "600", "-rA",
             "-p", "no:cacheprovider", "--tb=no", "-k", chosen,
             *(f"tests/api_resources/{name}" for name in OFFERED)],
            cwd=package,
            env={"TEST_API_BASE_URL": f"http://127.0.0.1:{port}", "PATH": ""},
            capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip
    finally:
        proxy.terminate()


def _judged(said: str) -> tuple[Outcome, list[str]]:
    found = Outcome("openai (its own tests)", VERSION)
    unnamed = []
    verdicts = re.findall(r"^(PASSED|FAILED|ERROR) (\S+)(?: - (.*))?", said, re.MULTILINE)
    assert verdicts, said[-2000:]
    for verdict, path, error in verdicts:
        name = path.removeprefix("tests/api_resources/")
        if verdict == "PASSED":
            found.passed.append(name)
            continue
        why = next((why for p, why in ARTEFACTS.items() if re.search(p, name)), None)
        found.failed[name] = why or error
        if why is None:
            unnamed.append(f"{name}: {error}")
    return found, unnamed
