"""How a prediction moves when a factor it should not depend on is set to another value."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from components.metrics.probes import Codes, gbt
from components.metrics.targets import Labels
from components.metrics.undefined import UndefinedError

DRAWS = 100


@dataclass(frozen=True)
class Unfairness:
    """Total variation between predictions under an intervention and on average.

    Args:
        mean: mean of `variations`, weighted by the number of predictions under each value.
        worst: maximum of `variations`.
        variations: TV_c = 1/2 sum_yhat |p(yhat | do(s=c)) - p(yhat)| of every value c, [values].
    """

    mean: float
    worst: float
    variations: np.ndarray


@dataclass(frozen=True)
class FactorUnfairness:
    """Unfairness of predicting one factor towards another, for all pairs.

    Args:
        mean: [factors to predict, sensitive factors], NaN where there is no such pair.
        worst: the same by the worst value instead of the mean over values.
        score: mean of `mean` over all pairs; lower is fairer.
    """

    mean: np.ndarray
    worst: np.ndarray
    score: float


def unfairness(counts: np.ndarray) -> Unfairness:
    """Unfairness: sum_c w_c TV_c,   TV_c = 1/2 sum_yhat |p(yhat | do(s=c)) - p(yhat)|.

    Args:
        counts: how often each class was predicted under each value of the sensitive factor, [values, classes].

    Returns:
        From 0, the prediction does not move, up to 1.

    Raises:
        UndefinedError: if fewer than two values have predictions.

    Reference:
        Locatello et al., "On the Fairness of Disentangled Representations" (2019), equation 4.
    """
    counts = np.asarray(counts, np.float64)
    counts = counts[counts.sum(axis=1) > 0]
    if len(counts) < 2:
        raise UndefinedError("fewer than two values of the sensitive factor have predictions")
    weights = counts.sum(axis=1) / counts.sum()
    overall = counts.sum(axis=0) / counts.sum()
    variations = 0.5 * np.abs(counts / counts.sum(axis=1, keepdims=True) - overall).sum(axis=1)
    return Unfairness(float(weights @ variations), float(variations.max()), variations)


def counterparts(
    factors: np.ndarray, sensitive: int, rng: np.random.Generator, *, draws: int = DRAWS
) -> tuple[np.ndarray, np.ndarray]:
    """Draws examples that differ from each other in one factor only: interventions, where nothing can be rendered.

    Args:
        factors: class indices, [examples, factors].
        sensitive: the factor to set.
        rng: source of the draws.
        draws: settings of the other factors, without repetition.

    Returns:
        Rows [values, draws], and the values that the sensitive factor takes, [values].

    Raises:
        UndefinedError: if the factor has one value, or no setting of the others occurs with each of its values.
    """
    values, value = np.unique(factors[:, sensitive], return_inverse=True)
    if len(values) < 2:
        raise UndefinedError("the sensitive factor has one value only")
    others = np.delete(factors, sensitive, axis=1)
    settings, setting = np.unique(others, axis=0, return_inverse=True)
    shuffled = rng.permutation(len(factors))
    table = np.full((len(values), len(settings)), -1)
    table[value[shuffled], setting.ravel()[shuffled]] = shuffled
    complete = np.flatnonzero((table >= 0).all(axis=0))
    if not len(complete):
        raise UndefinedError("no setting of the other factors occurs with each value of the sensitive factor")
    return table[:, rng.permutation(complete)[:draws]], values


def factor_unfairness(
    codes: np.ndarray, factors: np.ndarray, interventions: Mapping[int, np.ndarray], *, seed: int
) -> FactorUnfairness:
    """Predicts every factor from the codes by boosted trees and measures unfairness towards every other.

    Args:
        codes: codes to learn from, [examples, latent].
        factors: class indices, [examples, factors]; those with one value are not predicted.
        interventions: for a sensitive factor, codes of the same examples with that factor set to each of its
            values, [values, draws, latent].
        seed: seed of the trees.

    Returns:
        Rows are predicted factors, columns sensitive ones.

    Raises:
        UndefinedError: if no pair of factors can be measured.

    Reference:
        Locatello et al., "On the Fairness of Disentangled Representations" (2019), section 4.
    """
    count = factors.shape[1]
    mean, worst = np.full((count, count), np.nan), np.full((count, count), np.nan)
    rows = np.arange(len(codes))
    for target in range(count):
        others = {factor: values for factor, values in interventions.items() if factor != target}
        classes, labels = np.unique(factors[:, target], return_inverse=True)
        if len(classes) < 2 or not others:
            continue
        shown = np.concatenate([values.reshape(-1, codes.shape[1]) for values in others.values()])
        known = Labels(labels, "classification", len(classes))
        predictions = gbt(Codes(codes, shown), rows, known, seed).predictions
        start = 0
        for factor, values in others.items():
            under = predictions[start : start + values.shape[0] * values.shape[1]].reshape(values.shape[:2])
            start += under.size
            found = unfairness(np.stack([np.bincount(row, minlength=len(classes)) for row in under]))
            mean[target, factor], worst[target, factor] = found.mean, found.worst
    if np.isnan(mean).all():
        raise UndefinedError("no factor can be predicted while another one is changed")
    return FactorUnfairness(mean, worst, float(np.nanmean(mean)))
