"""The course's figures: each function draws on the axes it is given and returns them.

For: notebooks. Colour is never the only sign: lines differ in dash, bars in hatch,
and both are labelled. Not for: computing what is drawn.

    figure, ax = plt.subplots()
    loss_curves(ax, steps_table)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from helpers.evaluation.grading import EvaluationReport
from helpers.evaluation.statistics import Interval, interval

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from helpers.course.quiz.scores import TopicScore

COLOURS = ("#3b6fb6", "#c2571a", "#3c8d5a", "#8a4f9e", "#6b6b6b", "#b03a5b")
HATCHES = ("", "//", "..", "xx", "\\\\", "++")


def quiet(ax: Axes) -> Axes:
    """Remove what carries no information: upper and right frame, heavy grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="#dddddd", linewidth=0.8)
    ax.set_axisbelow(True)
    return ax


def loss_curves(ax: Axes, steps: pd.DataFrame) -> Axes:
    """Training and validation loss against the step, from a job's metrics table.

    `steps` has the columns step, train_loss and, where it was measured, valid_loss.
    """
    quiet(ax)
    ax.plot(steps["step"], steps["train_loss"], color=COLOURS[0], label="training")
    valid = steps.dropna(subset=["valid_loss"]) if "valid_loss" in steps else steps.iloc[:0]
    if len(valid):
        ax.plot(
            valid["step"],
            valid["valid_loss"],
            color=COLOURS[1],
            linestyle="--",
            marker="o",
            markersize=4,
            label="validation",
        )
    ax.set(xlabel="step", ylabel="loss (nats per token)")
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, loc="upper right")
    return ax


