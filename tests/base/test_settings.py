"""What the environment says, and what it cannot say."""

from __future__ import annotations

import pytest

from helpers.base import settings
from helpers.base.errors import CourseError


def test_words_of_the_environment_are_read():
    words = {"WORKBOOK_THREADS": "3", "WORKBOOK_JOB_GB": "1.5", "WORKBOOK_PRECISION": "float32"}
    found = settings.load(words)
    assert (found.threads, found.job_memory, found.precision) == (3, 1_500_000_000, "float32")


def test_what_is_empty_is_as_if_it_were_not_there():
    words = dict.fromkeys(("WORKBOOK_THREADS", "WORKBOOK_JOBS", "WORKBOOK_PRECISION"), "")
    assert settings.load(words) == settings.load({})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("WORKBOOK_THREADS", "two"),
        ("WORKBOOK_THREADS", "-1"),
        ("WORKBOOK_JOBS", "1.5"),
        ("WORKBOOK_NODE_THREADS", "2 cores"),
        ("WORKBOOK_JOB_GB", "4 GB"),
        ("WORKBOOK_JOB_GB", "nan"),
        ("WORKBOOK_PRECISION", "float16"),
    ],
)
def test_what_is_no_value_is_told_with_a_remedy(name, text):
    with pytest.raises(CourseError, match=name) as told:
        settings.load({name: text})
    assert text in str(told.value)
    assert "write" in str(told.value)
