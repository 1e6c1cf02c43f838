"""The report's tables: scores beside baselines, bounds with their tests, every number by family."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from components.evaluator.names import CLUSTERING, DISENTANGLEMENT, FAIRNESS, LEAKAGE, Name
from components.evaluator.schema import REPRESENTATIONS, BoundRecord, Evaluation, Metric, Representation, find
from components.evaluator.wording import WORDS, heading, number
from components.report.directions import lower_is_better
from components.report.summary import bounds_by_weight, interval_in_words

FAMILIES: dict[str, tuple[str, ...]] = {
    "Rate, distortion, active units": ("rate", "distortion", "elbo", "active_units"),
    "What the rate is made of": ("decomposition",),
    "Probes": ("probe", "efficiency"),
    "Distortion of the label": ("label_distortion",),
    "Clusters": ("clustering",),
    "Disentanglement": ("disentanglement",),
    "Leakage": ("leakage", "leakage_auc", "attribute_inference"),
    "Fairness": ("fairness",),
    "Correlation within a code": ("correlation",),
    "Likelihood by samples": ("likelihood",),
    "Robustness to noise": ("robustness",),
    "Privacy": ("membership",),
    "Compatibility with the last blessed space": ("alignment",),
}
OTHERS = "Other numbers"
PANELS = {"disentanglement": DISENTANGLEMENT, "clusters": CLUSTERING, "leakage": LEAKAGE, "fairness": FAIRNESS}
LIMITS = {
    "min": "at least {}",
    "max": "at most {}",
    "drop": "at most {} below the last blessed",
    "rise": "at most {} above the last blessed",
}


@dataclass(frozen=True)
class Cell:
    """One representation's value of one score; without text where it was not measured."""

    of: str
    text: str = ""
    interval: str = ""
    best: bool = False


@dataclass(frozen=True)
class Score:
    """A score of every representation.

    Args:
        name: the score in words.
        lower: whether lower is better.
        note: how it came about.
        cells: a cell per representation, the encoder's first.
    """

    name: str
    lower: bool
    note: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """Metrics under one heading."""

    heading: str
    metrics: tuple[Metric, ...]


@dataclass(frozen=True)
class Judged:
    """A bound in words.

    Args:
        metric: the metric in words.
        limit: what it must be, such as "at least 0.85".
        value: what it is.
        last: the last blessed model's value, "" without one.
        test: the p-value of the paired test for a loss beyond the bound, "" without one.
        ok: whether the bound is met.
    """

    metric: str
    limit: str
    value: str
    last: str
    test: str
    ok: bool


def scores(evaluation: Evaluation, names: Sequence[str]) -> tuple[Score, ...]:
    """Returns scores of the encoder and, for those that have them, of the baselines, columns that are empty left out.

    Args:
        evaluation: the numbers.
        names: the scores, in order; those that were not measured are left out.
    """
    found = {name: [find(evaluation.metrics, name, of) for of in REPRESENTATIONS] for name in names}
    rows = {name: row for name, row in found.items() if row[0] is not None}
    kept = [place for place in range(len(REPRESENTATIONS)) if any(row[place] for row in rows.values())]
    return tuple(_score(name, [(REPRESENTATIONS[place], row[place]) for place in kept]) for name, row in rows.items())


def panels(evaluation: Evaluation) -> dict[str, tuple[Score, ...]]:
    """Returns the tables of scores by the panel they belong to."""
    noisy = [metric.name for metric in evaluation.metrics if metric.name.startswith("robustness/")]
    found = PANELS | {"robustness": tuple(dict.fromkeys(noisy))}
    return {panel: scores(evaluation, names) for panel, names in found.items()}


def measured(evaluation: Evaluation, names: Sequence[str]) -> list[Metric]:
    """Returns the encoder's numbers of the given names, those that were measured."""
    return [metric for name in names if (metric := find(evaluation.metrics, name))]


def bounds(evaluation: Evaluation) -> list[Judged]:
    """Returns the bounds, those that are not met first."""
    units = {metric.name: metric.unit for metric in evaluation.metrics if metric.representation == "encoder"}
    explains = evaluation.data.explains
    return [_judged(bound, units.get(bound.metric, ""), explains) for bound in bounds_by_weight(evaluation)]


def groups(metrics: Iterable[Metric]) -> list[Group]:
    """Returns the metrics on all examples by family, in a fixed order."""
    by_heading: dict[str, list[Metric]] = {heading: [] for heading in (*FAMILIES, OTHERS)}
    for metric in metrics:
        if Name.parse(metric.name).slice is None:
            by_heading[family(metric.name)].append(metric)
    return [Group(heading, tuple(found)) for heading, found in by_heading.items() if found]


def sliced(metrics: Iterable[Metric]) -> list[Group]:
    """Returns the metrics on slices by the column whose values tell them apart."""
    by_column: dict[str, list[Metric]] = {}
    for metric in metrics:
        column = Name.parse(metric.name).slice
        if column is not None:
            by_column.setdefault(column, []).append(metric)
    return [Group(column, tuple(found)) for column, found in by_column.items()]


def family(name: str) -> str:
    """Returns the heading that a metric belongs under."""
    first = Name.parse(name).base.split("/")[0]
    return next((heading for heading, firsts in FAMILIES.items() if first in firsts), OTHERS)


def _score(name: str, row: Sequence[tuple[Representation, Metric | None]]) -> Score:
    lower = lower_is_better(name)
    values = [metric.value for _, metric in row if metric]
    top = (min if lower else max)(values) if len(values) > 1 else None
    note = next((metric.note for _, metric in row if metric), "")
    return Score(heading(name), lower, note, tuple(_cell(of, metric, top) for of, metric in row))


def _cell(of: Representation, metric: Metric | None, top: float | None) -> Cell:
    empty = Cell(WORDS[of])
    if metric is None:
        return empty
    text = number(metric.value, metric.unit)
    return dataclasses.replace(empty, text=text, interval=interval_in_words(metric), best=metric.value == top)


def _judged(bound: BoundRecord, unit: str, explains: str) -> Judged:
    return Judged(
        metric=heading(bound.metric, explains=explains),
        limit=LIMITS[bound.kind].format(f"{bound.bound:g}"),
        value="" if bound.value is None else number(bound.value, unit),
        last="" if bound.reference is None else number(bound.reference, unit),
        test="" if bound.p_value is None else p_value(bound.p_value),
        ok=bound.ok,
    )


def p_value(value: float) -> str:
    """Returns "p = 0.012", or "p < 0.001"."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
