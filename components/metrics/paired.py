"""Whether two models differ: tests on the same examples, or over the same seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats

from components.metrics.intervals import CONFIDENCE, Interval, grouped, mean_estimate
from components.metrics.undefined import UndefinedError

RESAMPLES = 9_999


@dataclass(frozen=True)
class Paired:
    """A difference between two models on the same examples, or over the same seeds.

    Args:
        difference: mean of after - before.
        interval: its 95 % interval.
        p_value: probability of a difference at least as large if there were none.
        count: pairs.
        test: name of the test.
    """

    difference: float
    interval: Interval
    p_value: float
    count: int
    test: str


@dataclass(frozen=True)
class Regression:
    """Whether a model is worse than the one before by more than is allowed.

    Args:
        regressed: the loss beyond what is allowed is significant.
        loss: how much worse, in the metric's unit; negative if it is better.
        allowed: the loss that does not count.
        paired: after - before; its p-value is that of the one-sided test for a loss beyond what is allowed.
    """

    regressed: bool
    loss: float
    allowed: float
    paired: Paired


def compare(before: np.ndarray, after: np.ndarray, *, seed: int) -> Paired:
    """Tests whether per-example numbers differ: McNemar if all are 0 or 1, else sign flips.

    Args:
        before: [examples].
        after: of the same examples, in the same order.
        seed: seed of the sign flips and of the bootstrap.

    Raises:
        UndefinedError: if there are fewer than two examples, or a number is not finite.
    """
    before, after = _pairs(before, after)
    if _is_binary(before, after):
        return mcnemar(before, after, seed=seed)
    return sign_flip(before, after, seed=seed)


def mcnemar(before: np.ndarray, after: np.ndarray, *, seed: int, alternative: str = "two-sided") -> Paired:
    """Exact McNemar test: of the examples that only one model gets right, each has half under the null.

    Args:
        before: 0/1, [examples].
        after: 0/1 of the same examples.
        seed: seed of the bootstrap of the difference.
        alternative: `two-sided`, or `less` for after < before, or `greater`.

    Raises:
        UndefinedError: if there are fewer than two examples, or a number is not finite.

    Reference:
        McNemar, "Note on the Sampling Error of the Difference between Correlated Proportions" (1947).
    """
    before, after = _pairs(before, after)
    gained, lost = int((after > before).sum()), int((after < before).sum())
    p_value = scipy.stats.binomtest(gained, gained + lost, alternative=alternative).pvalue if gained + lost else 1.0
    return _result(after - before, float(p_value), "exact McNemar", seed)


def sign_flip(
    before: np.ndarray, after: np.ndarray, *, seed: int, alternative: str = "two-sided", shift: float = 0.0
) -> Paired:
    """Sign-flip permutation test of the mean difference, with a paired bootstrap interval.

    Without a difference, before and after could be swapped in any example. The test is of the mean, which is
    what is reported and what a bound is about; Wilcoxon's is of ranks, which a few examples with a large loss
    of likelihood hardly move. More than 1,000 examples are swapped in 1,000 groups, as they are resampled.

    Args:
        before: [examples].
        after: of the same examples.
        seed: seed of the flips and of the bootstrap.
        alternative: `two-sided`, or `less` for after < before + shift, or `greater`.
        shift: the difference under the null; with a shift the test is approximate, for flips around it assume
            differences that are symmetric about it.

    Raises:
        UndefinedError: if there are fewer than two examples, or a number is not finite.

    Reference:
        Fisher, "The Design of Experiments" (1935), section 21.
    """
    before, after = _pairs(before, after)
    changes = grouped(after - before - shift)
    p_value = _flipped(changes, alternative, seed) if changes.any() else 1.0
    return _result(after - before, p_value, "sign-flip permutation", seed)


def over_seeds(before: np.ndarray, after: np.ndarray) -> Paired:
    """Paired t test over seeds: t = mean difference / its standard error.

    Args:
        before: one number per seed, [seeds].
        after: the numbers of the same seeds.

    Returns:
        Interval of Student's t. If all seeds differ by exactly the same there is no spread to compare with: then
        the p-value is the sign test's, 2^(1 - seeds).

    Raises:
        UndefinedError: if there are fewer than two seeds, or a number is not finite.

    Reference:
        Student, "The Probable Error of a Mean" (1908).
    """
    before, after = _pairs(before, after)
    changes = after - before
    if np.ptp(changes) <= 1e-12 * max(1.0, float(np.abs(changes).max())):
        change = float(changes.mean())
        p_value = 2.0 ** (1 - len(changes)) if change else 1.0
        return Paired(change, (change, change), p_value, len(changes), "sign test")
    found = scipy.stats.ttest_rel(after, before)
    span = found.confidence_interval(CONFIDENCE)
    interval = (float(span.low), float(span.high))
    return Paired(float(changes.mean()), interval, float(found.pvalue), len(changes), "paired t")


def regressed(
    before: np.ndarray,
    after: np.ndarray,
    *,
    higher_is_better: bool,
    allowed: float = 0.0,
    alpha: float = 0.05,
    seed: int = 0,
) -> Regression:
    """Decides whether per-example numbers got worse by more than is allowed.

    The null is a loss of `allowed`: without an allowance exact McNemar for 0/1, else sign flips shifted by it,
    one-sided. Equal models have not regressed, whatever `alpha` is.

    Args:
        before: numbers of the last model, [examples].
        after: numbers of this one on the same examples.
        higher_is_better: whether a larger number is a better one.
        allowed: loss of the mean that does not count, not negative.
        alpha: probability of a false alarm when the true loss is `allowed`.
        seed: seed of flips and bootstrap.

    Raises:
        UndefinedError: if there are fewer than two examples, or a number is not finite.
        ValueError: if `allowed` is negative.
    """
    if allowed < 0:
        raise ValueError(f"`allowed` must not be negative. Received: allowed={allowed}.")
    before, after = _pairs(before, after)
    alternative, sign = ("less", 1.0) if higher_is_better else ("greater", -1.0)
    if allowed == 0 and _is_binary(before, after):
        paired = mcnemar(before, after, seed=seed, alternative=alternative)
    else:
        paired = sign_flip(before, after, seed=seed, alternative=alternative, shift=-sign * allowed)
    loss = -sign * paired.difference
    return Regression(paired.p_value < alpha and loss > allowed, loss, allowed, paired)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjusts p-values of several tests, so that a false alarm in any of them has the probability of one.

    adjusted of the i-th smallest = max over j <= i of min(1, (tests - j + 1) p_(j))

    Args:
        p_values: one per test.

    Returns:
        Adjusted p-values, in the order given.

    Reference:
        Holm, "A Simple Sequentially Rejective Multiple Test Procedure" (1979).
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(np.minimum(values[order] * np.arange(len(values), 0, -1), 1.0))
    return adjusted


def _pairs(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    before, after = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if before.shape != after.shape:
        raise ValueError(f"`after` must have the shape of `before`, {before.shape}. Received: shape={after.shape}.")
    if len(before) < 2:
        raise UndefinedError(f"{len(before)} pairs are too few to compare")
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        raise UndefinedError("some numbers are not finite")
    return before, after


def _is_binary(before: np.ndarray, after: np.ndarray) -> bool:
    return bool(np.isin(before, (0, 1)).all() and np.isin(after, (0, 1)).all())


def _flipped(changes: np.ndarray, alternative: str, seed: int) -> float:
    """p-value of the sum of the changes among all flips of their signs, or 9,999 random ones."""
    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {"n_resamples": RESAMPLES, "vectorized": True, "alternative": alternative}
    if 2 ** len(changes) <= RESAMPLES:
        pairs = (changes, np.zeros_like(changes))
        found = scipy.stats.permutation_test(
            pairs, lambda x, y, axis: (x - y).sum(axis=axis), permutation_type="samples", rng=rng, **options
        )
    else:

        def flips(size: tuple[int, ...]) -> np.ndarray:
            # Times the changes, not their sizes: then models that are swapped get the same p-value.
            return (2 * rng.integers(2, size=size, dtype=np.int8) - 1) * changes

        found = scipy.stats.monte_carlo_test(changes, flips, np.sum, batch=1_000, **options)
    return float(found.pvalue)


def _result(changes: np.ndarray, p_value: float, test: str, seed: int) -> Paired:
    found = mean_estimate(changes, seed=seed)
    return Paired(found.value, found.interval or (found.value, found.value), p_value, len(changes), test)
