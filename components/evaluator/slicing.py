"""The same numbers on parts of the test examples: those that share a value of a column."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from components.evaluator.examples import Part
from components.evaluator.finding import Finding
from components.evaluator.names import SLICED, Name
from components.evaluator.schema import Metric, Omission
from components.metrics.slices import LEAST, MISSING, MOST, Slice, ranges, slices

NAMED = 5
"""Slices without a number that an omission names."""


def columns(part: Part, names: Iterable[str], keys: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Returns the values that the test examples are told apart by, as text, by the user's names of the columns.

    Numbers are told apart by their quarter.

    Args:
        part: the chosen test examples.
        names: the columns.
        keys: what the columns are called in the files, such as `sensitive` or `factor:shape`.
    """
    return {name: _texts(part.columns[keys[name]]) for name in names if keys.get(name) in part.columns}


def sliced(finding: Finding, columns: Mapping[str, np.ndarray], *, seed: int) -> Iterator[Finding | Omission]:
    """Yields a metric for every value of every column that enough examples share.

    Args:
        finding: a metric that is the mean of outcomes; others yield nothing.
        columns: values per chosen test example by column.
        seed: seed of the intervals.
    """
    name = Name.parse(finding.metric.name)
    if not SLICED.fullmatch(name.base) or finding.outcomes is None or finding.rows is None:
        return
    for column, values in columns.items():
        there = values[finding.rows]
        found = slices(finding.outcomes, there, seed=seed)
        for part in found.measured:
            rows = there == part.name
            kept = {field: getattr(finding.metric, field) for field in ("representation", "unit", "split")}
            metric = Metric(
                name=str(Name(name.base, name.column, column, part.name)),
                value=float(part.value or 0.0),
                interval=part.interval,
                count=part.count,
                seeds=1,
                note="of the chosen examples of the slice",
                **kept,
            )
            yield Finding(metric, rows=finding.rows[rows], outcomes=finding.outcomes[rows])
        left = (*found.small, *found.omitted)
        if left and finding.metric.name == "distortion":
            yield Omission(f"slices by {column}", f"fewer than {LEAST} examples, or beyond {MOST} values: {_few(left)}")


def _texts(values: Sequence[Any]) -> np.ndarray:
    if any(isinstance(value, float) for value in values):
        values = ranges(np.array([math.nan if value is None else value for value in values], np.float64))
    return np.array([MISSING if value is None or value == -1 else str(value) for value in values], dtype=object)


def _few(left: Sequence[Slice]) -> str:
    names = [part.name for part in left]
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
