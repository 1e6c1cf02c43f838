"""Numbers on parts of the test examples: a dot with its interval per value, the whole as a line."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from components.evaluator.names import Name
from components.evaluator.schema import Evaluation, Metric, find
from components.evaluator.wording import heading, number
from components.report.directions import has_a_better, lower_is_better
from components.report.style import DOTTED, Figure, across, as_text, bars, layout, rounded
from components.report.summary import interval_in_words

ROW, FRAME = 26, 90
"""Pixels of a value, and of the axis around all of them."""
LEAST = 2
"""Slices that it takes to compare."""


@dataclass(frozen=True)
class Sliced:
    """One metric on the values of one column.

    Args:
        id: of the plot in the page.
        column: the column.
        metric: the metric in words.
        worst: the worst slice in a sentence; "" where the metric has no better or worse.
        figure: the plot.
    """

    id: str
    column: str
    metric: str
    worst: str
    figure: Figure


def slices(evaluation: Evaluation) -> list[Sliced]:
    """Returns what there is to plot: of every column, each probe of a task with all labels, and the distortion."""
    found = _by_column(evaluation)
    return [
        _plot(evaluation, f"slice-{place}", column, whole, metrics)
        for place, ((column, whole), metrics) in enumerate(found.items())
    ]


def _by_column(evaluation: Evaluation) -> dict[tuple[str, str], list[Metric]]:
    """Returns the encoder's metrics on slices by column and by the name of the same metric on all examples."""
    found: dict[tuple[str, str], list[Metric]] = {}
    for name, metric in _names(evaluation):
        if name.base.split("/")[0] in ("probe", "distortion"):
            found.setdefault((name.slice or "", str(Name(name.base, name.column))), []).append(metric)
    order = {column: place for place, column in enumerate(dict.fromkeys(column for column, _ in found))}
    kept = {key: metrics for key, metrics in found.items() if len(metrics) >= LEAST}
    return dict(sorted(kept.items(), key=lambda item: (order[item[0][0]], item[0][1] == "distortion")))


def _names(evaluation: Evaluation) -> Iterator[tuple[Name, Metric]]:
    for metric in evaluation.metrics:
        name = Name.parse(metric.name)
        if name.slice is not None and metric.representation == "encoder":
            yield name, metric


def _plot(evaluation: Evaluation, id: str, column: str, name: str, metrics: list[Metric]) -> Sliced:
    whole = find(evaluation.metrics, name)
    unit = metrics[0].unit
    words = heading(name, explains=evaluation.data.explains)
    labels = [f"{as_text(_value(metric))} ({metric.count:,})" for metric in metrics]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": rounded(np.array([metric.value for metric in metrics])),
        "y": list(range(len(metrics))),
        "text": labels,
        "error_x": bars(metrics, color="encoder", thickness=1.5),
        "marker": {"size": 9, "color": "var(--encoder)"},
        "hovertemplate": "%{text}: %{x:.3f}<extra></extra>",
    }
    ticks = {"tickvals": trace["y"], "ticktext": labels, "range": [len(metrics) - 0.5, -0.5], "showgrid": False}
    grid = {"showgrid": True, "nticks": 6}
    look = layout(x="nats" if unit == "nats" else unit, y="", xaxis=grid, yaxis=ticks)
    look["height"] = FRAME + ROW * len(metrics)
    look["shapes"] = [across("x", whole.value, DOTTED)] if whole else []
    worst = _worst(name, metrics, whole)
    return Sliced(id=id, column=column, metric=words, worst=worst, figure={"data": [trace], "layout": look})


def _worst(name: str, metrics: list[Metric], whole: Metric | None) -> str:
    """Returns the worst slice in a sentence, and whether it can be told from the whole."""
    if not has_a_better(name):
        return ""
    lower = lower_is_better(name)
    one = (max if lower else min)(metrics, key=lambda metric: metric.value)
    text = f"Worst: {_value(one)}, {number(one.value, one.unit)}"
    if one.interval is not None:
        text += f" ({interval_in_words(one)})"
    if whole is None:
        return f"{text}."
    text += f", against {number(whole.value, whole.unit)} of all test examples"
    if one.interval is None:
        return f"{text}."
    apart = one.interval[0] > whole.value if lower else one.interval[1] < whole.value
    return f"{text}." if apart else f"{text}, which lies within its interval."


def _value(metric: Metric) -> str:
    return Name.parse(metric.name).value or "(empty)"
