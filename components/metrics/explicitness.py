"""Explicitness: how well a linear classifier on the whole code tells the values of a factor apart."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

from components.metrics.table import split, standardized, table
from components.metrics.undefined import UndefinedError


@dataclass(frozen=True, eq=False)
class Explicitness:
    """Explicitness of a code.

    Args:
        score: mean of `areas`, from 0 to 1; 0.5 is chance.
        areas: area under the ROC curve for each factor, [factors]; NaN for factors that do not vary.
        train: number of examples fitted on.
        test: number of examples scored on.
    """

    score: float
    areas: np.ndarray
    train: int
    test: int


def explicitness(
    codes: np.ndarray, factors: np.ndarray, rng: np.random.Generator, *, train: float = 10_000, test: float = 5_000
) -> Explicitness:
    """Explicitness: area under the ROC curve of one value against the rest, over values and factors.

        mean_k mean_v AUC(p(factor k = v | z), factor k = v),   p a multinomial logistic regression

    Codes are standardized on the training part. Values that the test part has none of, or nothing but, have no area
    and are left out of their factor's mean.

    Args:
        codes: [count, latent].
        factors: [count, factors]; factors without variation are left out.
        rng: source of the split.
        train: examples fitted on, a number or a share below 1; see `table.split`.
        test: examples scored on, a number or a share below 1.

    Returns:
        Score, areas, and how many examples each part had.

    Raises:
        UndefinedError: if no factor varies, a part is too small or a code is not finite.

    Reference:
        Ridgeway and Mozer 2018, Learning Deep Disentangled Embeddings with the F-Statistic Loss,
        arXiv:1802.05312, Section 3.
    """
    whole = table(codes, factors)
    parts = split(whole, train, test, rng)
    fit, score = standardized(parts)
    areas = np.empty((1, len(whole.sizes)))
    for k, column in enumerate(whole.varied):
        # Newton's method reaches the optimum in a few steps.
        model = LogisticRegression(solver="newton-cg").fit(fit, parts.train.values[:, k])
        chances = model.predict_proba(score)
        truth = parts.test.values[:, k, None] == model.classes_
        seen = truth.any(axis=0) & ~truth.all(axis=0)
        if not seen.any():
            raise UndefinedError(f"the {len(score)} examples of the test part have one value only of factor {column}")
        areas[0, k] = np.mean(_area(chances[:, seen], truth[:, seen]))
    return Explicitness(float(areas.mean()), whole.columns(areas)[0], len(fit), len(score))


def _area(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Area under each column's ROC curve, the chance that a true example has the higher score: [columns]."""
    positive = truth.sum(axis=0)
    ranks = (rankdata(scores, axis=0) * truth).sum(axis=0)
    return (ranks - positive * (positive + 1) / 2) / (positive * (len(truth) - positive))