def grouped_bars(
    ax: Axes,
    values: Mapping[str, Mapping[str, Interval]],
    *,
    ylabel: str,
    top: float | None = 1.0,
) -> Axes:
    """One group for each outer key, one bar with its 95% interval for each inner key."""
    quiet(ax)
    groups = list(values)
    series = list(dict.fromkeys(name for inner in values.values() for name in inner))
    # A fifth of the place stays free between two groups.
    width = 0.8 / max(len(series), 1)
    for index, name in enumerate(series):
        present = [
            (place, values[group][name])
            for place, group in enumerate(groups)
            if name in values[group]
        ]
        means = np.array([value.mean for _, value in present])
        spread = np.array([[v.mean - v.low, v.high - v.mean] for _, v in present]).T
        ax.bar(
            # The bars of a group stand around its place, not to the right of it.
            [place + (index - (len(series) - 1) / 2) * width for place, _ in present],
            means,
            width * 0.92,
            # Rounding can make an error slightly negative, which matplotlib refuses.
            yerr=np.clip(spread, 0, None),
            label=name,
            color=COLOURS[index % len(COLOURS)],
            hatch=HATCHES[index % len(HATCHES)],
            edgecolor="white",
            error_kw={"elinewidth": 1.2, "capsize": 2},
        )
    ax.set_xticks(range(len(groups)), [group.replace(" ", "\n") for group in groups])
    ax.set_ylabel(ylabel)
    if top is not None:
        ax.set_ylim(0, top * 1.05)
    ax.legend(frameon=False, ncols=len(series), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def scores_by_kind(
    ax: Axes,
    reports: Mapping[str, EvaluationReport],
    scorer: str,
    *,
    kinds: Sequence[str] | None = None,
) -> Axes:
    """One scorer of several systems by kind of question, with intervals."""
    first = next(iter(reports.values()))
    shown = kinds or list(dict.fromkeys(row["kind"] for row in first.rows))
    values = {
        kind: {name: interval(report.column(scorer, kind=kind)) for name, report in reports.items()}
        for kind in shown
    }
    return grouped_bars(ax, values, ylabel=scorer.replace("_", " "))


def histogram(ax: Axes, values: Sequence[float], *, xlabel: str, bins: int = 30) -> Axes:
    """Distribution of one number, with its median marked and labelled."""
    quiet(ax)
    ax.hist(values, bins=bins, color=COLOURS[0], edgecolor="white")
    middle = float(np.median(values))
    ax.axvline(middle, color=COLOURS[1], linestyle="--", label=f"median {middle:.0f}")
    ax.set(xlabel=xlabel, ylabel="examples")
    ax.legend(frameon=False, loc="upper right")
    return ax


def counts(ax: Axes, table: pd.Series, *, xlabel: str = "examples") -> Axes:
    """Horizontal bars of a count by label, the largest on top."""
    quiet(ax)
    # Ascending, since a horizontal bar chart grows from the bottom up.
    ordered = table.sort_values()
    ax.barh([str(label) for label in ordered.index], ordered.to_numpy(), color=COLOURS[0])
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(xlabel)
    return ax


def learning_curve(
    ax: Axes, sizes: Sequence[int], scores: Sequence[Interval], *, ylabel: str
) -> Axes:
    """A score against the number of training examples, with intervals."""
    return score_curves(ax, sizes, {"": scores}, xlabel="training examples", ylabel=ylabel)


def score_curves(
    ax: Axes,
    sizes: Sequence[int],
    series: Mapping[str, Sequence[Interval]],
    *,
    xlabel: str,
    ylabel: str,
) -> Axes:
    """Scores against a size, with intervals; a line for each series, named if there are several."""
    quiet(ax)
    for place, (name, scores) in enumerate(series.items()):
        means = np.array([score.mean for score in scores])
        spread = [means - [score.low for score in scores], [s.high for s in scores] - means]
        ax.errorbar(
            sizes,
            means,
            yerr=spread,
            color=COLOURS[place],
            linestyle=("-", "--", ":", "-.")[place % 4],
            marker="os^D"[place % 4],
            capsize=3,
            label=name,
        )
    ax.set(xlabel=xlabel, ylabel=ylabel, ylim=(0, 1.05))
    if len(series) > 1:
        ax.legend(frameon=False)
    return ax


def topic_scores(ax: Axes, scores: Sequence[TopicScore]) -> Axes:
    """Quiz questions by topic: right, not yet right and not answered, the first topic on top."""
    quiet(ax)
    ax.grid(visible=False)
    parts = {
        "right": [score.right for score in scores],
        "not yet right": [score.missed for score in scores],
        "not answered": [score.total - score.answered for score in scores],
    }
    left = np.zeros(len(scores))
    for (label, counts), colour, hatch in zip(
        parts.items(), (COLOURS[2], COLOURS[1], "#e4e4e4"), ("", "//", ""), strict=True
    ):
        bars = ax.barh(
            range(len(scores)), counts, left=left, color=colour, hatch=hatch, edgecolor="white"
        )
        bars.set_label(label)
        ax.bar_label(
            bars,
            [str(count) if count else "" for count in counts],
            label_type="center",
            color="#333333" if label == "not answered" else "white",
            fontweight="bold",
            # A hatch runs through the number otherwise.
            bbox={"facecolor": colour, "linewidth": 0, "pad": 1.5},
        )
        left += counts
    ax.set_yticks(range(len(scores)), [score.topic for score in scores])
    ax.invert_yaxis()
    ax.set_xlabel("questions")
    ax.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def lineage_steps(
    ax: Axes, scores: Mapping[str, Interval], *, parents: Mapping[str, str], ylabel: str = "score"
) -> Axes:
    """Versions from left to right with their scores; an arrow leads from a parent to its child."""
    quiet(ax)
    names = list(scores)
    means = [scores[name].mean for name in names]
    spans = [
        [scores[name].mean - scores[name].low for name in names],
        [scores[name].high - scores[name].mean for name in names],
    ]
    ax.errorbar(range(len(names)), means, yerr=spans, fmt="o", capsize=4, color=COLOURS[0])
    for child, parent in parents.items():
        start, end = names.index(parent), names.index(child)
        ax.annotate(
            "",
            xy=(end, means[end]),
            xytext=(start, means[start]),
            arrowprops={"arrowstyle": "->", "color": "#555555", "shrinkA": 8, "shrinkB": 8},
        )
    for place, mean in enumerate(means):
        # On the left, where no arrow starts.
        at, text = (place, mean), f"{mean:.2f}"
        ax.annotate(text, at, xytext=(-8, 4), textcoords="offset points", ha="right")
    ax.set_xticks(range(len(names)), names)
    ax.set_xlim(-0.5, len(names) - 0.5)
    ax.set_ylabel(ylabel)
    return ax


SIGNS = {
    "same tokens": ("=", "#b9dfc6", "same tokens, same targets"),
    "the line break after an answer is learnt too": ("+", "#d9e8b4", "a line break more is learnt"),
    "read": ("r", "#cfdcee", "read; no tokens are made"),
    "row left out": ("–", "#eeeeee", "row left out"),
    "not tried": ("?", "#ffffff", "not tried"),
    "other": ("≠", "#f3c9a5", "other tokens, or refused"),
}
"""By outcome of a row elsewhere its sign, its colour and what it says; `other` is all the rest."""


def outcomes(ax: Axes, found: Mapping[str, Mapping[str, str]]) -> Axes:
    """A sign for what each package, a column, made of each kind of row.

    `found` is `targets` of `data/targets.json`: package, date and outcomes by target.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    kinds = [kind for kind in next(iter(found.values())) if kind not in ("package", "date")]
    order = list(SIGNS)
    # What follows a colon says more of the same outcome.
    grid = [[_place(order, one.get(kind, "not tried").partition(":")[0]) for one in found.values()]
            for kind in kinds]  # fmt: skip
    colours = ListedColormap([colour for _, colour, _ in SIGNS.values()])
    ax.imshow(grid, cmap=colours, vmin=-0.5, vmax=len(order) - 0.5, aspect="auto")
    for row, places in enumerate(grid):
        for column, place in enumerate(places):
            ax.text(column, row, SIGNS[order[place]][0], ha="center", va="center")
    packages = [one["package"].replace(" ", "\n") for one in found.values()]
    ax.set_xticks(range(len(found)), packages, rotation=45, ha="left")
    ax.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds])
    ax.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    ax.spines[:].set_visible(False)
    named = [Patch(color=colour, label=f"{sign}  {what}") for sign, colour, what in SIGNS.values()]
    ax.legend(handles=named, frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 0.0))
    return ax


def _place(order: Sequence[str], outcome: str) -> int:
    return order.index(outcome if outcome in order else "other")
