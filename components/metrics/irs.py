"""IRS: how little a dimension moves when everything but one factor changes."""

from dataclasses import dataclass

import numpy as np

from components.metrics.information import BINS, binned
from components.metrics.table import active, table


@dataclass(frozen=True, eq=False)
class Irs:
    """Interventional robustness.

    Args:
        score: from 0 to 1; 0 if no dimension is active.
        matrix: robustness of each dimension given each factor, [latent, factors]; NaN for dimensions that are
            constant and factors that do not vary.
        active: number of dimensions that are not constant.
    """

    score: float
    matrix: np.ndarray
    active: int


def irs(codes: np.ndarray, factors: np.ndarray, *, quantile: float = 0.99, bins: int = BINS) -> Irs:
    """Interventional robustness score.

        IRS_j,k = 1 - mean_v Q_quantile(|z_j - E[z_j | k = v]| given k = v) / max |z_j - E[z_j]|
        score   = sum_j w_j max_k IRS_j,k,   w_j the share of max |z_j - E[z_j]|

    Every example is used. Has a floor of about 0.3, which noise reaches.

    Args:
        codes: [count, latent]; constant dimensions are left out.
        factors: [count, factors]; factors without variation are left out.
        quantile: of the deviations within a value; 1 is the paper's maximum, 0.99 the study's.
        bins: factors of more values are cut into so many bins of equal width.

    Returns:
        Score, matrix and the number of active dimensions.

    Raises:
        UndefinedError: if no factor varies or a code is not finite.

    Reference:
        Suter et al. 2019, Robustly Disentangled Causal Mechanisms, arXiv:1811.00007, Section 4.
    """
    data = table(codes, factors)
    alive = np.flatnonzero(active(data.codes, 0.0))
    matrix = np.full((data.codes.shape[1], len(data.sizes)), np.nan)
    if not len(alive):
        return Irs(0.0, data.columns(matrix), 0)
    z = data.codes[:, alive]
    greatest = np.abs(z - z.mean(axis=0)).max(axis=0)
    for k, column in enumerate(data.varied):
        value = data.values[:, k]
        if data.sizes[k] > bins:
            value = binned(np.asarray(factors, np.float64)[:, [column]], bins)[:, 0]
        deviations = [_deviation(z[value == v], quantile) for v in np.unique(value)]
        matrix[alive, k] = 1.0 - np.mean(deviations, axis=0) / greatest
    score = np.average(matrix[alive].max(axis=1), weights=greatest)
    return Irs(float(score), data.columns(matrix), len(alive))


def _deviation(group: np.ndarray, quantile: float) -> np.ndarray:
    """Quantile of the distance to the group's mean: [latent]."""
    return np.quantile(np.abs(group - group.mean(axis=0)), quantile, axis=0)
