"""Which values of an example's statistics are usual: tables of quantiles, and one number for all of them together."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

PARTS = 1_000
"""Equal shares of the population between the quantiles of a table."""
TAIL = 1.0
"""Percent on either side in which a value is judged by its distance: ranks tell nothing of what lies outside."""
RESOLUTION = 1e-6
"""Smallest distance of a tail from the median, as a share of the median, and in itself: what float32 tells apart."""
FURTHEST = 1e15
"""Largest normal score: its square is finite in float32."""


@dataclass(frozen=True, eq=False)
class Quantiles:
    """Quantiles of a population, at 0, 0.1, ..., 100 %.

    Args:
        values: ascending, [1001].
    """

    values: np.ndarray

    @classmethod
    def of(cls, population: np.ndarray) -> "Quantiles":
        """Returns the quantiles of finite values [count], linear between neighbors in rank."""
        return cls(np.quantile(population.astype(np.float64), np.linspace(0, 1, PARTS + 1)))

    def at(self, percentiles: tuple[float, ...]) -> np.ndarray:
        """Returns the values at percentiles, linear between the quantiles."""
        return np.interp(percentiles, np.linspace(0, 100, len(self.values)), self.values)

    def percentile(self, value: tf.Tensor) -> tf.Tensor:
        """Returns where values stand in the population, linear between the quantiles.

        Another value of the same distribution has a percentile that is uniform, up to the population's own chance.
        Where quantiles coincide, a value at them gets the middle of their percentiles.

        Args:
            value: [batch].

        Returns:
            0 to 100, NaN for NaN, [batch].
        """
        table, last = tf.constant(self.values, tf.float32), len(self.values) - 1
        left, right = (tf.searchsorted(table, value, side=side) for side in ("left", "right"))
        below = tf.clip_by_value(left - 1, 0, last - 1)
        lower, upper = tf.gather(table, below), tf.gather(table, below + 1)
        width = tf.where(upper > lower, upper - lower, 1.0)
        share = tf.where(value < upper, tf.clip_by_value((value - lower) / width, 0.0, 1.0), 1.0)
        between, tied = tf.cast(below, tf.float32) + share, 0.5 * tf.cast(left + right - 1, tf.float32)
        percentile = tf.where(right > left, tied, between) * (100.0 / last)
        return tf.where(tf.math.is_nan(value), value, percentile)


@dataclass(frozen=True, eq=False)
class Typical:
    """How usual an example is by several statistics of it.

    Args:
        statistics: quantiles of each statistic in a population, by name.
        deviations: quantiles of `deviation` in that population.

    Reference:
        Morningstar et al. 2021, Density of States Estimation for Out-of-Distribution Detection, arXiv:2006.09273,
        Section 3: the density of a model's statistics in place of the model's own, here a Gaussian of their normal
        scores in place of kernel estimates. Nalisnick et al. 2019, Detecting Out-of-Distribution Inputs to Deep
        Generative Models Using Typicality, arXiv:1906.02994, for why both sides of the usual are suspicious.
    """

    statistics: Mapping[str, Quantiles]
    deviations: Quantiles

    @classmethod
    def of(cls, population: Mapping[str, np.ndarray]) -> "Typical":
        """Returns what is usual in a population.

        Args:
            population: finite values of each statistic, [count] each, by name.
        """
        statistics = {name: Quantiles.of(values) for name, values in population.items()}
        values = {name: tf.constant(values, tf.float32) for name, values in population.items()}
        return cls(statistics, Quantiles.of(deviation(statistics, values).numpy()))

    def percentiles(self, values: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns where each statistic [batch] stands in the population: 0 to 100, [batch], by name."""
        return {name: self.statistics[name].percentile(value) for name, value in values.items()}

    def outlying(self, values: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the share of the population that deviates less from the usual: 0 to 1, [batch].

        Of other examples of the same distribution, a share p gets more than 1 - p.

        Args:
            values: every statistic, [batch], by name.
        """
        return self.deviations.percentile(deviation(self.statistics, values)) / 100.0


def deviation(statistics: Mapping[str, Quantiles], values: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Returns how far examples are from the usual, on either side of it and over all statistics.

        sum_k score_k(s_k)^2

    which is, up to a constant, -2 log of a standard Gaussian's density at the normal scores. Squares, so that one
    statistic that is far out is enough.

    Args:
        statistics: quantiles of each statistic in the population, by name.
        values: every statistic, [batch], by name.

    Returns:
        [batch].
    """
    return tf.add_n([normal_score(quantiles, values[name]) ** 2 for name, quantiles in statistics.items()])


def normal_score(quantiles: Quantiles, value: tf.Tensor) -> tf.Tensor:
    """Returns how many standard deviations from its median a value would lie if the population were Gaussian.

        Phi^-1(percentile(s) / 100)                  between the percentiles 1 and 99
        Phi^-1(0.99) (s - median) / (q_99 - median)  above, and so with q_1 below

    So heavy tails of one statistic do not drown the others, and what lies outside the population still has an order.

    Args:
        quantiles: of the population.
        value: [batch].

    Returns:
        [batch].
    """
    low, median, high = quantiles.at((TAIL, 50.0, 100.0 - TAIL))
    floor = RESOLUTION * max(abs(median), 1.0)
    distance = value - tf.constant(median, tf.float32)
    below, above = (tf.constant(max(width, floor), tf.float32) for width in (median - low, high - median))
    scaled = distance / tf.where(distance < 0.0, below, above)
    percentile = tf.clip_by_value(quantiles.percentile(value), TAIL, 100.0 - TAIL)
    score = tf.where(tf.abs(scaled) > 1.0, -tf.math.ndtri(TAIL / 100.0) * scaled, tf.math.ndtri(percentile / 100.0))
    return tf.clip_by_value(score, -FURTHEST, FURTHEST)
