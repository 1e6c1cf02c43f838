"""Scores and label distortions of probes by label budget, as Plotly figures."""

import math

import numpy as np

from components.evaluator.names import Name
from components.evaluator.schema import REPRESENTATIONS, Evaluation, Metric, Representation
from components.evaluator.wording import WORDS
from components.report.style import CEILING, GUESS, Figure, across, bars, layout, rounded
from components.report.tasks import Task

LINES: dict[Representation, Figure] = {
    "encoder": {"dash": "solid", "symbol": "circle", "width": 3},
    "pca": {"dash": "dash", "symbol": "square", "width": 1.5},
    "random": {"dash": "dot", "symbol": "diamond", "width": 1.5},
    "raw": {"dash": "dashdot", "symbol": "triangle-up", "width": 1.5},
}
SCORES = {"accuracy": "accuracy", "auc": "AUC", "r2": "R²"}


def label_efficiency(evaluation: Evaluation, kind: str, task: Task) -> Figure | None:
    """Returns a probe's score by label budget, a line per representation; None if this probe was not run.

    Dotted: what the supervised ceiling reaches; thin: always guessing the most frequent class.

    Args:
        evaluation: the numbers.
        kind: kind of the probe, such as `linear`.
        task: what it predicts.
    """
    figure = _figure(evaluation, "probe", kind, task)
    if figure is None:
        return None
    ceiling = ceiling_of(evaluation, task)
    marks = [(task.majority, GUESS), (ceiling.value if ceiling else None, CEILING)]
    figure["layout"]["shapes"] = [across("y", value, line) for value, line in marks if value is not None]
    if ceiling is not None:  # a line that no point reaches does not widen the axis by itself
        figure["data"].append(_unseen(ceiling.value))
    return figure


def label_distortion(evaluation: Evaluation, kind: str, task: Task) -> Figure | None:
    """Returns D_y = -E[log p(y | z)] by label budget, nats; arguments as of `label_efficiency`."""
    return _figure(evaluation, "label_distortion", kind, task)


def ceiling_of(evaluation: Evaluation, task: Task) -> Metric | None:
    """Returns what a supervised reader of raw features reaches at a task, None where it was not measured."""
    found = (m for m in evaluation.metrics if m.representation == "ceiling")
    return next((m for m in found if Name.parse(m.name).column == task.column), None)


def by_budget(
    evaluation: Evaluation, what: str, kind: str, task: Task, representation: Representation = "encoder"
) -> dict[str, Metric]:
    """Returns what one representation reaches by label budget, in ascending order.

    Args:
        evaluation: the numbers.
        what: `probe` or `label_distortion`.
        kind: kind of the probe.
        task: what it predicts.
        representation: whose codes it reads.
    """
    prefix, found = f"{what}/{kind}/", {}
    for metric in evaluation.metrics:
        name = Name.parse(metric.name)
        ours = metric.representation == representation and name.slice is None and name.column == task.column
        if ours and name.base.startswith(prefix):
            found[name.base.removeprefix(prefix)] = metric
    return dict(sorted(found.items(), key=lambda item: math.inf if item[0] == "all" else int(item[0])))


def _figure(evaluation: Evaluation, what: str, kind: str, task: Task) -> Figure | None:
    curves = {of: by_budget(evaluation, what, kind, task, of) for of in REPRESENTATIONS}
    budgets = list(curves["encoder"])
    if not budgets:
        return None
    places = {budget: place for place, budget in enumerate(budgets)}
    drawn: list[Representation] = [of for of in REPRESENTATIONS if curves[of]]
    traces = [_line(of, curves[of], places, shift=(rank - 1.5) * 0.035) for rank, of in enumerate(drawn)]
    traces.reverse()  # The last one drawn lies on top: the encoder.
    unit = next(iter(curves["encoder"].values())).unit
    ticks = {"tickvals": list(places.values()), "ticktext": [_tick(task, budget) for budget in budgets]}
    look = layout(x="labels", y=SCORES.get(unit, f"D_y, {unit}"), xaxis={**ticks, "range": [-0.3, len(budgets) - 0.7]})
    return {"data": traces, "layout": look}


def _line(name: Representation, curve: dict[str, Metric], places: dict[str, int], *, shift: float) -> Figure:
    """Returns one representation's values with intervals, moved sideways so that intervals stay apart."""
    look = LINES[name]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": WORDS[name],
        "x": [places[budget] + shift for budget in curve if budget in places],
        "y": rounded(np.array([metric.value for metric in curve.values()])),
        "error_y": bars(list(curve.values()), color=name),
        "line": {"color": f"var(--{name})", "width": look["width"], "dash": look["dash"]},
        "marker": {"color": f"var(--{name})", "symbol": look["symbol"], "size": 9 if name == "encoder" else 7},
        "hovertemplate": f"{WORDS[name]}: %{{y:.3f}}<extra></extra>",
    }


def _unseen(value: float) -> Figure:
    return {"type": "scatter", "mode": "markers", "x": [0], "y": [value], "opacity": 0, "hoverinfo": "skip"}


def _tick(task: Task, budget: str) -> str:
    return f"all {task.train:,}" if budget == "all" else f"{int(budget):,}"
