"""The loss curves of a job as one SVG, the same in the live panel and on a page without a kernel.

For: the training monitor. Not for: figures of a notebook's cells, see `helpers.widgets.plots`.

    draw({"training": [(1, 2.31), (2, 1.75)], "validation": []}, total_steps=144)

The axis of the loss is logarithmic: from 2 to 1 is as far as from 0.02 to 0.01, so the curve
still shows what happens near its end. Colours and dashes are those of `plots.loss_curves`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from helpers.widgets.plots import COLOURS

Points = Mapping[str, Sequence[tuple[int, float]]]
STYLES = {"training": (COLOURS[0], ""), "validation": (COLOURS[1], "6 4")}
WIDTH, HEIGHT = 600, 250
LEFT, RIGHT, TOP, BOTTOM = 62, 92, 14, 40
LOWEST = 1e-4
"""Lower losses are drawn here: a logarithm has no zero."""
APART = 15
"""Pixels between the names at the ends of two curves."""


@dataclass(frozen=True)
class Scale:
    """From steps and losses to pixels."""

    last: int
    low: float
    high: float

    def x(self, step: int) -> float:
        """Pixels from the left."""
        # `last` is 2 at least, so that one point divides by nothing.
        return round(LEFT + (step - 1) / (self.last - 1) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, loss: float) -> float:
        """Pixels from the top."""
        share = math.log(max(loss, self.low) / self.low) / math.log(self.high / self.low)
        return round(TOP + (1 - share) * (HEIGHT - TOP - BOTTOM), 1)

    def ticks(self) -> list[float]:
        """Powers of ten; with 2 and 5 between them where there are few."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        inside = [f * 10.0**p for p in powers for f in (1, 2, 5)]
        inside = [tick for tick in inside if self.low * 0.999 <= tick <= self.high * 1.001]
        # "1" begins the powers of ten: 1e-02, 1e-01, 1e+00.
        return inside if len(inside) < 7 else [t for t in inside if f"{t:e}"[0] == "1"]


def scale_of(points: Points, total_steps: int) -> Scale:
    """A scale that holds every point, with room up to the last step of the job."""
    every = [point for curve in points.values() for point in curve]
    losses = [max(loss, LOWEST) for _, loss in every]
    rounds = [f * 10.0**power for power in range(-5, 4) for f in (1, 2, 5)]
    # The first and the last are taken for losses beyond them.
    low = max(one for one in rounds if one <= min(losses) or one == rounds[0])
    high = min(one for one in rounds if one >= max(losses) or one == rounds[-1])
    # Never less than a factor of 5: a flat curve would fill the whole height with noise.
    return Scale(max(total_steps, 2, *(step for step, _ in every)), low, max(high, low * 5))


def draw(points: Points, total_steps: int = 0) -> str:
    """The figure as an `<svg>` element, or nothing before there is a point."""
    ends = {name: curve[-1] for name, curve in points.items() if curve}
    if not ends:
        return ""
    scale = scale_of(points, total_steps)
    said = ", ".join(f"{name} {loss:.3g} at step {step}" for name, (step, loss) in ends.items())
    body = [*_axes(scale), *(_curve(name, points[name], scale) for name in ends)]
    body += _names(ends, scale)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" style="max-width:{WIDTH}px;width:100%"'
        f' aria-label="Loss by step, on a logarithmic axis: {said}">{"".join(body)}</svg>'
    )


def _text(x: float, y: float, words: str, **attributes: str) -> str:
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<text x="{x}" y="{y}" fill="currentColor" font-size="12"{extra}>{words}</text>'


def _axes(scale: Scale) -> list[str]:
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    made = []
    for tick in scale.ticks():
        y = scale.y(tick)
        made.append(
            f'<line x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}" stroke="#8888" stroke-width="0.7"/>'
        )
        made.append(_text(LEFT - 6, y + 4, f"{tick:g}", text_anchor="end"))
    made += [
        _text(scale.x(step), floor + 16, str(step), text_anchor="middle")
        for step in sorted({1, (scale.last + 1) // 2, scale.last})
    ]
    middle = (LEFT + right) / 2
    made.append(_text(middle, HEIGHT - 6, "step", text_anchor="middle"))
    half = (TOP + floor) / 2
    turned = {"text_anchor": "middle", "transform": f"rotate(-90 14 {half})"}
    return [*made, _text(14, half, "loss (nats per token)", **turned)]


def _curve(name: str, curve: Sequence[tuple[int, float]], scale: Scale) -> str:
    colour, dash = STYLES[name]
    places = " ".join(f"{scale.x(step)},{scale.y(loss)}" for step, loss in curve)
    x, y = places.split(" ")[-1].split(",")
    return (
        f'<polyline class="curve {name}" points="{places}" fill="none" stroke="{colour}"'
        f' stroke-width="2" stroke-dasharray="{dash}"/>'
        f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>'
    )


def _names(ends: Mapping[str, tuple[int, float]], scale: Scale) -> list[str]:
    """The names behind the curves, never one over the other."""
    rows = sorted((scale.y(loss), name, scale.x(step)) for name, (step, loss) in ends.items())
    heights = [y for y, _, _ in rows]
    # From the top down each name leaves room to the one above; then all move up by what hangs below
    # the axis.
    for place in range(1, len(heights)):
        heights[place] = max(heights[place], heights[place - 1] + APART)
    over = max(0.0, heights[-1] - (HEIGHT - BOTTOM))
    return [
        _text(x + 8, round(y - over + 4, 1), name)
        for (_, name, x), y in zip(rows, heights, strict=True)
    ]
