"""What came of one table: every method's graded answers, their ranking, and the conditions.

For: whoever reads a proof: tables, report, model card. Not for: making it, see
`helpers.capstone.experiment`.

    done.table()
    done.ranking.best
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from helpers.capstone import scoring
from helpers.capstone.estimate import Estimate
from helpers.capstone.ranking import Ranking
from helpers.capstone.samples import CHECKABLE
from helpers.capstone.training import TunedModel
from helpers.datasets.prepared import PreparedDataset
from helpers.evaluation.grading import EvaluationReport
from helpers.evaluation.leaderboard import seconds
from helpers.evaluation.statistics import interval

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class CapstoneResult:
    """What came of one table."""

    prepared: PreparedDataset
    tuned: TunedModel
    reports: Mapping[str, EvaluationReport]
    """By method, the baselines last."""
    ranking: Ranking
    talks: tuple[int, ...]
    """Of each held-out answer the conversation; those of one count together."""
    labels: tuple[str, ...]
    """The answers, where they are labels."""
    within_reach: float | None
    """Share of the held-out facts that stand in some training answer; None without facts."""
    store: str
    """What could be looked up."""
    max_tokens: int
    """An answer may have."""
    estimate: Estimate
    notes: tuple[str, ...]
    """What was left out, and why."""
    model_folder: Path
    """The best method, to be taken away: `python3 -m helpers serve --model FOLDER`."""
    report_file: Path

    @property
    def job(self) -> str:
        """Id of the fine-tuning job."""
        return self.tuned.job

    @property
    def model(self) -> str:
        """Id of the tuned model."""
        return self.tuned.model

    @property
    def cut(self) -> dict[str, int]:
        """By method, how many answers reached `max_tokens` and were cut."""
        return {
            name: sum(bool(row["cut"]) for row in report.rows)
            for name, report in self.reports.items()
        }

    def table(self) -> pd.DataFrame:
        """One row a method: scores with 95% intervals, answers cut, prompt tokens, seconds."""
        import pandas as pd

        rows = {
            method: self._scores(report)
            | {
                "cut": self.cut[method],
                "prompt tokens": round(report.frame()["prompt_tokens"].mean()),
                "seconds": seconds(report),
            }
            for method, report in self.reports.items()
        }
        return pd.DataFrame(rows).T

    def _scores(self, report: EvaluationReport) -> dict[str, str]:
        n = len(report.rows)
        if self.labels:
            targets, outputs = ([row[key] for row in report.rows] for key in ("target", "answer"))
            return {
                f"accuracy ({n} questions)": str(interval(report.column(scoring.LABEL))),
                "macro-F1": str(scoring.macro_f1(targets, outputs)),
            }
        shown = {}
        found = report.column(scoring.FACTS, kind=CHECKABLE)
        # Without those whose only numbers stand in nearly every answer.
        checked = found[~np.isnan(found)]
        if checked.size:
            shown[f"facts ({checked.size} questions)"] = str(interval(checked))
        shown[f"chrF ({n} questions)"] = str(interval(report.column(scoring.CHRF)))
        shown["similarity"] = str(interval(report.column(scoring.SIMILARITY)))
        if scoring.JUDGE in report.scorers:
            shown["judge"] = str(interval(report.column(scoring.JUDGE)))
        return shown
