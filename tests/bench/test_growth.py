"""Rows of growing size: each is measured for real at a small size, and drawn by its kind."""

from __future__ import annotations

import pytest

from helpers import bench
from helpers.base import settings as settings_module
from helpers.bench import growth
from helpers.bench.measurements import BenchRow


def test_each_kind_has_axes_and_a_measurement(settings):
    assert set(growth.SIZES) == set(growth.AXES)
    with growth.measuring(settings.root) as measurements:
        assert tuple(measurements) == growth.NAMES


@pytest.mark.parametrize(("kind", "size"), [("validate", 1), ("duplicates", 50), ("recall", 400)])
def test_a_small_size_is_really_measured(settings, monkeypatch, kind, size):
    monkeypatch.setattr(settings_module, "load", lambda: settings)
    monkeypatch.setitem(growth.SIZES, kind, (size,))
    with growth.measuring(settings.root) as measurements:
        row = measurements[f"{kind}-{size}"]()
    assert (row.name, row.ours > 0) == (f"{kind}-{size}", True)
    assert not list((settings.state / "cache").glob("*.jsonl"))


def test_a_file_has_about_the_size_that_its_row_names(settings, monkeypatch):
    monkeypatch.setattr(settings_module, "load", lambda: settings)
    with growth.measuring(settings.root) as measurements:
        row = measurements["validate-10"]()
    megabytes = int(row.what.split(" MB")[0].split()[-1])
    assert 8 <= megabytes <= 12


def test_what_was_measured_is_drawn_by_kind(tmp_path):
    rows = [BenchRow(f"job-{n}", "a job", "s", float(n)) for n in (200, 50)]
    rows += [BenchRow("import", "import helpers", "s", 0.1), BenchRow("recall-50", "", "", 0.9)]
    drawn = growth.figure(rows)
    assert [ax.get_title() for ax in drawn.axes] == ["job", "recall"]
    assert list(drawn.axes[0].lines[0].get_xdata()) == [50, 200]
    bench._draw(tmp_path, rows)
    assert (tmp_path / "growth.svg").read_text(encoding="utf-8").count("<svg") == 1
    bench._draw(tmp_path / "none", [BenchRow("import", "", "s", 1.0)])
    assert not (tmp_path / "none").exists()
