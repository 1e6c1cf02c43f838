"""The same number on parts of the examples: by class, by group, by any column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from components.metrics.intervals import Interval, mean_estimate, proportion_interval
from components.metrics.undefined import UndefinedError

LEAST = 20
"""Examples below which a slice, or a group, is named but not measured."""
MOST = 20
"""The most slices that are measured."""
MISSING = "(missing)"


@dataclass(frozen=True)
class Slice:
    """The mean over the examples that share a value.

    Args:
        name: the value.
        count: examples with it.
        value: mean of their outcomes, None for fewer examples than the minimum.
        interval: 95 % interval of the mean: Wilson's if all outcomes are 0 or 1, else bootstrapped.
    """

    name: str
    count: int
    value: float | None = None
    interval: Interval | None = None


@dataclass(frozen=True)
class Slices:
    """All values of a column.

    Args:
        measured: slices with a value, the largest first.
        small: slices with too few examples for one.
        omitted: slices beyond the largest so many, which were not measured.
    """

    measured: tuple[Slice, ...]
    small: tuple[Slice, ...]
    omitted: tuple[Slice, ...]

    @property
    def worst(self) -> Slice:
        """The measured slice with the smallest mean.

        Raises:
            UndefinedError: if none was measured.
        """
        if not self.measured:
            raise UndefinedError("no slice has enough examples")
        return self.measured[int(np.argmin(np.array([found.value for found in self.measured], np.float64)))]


def slices(
    outcomes: np.ndarray, values: Sequence[Any] | np.ndarray, *, seed: int, least: int = LEAST, most: int = MOST
) -> Slices:
    """Takes the mean of per-example outcomes for every value of a column.

    Args:
        outcomes: such as 0/1 for right or negative log-likelihoods in nats, [examples].
        values: the column; None and NaN are the slice "(missing)".
        seed: seed of the bootstrap.
        least: slices of fewer examples are named but not measured.
        most: only the so many largest slices are measured; of equally large ones those that come first by name.

    Raises:
        UndefinedError: if there is no example, or an outcome is not finite.
    """
    column = pd.Series(list(values), dtype=object)
    if not len(column):
        raise UndefinedError("there are no examples to slice")
    if not np.isfinite(outcomes).all():
        raise UndefinedError("some outcomes are not finite")
    names = column.astype(str).where(column.notna(), MISSING).to_numpy()
    sizes = sorted(zip(*np.unique(names, return_counts=True), strict=True), key=lambda pair: (-pair[1], pair[0]))
    large = [(name, int(count)) for name, count in sizes if count >= least]
    return Slices(
        measured=tuple(_measured(str(name), outcomes[names == name], seed) for name, _ in large[:most]),
        small=tuple(Slice(str(name), int(count)) for name, count in sizes if count < least),
        omitted=tuple(Slice(str(name), count) for name, count in large[most:]),
    )


def ranges(values: np.ndarray, *, parts: int = 4) -> list[str | None]:
    """Returns, for every number, the range of its quantile: what a column of many numbers is sliced by.

    Args:
        values: [examples]; NaN is in no range.
        parts: number of ranges of about equally many examples; fewer where many numbers are the same.
    """
    column = pd.Series(np.asarray(values, np.float64))
    places, edges = pd.qcut(column, parts, labels=False, retbins=True, duplicates="drop")
    names = [f"{low:g} to {high:g}" for low, high in zip(edges, edges[1:], strict=False)]
    return [None if np.isnan(place) else names[int(place)] for place in np.asarray(places, np.float64)]


def _measured(name: str, outcomes: np.ndarray, seed: int) -> Slice:
    found = mean_estimate(outcomes, seed=seed)
    interval = found.interval
    if np.isin(outcomes, (0, 1)).all():
        interval = proportion_interval(int(outcomes.sum()), len(outcomes))
    return Slice(name, len(outcomes), found.value, interval)
