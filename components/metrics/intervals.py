"""How sure a number is: bootstrap over examples, Student's t over repeated draws."""

from dataclasses import dataclass

import numpy as np
import scipy.stats

GROUPS = 1_000
RESAMPLES = 1_000
CONFIDENCE = 0.95

Interval = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A number and how sure it is.

    Args:
        value: the number.
        interval: its 95 % interval, None where there is none.
    """

    value: float
    interval: Interval | None


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
        return _ratio_interval(self._sums[used], self._counts[used], rng) if used.sum() > 1 else None


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


def mean_estimate(values: np.ndarray, *, seed: int) -> Estimate:
    """Returns the mean of per-example values with its bootstrap interval.

    Args:
        values: [examples], at least one.
        seed: seed of the bootstrap.
    """
    mean = Mean()
    mean.add(values)
    return Estimate(mean.value, mean.interval(np.random.default_rng(seed)))


def draws_estimate(values: np.ndarray, *, within: Interval = (-np.inf, np.inf)) -> Estimate:
    """Returns the mean of one number per draw with its Student-t interval.

    Args:
        values: [draws], at least two.
        within: what the number can be at all; the interval is cut off there.
    """
    low, high = draws_interval(values)
    return Estimate(float(np.mean(values)), (max(low, within[0]), min(high, within[1])))


def ratio_interval(numerators: np.ndarray, denominators: np.ndarray, *, seed: int) -> Interval | None:
    """Returns the 95 % bootstrap interval of sum(numerators) / sum(denominators), None for fewer than two examples.

    Examples are put into at most 1,000 groups, as in `Mean`.

    Args:
        numerators: [examples].
        denominators: [examples], not negative; as many positive ones that a resample without any does not occur.
        seed: seed of the bootstrap.
    """
    if len(numerators) < 2:
        return None
    return _ratio_interval(grouped(numerators), grouped(denominators), np.random.default_rng(seed))


def proportion_interval(successes: int, count: int) -> Interval:
    """Returns the 95 % Wilson interval of a share: unlike the bootstrap it is not empty where all are right.

    Args:
        successes: examples that are right.
        count: examples, at least one.

    Reference:
        Wilson, "Probable Inference, the Law of Succession, and Statistical Inference" (1927).
    """
    found = scipy.stats.binomtest(successes, count).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def grouped(values: np.ndarray) -> np.ndarray:
    """Returns the sums of per-example values over at most 1,000 groups that examples fall into in turn."""
    return np.bincount(np.arange(len(values)) % GROUPS, weights=values)


def percentiles(resampled: np.ndarray) -> Interval:
    """Returns the 95 % interval that resampled numbers span: their 2.5th and 97.5th percentile."""
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def basic(value: float, resampled: np.ndarray, *, within: Interval) -> Interval:
    """Returns the 95 % basic bootstrap interval, for numbers that noise biases, such as a largest difference.

    (2 value - q97.5, 2 value - q2.5): resampling adds the bias once more, and this takes it off. The interval is
    widened to hold the value itself where the bias is so large that it would not.

    Args:
        value: the number.
        resampled: the same of resampled examples, [resamples].
        within: what the number can be at all; the interval is cut off there.

    Reference:
        Davison and Hinkley, "Bootstrap Methods and their Application" (1997), equation 5.6.
    """
    low, high = percentiles(resampled)
    return max(min(2 * value - high, value), within[0]), min(max(2 * value - low, value), within[1])


def _ratio_interval(sums: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> Interval:
    """Percentile-bootstrap interval of sum(sums) / sum(weights) over groups."""
    result = scipy.stats.bootstrap(
        (sums, weights),
        lambda sums, weights, axis: sums.sum(axis) / weights.sum(axis),
        n_resamples=RESAMPLES,
        paired=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=rng,
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
