"""Our exports in the packages that read them, each in an environment of its own.

What came out last stands in `data/targets.json`; another outcome fails here, so that the table
which readers see is never older than the pins. `WORKBOOK_TARGETS_TABLE=FILE` writes that file
anew from this run, as `bench targets` does.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from helpers.bench.targets import ALL_KINDS, COURSE, GONE, GOOD, READ, TargetBench, write_table
from helpers.datasets.exporting.targets import TARGETS
from tests.places import ROOT

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(2400)]
KNOWN = json.loads((ROOT / "data" / "targets.json").read_text(encoding="utf-8"))["targets"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return TargetBench(ROOT, tmp_path_factory.mktemp("targets"))


@pytest.fixture(scope="module")
def outcomes(bench):
    found = {}
    yield found
    if place := os.environ.get("WORKBOOK_TARGETS_TABLE"):
        write_table(Path(place), found)


@pytest.mark.parametrize("name", READ)
def test_a_package_reads_what_we_write_for_it(name, bench, outcomes):
    found = outcomes[name] = bench.outcomes(name)
    known = KNOWN.get(name)
    assert found == {key: value for key, value in (known or found).items() if key != "date"}
    assert found[COURSE] in GOOD
    if not TARGETS[name].package.startswith("openai"):
        assert found["package"] == TARGETS[name].package


@pytest.mark.parametrize("name", [name for name in READ if TARGETS[name].trainer])
def test_a_trainer_reads_rows_of_all_kinds_in_one_file_as_it_reads_each_alone(name, bench):
    found = bench.mixed(name)
    assert all(found[case] in (*GOOD, GONE) for case in ALL_KINDS), found
