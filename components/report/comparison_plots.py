"""Runs in one plot: distortion by rate, and probes by label budget."""

from collections.abc import Sequence

import numpy as np

from components.evaluator.schema import Metric, find
from components.evaluator.wording import in_words
from components.report.comparison import Comparison, Entry, comparable
from components.report.curves import SCORES, by_budget
from components.report.style import Figure, as_text, bars, layout, rounded
from components.report.tasks import Task, probed, tasks

COLORS = 10
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")


def color(place: int) -> str:
    """Returns the page's color of the run at a place; beyond ten they repeat."""
    return f"class-{place % COLORS}"


def symbol(place: int) -> str:
    """Returns the marker of the run at a place, so that runs are told apart without colors, too."""
    return SYMBOLS[place % len(SYMBOLS)]


def rate_distortion(comparison: Comparison) -> Figure | None:
    """Returns distortion by rate, a point with intervals per run that can be compared; None for fewer than two."""
    drawn = [
        _point(place, entry, *found)
        for place, entry in _comparable(comparison, "distortion")
        if (found := _both(entry)) is not None
    ]
    if len(drawn) < 2:
        return None
    words = in_words("distortion", explains=comparison.entries[0].evaluation.data.explains)
    return {"data": drawn, "layout": layout(x="rate, nats", y=f"{words}, nats")}


def probes(comparison: Comparison) -> dict[tuple[str, str], Figure]:
    """Returns the probes' scores by label budget, a line per run that can be compared, by task and kind of probe."""
    first = comparison.entries[0].evaluation
    found = {(task, kind): _probe(comparison, task, kind) for task in tasks(first) for kind in probed(first, task)}
    return {(task.name, kind): figure for (task, kind), figure in found.items() if figure}


def _probe(comparison: Comparison, task: Task, kind: str) -> Figure | None:
    name = f"probe/{kind}/all" if task.column is None else f"probe/{kind}/all of {task.column}"
    runs = [(at, by_budget(entry.evaluation, "probe", kind, task)) for at, entry in _comparable(comparison, name)]
    drawn = [(place, curve) for place, curve in runs if curve]
    if len(drawn) < 2:
        return None
    budgets = list(dict.fromkeys(budget for _, curve in drawn for budget in curve))
    budgets.sort(key=lambda budget: (budget == "all", 0 if budget == "all" else int(budget)))
    lines = [
        _line(comparison.entries[place], place, curve, budgets, shift=(rank - (len(drawn) - 1) / 2) * 0.05)
        for rank, (place, curve) in enumerate(drawn)
    ]
    unit = next(iter(drawn[0][1].values())).unit
    ticks = [f"all {task.train:,}" if budget == "all" else f"{int(budget):,}" for budget in budgets]
    axis = {"tickvals": list(range(len(budgets))), "ticktext": ticks, "range": [-0.3, len(budgets) - 0.7]}
    return {"data": lines, "layout": layout(x="labels", y=SCORES.get(unit, unit), xaxis=axis)}


def _comparable(comparison: Comparison, name: str) -> list[tuple[int, Entry]]:
    """Returns the runs whose metric is of the same thing as the first run's, with their places."""
    data = comparison.entries[0].evaluation.data
    runs = enumerate(comparison.entries)
    return [(place, entry) for place, entry in runs if comparable(name, data, entry.evaluation.data)]


def _both(entry: Entry) -> tuple[Metric, Metric] | None:
    rate, distortion = (find(entry.evaluation.metrics, name) for name in ("rate", "distortion"))
    return (rate, distortion) if rate and distortion else None


def _point(place: int, entry: Entry, rate: Metric, distortion: Metric) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": as_text(entry.name),
        "x": rounded(np.array([rate.value])),
        "y": rounded(np.array([distortion.value])),
        "error_x": bars([rate], color=color(place)),
        "error_y": bars([distortion], color=color(place)),
        "marker": {"size": 12, "symbol": symbol(place), "color": f"var(--{color(place)})"},
        "hovertemplate": f"{as_text(entry.name)}: rate %{{x:.2f}}, distortion %{{y:.2f}} nats<extra></extra>",
    }


def _line(entry: Entry, place: int, curve: dict[str, Metric], budgets: Sequence[str], *, shift: float) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": as_text(entry.name),
        "x": [budgets.index(budget) + shift for budget in curve],
        "y": rounded(np.array([metric.value for metric in curve.values()])),
        "error_y": bars(list(curve.values()), color=color(place)),
        "line": {"color": f"var(--{color(place)})", "width": 2},
        "marker": {"size": 8, "symbol": symbol(place), "color": f"var(--{color(place)})"},
        "hovertemplate": f"{as_text(entry.name)}: %{{y:.3f}}<extra></extra>",
    }
