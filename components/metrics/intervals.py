"""How sure a number is: bootstrap over examples, Student's t over repeated draws."""

import numpy as np
import scipy.stats

GROUPS = 1_000
RESAMPLES = 1_000
CONFIDENCE = 0.95

Interval = tuple[float, float]


class Mean:
    """Mean of per-example values that arrive in batches, with a bootstrap interval in bounded memory.

    Examples fall in turn into at most 1,000 groups, and groups are what is resampled: with up to 1,000
    examples this is the ordinary bootstrap over examples, above that its blocked form, at the same cost.

    Example:
        >>> rate = Mean()
        >>> rate.add(np.array([1.0, 2.0, 3.0]))
        >>> rate.value, rate.count
        (2.0, 3)
    """

    def __init__(self) -> None:
        self._sums = np.zeros(GROUPS)
        self._counts = np.zeros(GROUPS)

    def add(self, values: np.ndarray) -> None:
        """Takes in one batch of values, [batch]."""
        groups = (self.count + np.arange(len(values))) % GROUPS
        self._sums += np.bincount(groups, weights=values, minlength=GROUPS)
        self._counts += np.bincount(groups, minlength=GROUPS)

    @property
    def count(self) -> int:
        """Number of values so far."""
        return int(self._counts.sum())

    @property
    def value(self) -> float:
        """Mean of all values so far."""
        return float(self._sums.sum() / self._counts.sum())

    def interval(self, rng: np.random.Generator) -> Interval | None:
        """Returns the 95 % percentile-bootstrap interval of the mean, None for fewer than two values."""
        used = self._counts > 0
        if used.sum() < 2:
            return None
        result = scipy.stats.bootstrap(
            (self._sums[used], self._counts[used]),
            lambda sums, counts, axis: sums.sum(axis) / counts.sum(axis),
            n_resamples=RESAMPLES,
            paired=True,
            confidence_level=CONFIDENCE,
            method="percentile",
            rng=rng,
        )
        return float(result.confidence_interval.low), float(result.confidence_interval.high)


def draws_interval(values: np.ndarray) -> Interval:
    """Returns the 95 % Student-t interval of the mean over independent draws.

    Args:
        values: one number per draw, [draws] with at least two draws.

    Returns:
        (low, high) = mean -+ t(0.975, draws - 1) * standard error.
    """
    center, error = float(np.mean(values)), float(scipy.stats.sem(values))
    reach = error * float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    return center - reach, center + reach
