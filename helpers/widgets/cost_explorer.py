"""Explore what each method costs: change an assumption, see the bill and where it turns.

For: notebook 07. The view is an anywidget; where none runs, the table of the hosted models
stands there. Prices come from the dated catalogue. Not for: the arithmetic, see
`helpers.costs.monthly`, nor for quality: the cheapest bill may belong to a wrong answer.

    cost_explorer.show(Workload(questions=10_000), machine=Machine(dollars=20))
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import anywidget
import traitlets

from helpers.base.markup import html_text
from helpers.costs import catalog
from helpers.costs import monthly as costs
from helpers.costs.monthly import HERE, METHODS, Bill, Machine, Workload
from helpers.widgets.assets import assets

TITLE = "Cost explorer"
STEPS = 40
"""Points of a line in the figure."""


@dataclass(frozen=True)
class Field:
    """An assumption that the reader can change."""

    name: str
    label: str
    least: float
    most: float
    hint: str
    whole: bool = True

    def read(self, typed: object) -> float | None:
        """The number that was typed, or None if it is none or out of bounds."""
        try:
            # "10,000" as it is printed above the field.
            value = float(str(typed).replace(",", "").strip())
        except ValueError:
            return None
        if not self.least <= value <= self.most or (self.whole and value != math.floor(value)):
            return None
        return value


FIELDS = (
    Field("questions", "Questions a month", 0, costs.MOST_QUESTIONS, ""),
    Field("prompt", "Prompt, tokens", 1, 100_000, "system prompt and question"),
    Field("answer", "Answer, tokens", 1, 100_000, ""),
    Field("demonstrations", "Few-shot examples, tokens", 0, 100_000, ""),
    Field("notes", "Retrieved notes, tokens", 0, 100_000, ""),
    Field("updates", "Changed facts, times a month", 0, 1_000, "each one trains anew", whole=False),
    Field("job", "Training job, tokens", 0, 10**10, "file times epochs"),
    Field("dollars", "Your machine, $ a month", 0, 10**6, "your own figure", whole=False),
)


class CostExplorer(anywidget.AnyWidget):
    """The panel. The browser sees `screen` and sends what was typed; Python does the sums."""

    _esm, _css = assets("cost_explorer")

    screen = traitlets.Dict().tag(sync=True)

    def __init__(
        self, load: Workload, machine: Machine, *, model: str, known: catalog.Catalog
    ) -> None:
        super().__init__()
        self.known = known
        self._start = (load, machine, model)
        self.load, self.machine, self.model = self._start
        self._turn = 0
        self.on_msg(self._on_message)
        self._show()

    def act(self, message: dict[str, Any]) -> None:
        """Do what the reader asked for: {"do": "set", "name": "questions", "value": "500"}.

        Also {"do": "model", "value": "gpt-4.1-mini"} and {"do": "reset"}.
        """
        verb, value, notice = message.get("do"), message.get("value"), ""
        if verb == "set":
            notice = self._set(str(message.get("name")), value)
        elif verb == "model" and value in self.known.inference:
            self.model = str(value)
        elif verb == "reset":
            self.load, self.machine, self.model = self._start
        self._show(notice)

    def _set(self, name: str, typed: object) -> str:
        field = next((field for field in FIELDS if field.name == name), None)
        if field is None:
            return ""
        value = field.read(typed)
        if value is None:
            kind = "a whole number" if field.whole else "a number"
            return f"{field.label}: {kind} from {field.least:,.0f} to {field.most:,.0f}, please."
        number: Any = int(value) if field.whole else value
        if name == "dollars":
            self.machine = replace(self.machine, dollars=value)
        else:
            self.load = replace(self.load, **{name: number})
        return ""

    def _on_message(self, widget: Any, content: Any, buffers: Any) -> None:
        if isinstance(content, dict):
            self.act(content)

    def _show(self, notice: str = "") -> None:
        # The turn makes each screen a new value: the view learns that its message arrived.
        self._turn += 1
        found = screen(self.load, self.machine, self.model, self.known)
        self.screen = found | {"turn": self._turn, "notice": notice}

    def __repr__(self) -> str:
        rows = [[method, *cells] for method, cells in monthly(self._start[0], self.known).items()]
        table = [["a month", *self.known.inference], *rows]
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        lines = [
            "  ".join(
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in table
        ]
        return "\n".join([f"{TITLE}: {_volume(self._start[0])}", *lines])

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/plain"] = repr(self)
            data["text/html"] = static_table(self._start[0], self.known)
        return bundle


def show(
    load: Workload | None = None,
    *,
    machine: Machine | None = None,
    model: str = "gpt-4.1-mini",
    known: catalog.Catalog | None = None,
) -> CostExplorer:
    """The panel for a workload, a machine of your own, and a hosted model of the catalogue."""
    return CostExplorer(
        load or Workload(), machine or Machine(), model=model, known=known or catalog.load()
    )


def screen(load: Workload, machine: Machine, model: str, known: catalog.Catalog) -> dict[str, Any]:
    """Everything that the view draws, as plain values."""
    offered = costs.bills(load, model, known, machine)
    values = {**asdict(load), "dollars": machine.dollars}
    return {
        "fields": [asdict(field) | {"value": values[field.name]} for field in FIELDS],
        "models": list(known.inference),
        "model": model,
        "rows": [_row(method, load, offered) for method in METHODS],
        "ranges": ranges(offered),
        "turns": turns(offered, model),
        "lines": _lines(offered),
        "questions": load.questions,
        "prices": prices(model, known),
    }


def _row(method: str, load: Workload, offered: list[Bill]) -> dict[str, Any]:
    there = next((b for b in offered if b.method == method and b.place != HERE), None)
    here = next(b for b in offered if b.method == method and b.place == HERE)
    # Without the base model, which is cheapest always and knows none of the facts.
    best = min(b.total(load.questions) for b in offered if b.method != costs.BASE)
    return {
        "method": method,
        "prompt": load.prompt_of(method),
        "jobs": f"{load.jobs(method):.2g}",
        "thousand": costs.money(1000 * there.each) if there else "not offered",
        "hosted": costs.money(there.total(load.questions)) if there else "not offered",
        "here": costs.money(here.total(load.questions)),
        "machines": round(here.machines(load.questions), 1),
        "lowest": [
            # Both places may have the lowest bill; sums of floats need a little room.
            bool(bill and method != costs.BASE and bill.total(load.questions) <= best + 1e-9)
            for bill in (there, here)
        ],
    }


def ranges(offered: list[Bill]) -> list[str]:
    """Which bill is the lowest, from no questions to many; the base model is left out."""
    found = costs.cheapest(offered)
    ends = [start - 1 for start, _ in found[1:]]
    lines = [
        f"up to {end:,} questions a month: {bill.name}"
        if start == 0
        else f"{start:,} to {end:,}: {bill.name}"
        for (start, bill), end in zip(found, ends, strict=False)
    ]
    start, last = found[-1]
    return [*lines, f"from {start:,} on: {last.name}" if start else f"always: {last.name}"]


def turns(offered: list[Bill], model: str) -> list[str]:
    """Break-evens, pair by pair: training against a longer prompt, your machine against theirs."""
    by_name = {bill.name: bill for bill in offered}
    there = f" on {model}"
    pairs = [(f"{m}{there}", f"{costs.TUNED}{there}") for m in (costs.FEW_SHOT, costs.RETRIEVAL)]
    # METHODS[0] is the base model.
    pairs += [(f"{method}{there}", f"{method} on {HERE}") for method in METHODS[1:]]
    lines = []
    for before, after in pairs:
        if before in by_name and after in by_name:
            start = costs.break_even(by_name[before], by_name[after])
            when = "never" if start is None else f"from {start:,} questions a month"
            lines.append(f"{after} instead of {before}: {when}")
    return lines


def prices(model: str, known: catalog.Catalog) -> list[str]:
    """The prices behind the bills, each with its source and day, and when the model ends."""
    found = {
        "asking": known.chat_price(model),
        "asking a fine-tune": known.tuned_chat_price(model),
        "training": known.training_price(model),
    }
    lines = [f"{model}, {what}: {price}" for what, price in found.items() if price]
    if not known.training_price(model):
        lines.append(f"{model} cannot be fine-tuned.")
    if end := known.end_of(model):
        lines.append(f"{end.date:%Y-%m-%d}: {end.what} ({end.checked}).")
    return lines


def _lines(offered: list[Bill]) -> list[dict[str, Any]]:
    """Monthly dollars against questions a month; of your machine the two outer methods."""
    shown = [b for b in offered if b.place != HERE or b.method in (costs.TUNED, costs.BOTH)]
    # From 100 to ten million, evenly on a logarithmic axis.
    places = [round(10 ** (2 + 5 * i / STEPS)) for i in range(STEPS + 1)]
    return [
        {
            "name": bill.name,
            "method": bill.method,
            "here": bill.place == HERE,
            "points": [[n, round(bill.total(n), 6)] for n in places],
        }
        for bill in shown
    ]


def monthly(load: Workload, known: catalog.Catalog) -> dict[str, list[str]]:
    """Dollars a month by method, one for each hosted model."""
    table = {}
    for method in METHODS:
        found = [costs.hosted(method, load, model, known) for model in known.inference]
        table[method] = [costs.money(b.total(load.questions)) if b else "–" for b in found]
    return table


def static_table(load: Workload, known: catalog.Catalog) -> str:
    """The hosted bills as HTML, for a page without a kernel."""
    head = "".join(f'<th scope="col">{html_text(model)}</th>' for model in known.inference)
    body = "".join(
        f'<tr><th scope="row">{html_text(method)}</th>'
        + "".join(f"<td>{html_text(cell)}</td>" for cell in cells)
        + "</tr>"
        for method, cells in monthly(load, known).items()
    )
    sources = "".join(
        f"<li>{html_text(line)}</li>" for model in known.inference for line in prices(model, known)
    )
    return (
        f"<p>Run this cell to change the numbers. Without a kernel: {html_text(_volume(load))}.</p>"
        f"<table><caption>Dollars a month by method and hosted model</caption><thead><tr>"
        f'<th scope="col">method</th>{head}</tr></thead><tbody>{body}</tbody></table>'
        f"<details><summary>Prices and their dates</summary><ul>{sources}</ul></details>"
    )


def _volume(load: Workload) -> str:
    return (
        f"{load.questions:,} questions a month, prompts of {load.prompt} tokens, "
        f"answers of {load.answer}, the facts change {load.updates:g} times a month"
    )
