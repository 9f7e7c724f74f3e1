"""What a failing cell says: short, with what to do, and in the reader's own lines."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import httpx
import openai
import pytest

from helpers.base import notebook_errors
from helpers.base.errors import BackendError
from helpers.finetuning.jobs import no_longer_waiting

SENT = httpx.Request("POST", "http://127.0.0.1:1/v1")
CASES = {
    "a job without a model": BackendError("the job was cancelled", fix="run the cell again"),
    "■ while waiting": no_longer_waiting("ftjob-1"),
    "■": KeyboardInterrupt(),
    "the server is gone": openai.APIConnectionError(request=SENT),
}


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except type(error) as caught:
        return caught


@pytest.mark.parametrize("error", CASES.values(), ids=CASES)
def test_what_a_reader_can_mend_is_one_line_that_says_how(error):
    caught = raised(error)
    (line,) = notebook_errors.lines(caught, caught.__traceback__)
    assert "again" in line
    assert "\n" not in line


def test_a_name_that_no_cell_has_made_yet_points_to_the_cells_above():
    code = compile("1\nmonitor.wait()", "/tmp/ipykernel_1/2.py", "exec")
    with pytest.raises(NameError) as caught:
        exec(code, {})
    shown = notebook_errors.lines(caught.value, caught.tb)
    assert "'monitor' is not known yet" in shown[1]
    assert "Run All Above Selected Cell" in shown[1]


def test_any_other_error_keeps_to_ten_lines_however_deep_it_was(monkeypatch):
    def deep(n):
        return deep(n - 1) if n else {}["x" * 900 + "\n" * 30]

    with pytest.raises(KeyError) as caught:
        deep(50)
    assert len("\n".join(notebook_errors.lines(caught.value, caught.tb)).splitlines()) <= 10


def test_an_answer_of_the_server_is_told_in_its_own_words():
    response = httpx.Response(400, request=SENT)
    error = openai.BadRequestError("x" * 300, response=response, body={"message": "no such model"})
    assert notebook_errors.said(error) == "BadRequestError: no such model"


def test_it_is_installed_in_a_kernel_alone(monkeypatch):
    taken = []
    shell = SimpleNamespace(kernel=1, set_custom_exc=lambda kinds, show: taken.append(kinds))
    assert notebook_errors.install(shell)
    assert taken == [(Exception, KeyboardInterrupt)]
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not notebook_errors.install()
