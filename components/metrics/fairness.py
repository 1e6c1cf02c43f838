"""Whether predictions treat groups alike: gaps between groups, and the worst group."""

import numpy as np

from components.metrics.intervals import RESAMPLES, Estimate, basic
from components.metrics.slices import LEAST, Slice, slices
from components.metrics.undefined import UndefinedError

MOST_CELLS = 2**24


def demographic_parity_gap(predictions: np.ndarray, groups: np.ndarray, *, seed: int, least: int = LEAST) -> Estimate:
    """Demographic-parity gap: max over classes c and groups a, b of |P(yhat=c | s=a) - P(yhat=c | s=b)|.

    With two classes and two groups that is |P(yhat=1 | s=1) - P(yhat=1 | s=0)|. A gap is never
    negative, so near zero the estimate lies above the truth by about the noise of a rate; the interval, a basic
    bootstrap within groups, takes that off.

    Args:
        predictions: class indices, [examples].
        groups: group indices, [examples].
        seed: seed of the bootstrap.
        least: groups of fewer examples are left out.

    Returns:
        From 0, fair, to 1.

    Raises:
        UndefinedError: if fewer than two groups are large enough.

    Reference:
        Dwork et al., "Fairness through Awareness" (2012), section 3 (statistical parity).
    """
    return _gap(predictions, np.zeros_like(predictions), groups, seed=seed, least=least)


def equal_opportunity_gap(
    predictions: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    seed: int,
    positive: int | None = 1,
    least: int = LEAST,
) -> Estimate:
    """Equal-opportunity gap: max over groups a, b of |P(yhat=y | y, s=a) - P(yhat=y | y, s=b)| at y = `positive`.

    Args:
        predictions: class indices, [examples].
        labels: true class indices, [examples].
        groups: group indices, [examples].
        seed: seed of the bootstrap.
        positive: the class whose examples deserve the opportunity; None for the maximum over all classes.
        least: groups with fewer examples of a class are left out of that class.

    Returns:
        From 0 to 1, with an interval as for demographic parity.

    Raises:
        UndefinedError: if of no class in question there are two groups that are large enough.

    Reference:
        Hardt, Price, Srebro, "Equality of Opportunity in Supervised Learning" (2016), definition 2.2.
    """
    asked = slice(None) if positive is None else labels == positive
    right = (predictions == labels).astype(np.int64)
    return _gap(right[asked], labels[asked], groups[asked], seed=seed, least=least)


def equalized_odds_gap(
    predictions: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, seed: int, least: int = LEAST
) -> Estimate:
    """Equalized-odds gap: max over y, c, a, b of |P(yhat=c | y, s=a) - P(yhat=c | y, s=b)|.

    Args:
        predictions: class indices, [examples].
        labels: true class indices, [examples].
        groups: group indices, [examples].
        seed: seed of the bootstrap.
        least: groups with fewer examples of a class are left out of that class.

    Returns:
        From 0 to 1, with an interval as for demographic parity.

    Raises:
        UndefinedError: if of no class there are two groups that are large enough.

    Reference:
        Hardt, Price, Srebro, "Equality of Opportunity in Supervised Learning" (2016), definition 2.1.
    """
    return _gap(predictions, labels, groups, seed=seed, least=least)


def worst_group(correct: np.ndarray, groups: np.ndarray, *, seed: int, least: int = LEAST) -> Slice:
    """Worst-group accuracy: the least share of right predictions among the groups.

    The smallest of several noisy numbers lies below the truth; the interval is that of the group by itself.

    Args:
        correct: 0/1, [examples].
        groups: group values, [examples].
        seed: seed of the interval.
        least: groups of fewer examples are left out.

    Raises:
        UndefinedError: if no group is large enough.

    Reference:
        Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts" (2020), section 2.
    """
    return slices(correct, groups, seed=seed, least=least, most=len(correct)).worst


def _gap(predictions: np.ndarray, conditions: np.ndarray, groups: np.ndarray, *, seed: int, least: int) -> Estimate:
    """Largest difference between groups in the rate of a prediction under the same condition."""
    cells, group, predicted = (
        np.unique(values, return_inverse=True)[1] for values in (conditions, groups, predictions)
    )
    if not len(cells):
        raise UndefinedError(f"fewer than two groups have {least} examples")
    counts = np.zeros((cells.max() + 1, group.max() + 1, predicted.max() + 1), np.int64)
    np.add.at(counts, (cells, group, predicted), 1)
    sizes = counts.sum(axis=-1)  # [conditions, groups]
    large = sizes >= max(least, 1)
    kept = large.sum(axis=1) > 1
    if not kept.any():
        raise UndefinedError(f"fewer than two groups have {least} examples")
    large = large & kept[:, None]
    value = float(_widest(counts / np.maximum(sizes, 1)[..., None], large))
    rates = counts[large] / sizes[large][:, None]  # [cells, classes]
    resampled = _resampled(rates, sizes, large, seed=seed)
    return Estimate(value, None if resampled is None else basic(value, resampled, within=(0.0, 1.0)))


def _resampled(rates: np.ndarray, sizes: np.ndarray, large: np.ndarray, *, seed: int) -> np.ndarray | None:
    """Widest gaps of examples resampled within groups, [resamples]; None if there are too many cells to resample."""
    at_once = min(MOST_CELLS // (large.size * rates.shape[1]), RESAMPLES)
    if at_once < 1:
        return None
    rng, found = np.random.default_rng(seed), []
    for start in range(0, RESAMPLES, at_once):
        many = min(at_once, RESAMPLES - start)
        draws = np.zeros((many, *large.shape, rates.shape[1]))
        draws[:, large] = rng.multinomial(sizes[large], rates, size=(many, len(rates))) / sizes[large][:, None]
        found.append(_widest(draws, large))
    return np.concatenate(found)


def _widest(rates: np.ndarray, large: np.ndarray) -> np.ndarray:
    """Maximum over conditions and classes of the range over groups, [..., conditions, groups, classes] -> [...]."""
    shown = large[..., None]
    most = np.where(shown, rates, -np.inf).max(axis=-2)
    least = np.where(shown, rates, np.inf).min(axis=-2)
    return (most - least).max(axis=(-1, -2))
