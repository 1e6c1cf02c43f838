"""How well single dimensions of a code stand for single ground-truth factors: scores of mutual information.

Codes are posterior means [count, latent], factors are class indices [count, factors], drawn independently of
each other: correlated factors make these scores meaningless.
"""

import numpy as np

from components.metrics.information import BINS, binned, entropies, information
from components.metrics.table import Table, active, gap, table
from components.metrics.votes import factor_vae_score

__all__ = ["BINS", "factor_vae_score", "mig", "modularity"]


def mig(codes: np.ndarray, factors: np.ndarray, *, bins: int = BINS) -> float:
    """Mutual information gap: how much more the best dimension knows of a factor than the second best.

        MIG = mean_k (I_(1),k - I_(2),k) / H(factor k),   I_j,k = I(binned code j; factor k)

    Every example is used. Binned information is biased upward by about (bins - 1) (values - 1) / (2 count) nats.

    Args:
        codes: [count, latent]; a code of one dimension has a runner-up of zero.
        factors: [count, factors]; factors without variation are left out.
        bins: equal-width bins of each dimension.

    Returns:
        From 0 to 1.

    Raises:
        UndefinedError: if no factor varies or a code is not finite.

    Reference:
        Chen et al. 2018, Isolating Sources of Disentanglement, arXiv:1802.04942, Section 4.1, discretized as
        in Locatello et al. 2019, arXiv:1811.12359.
    """
    data = table(codes, factors)
    return float(np.mean(gap(_matrix(data, bins)) / entropies(data.values, data.sizes)))


def modularity(codes: np.ndarray, factors: np.ndarray, *, bins: int = BINS, dead: float = 0.0) -> float:
    """Modularity: how little a dimension knows of factors other than the one it knows best.

        mean_j 1 - sum_{k != k*} I_j,k^2 / (I_j,k*^2 (factors - 1)),   k* = argmax_k I_j,k

    A dimension without information scores 0. Every example is used. Noise scores about 0.5, for its small
    information is spread at random, and copies of a dimension go unpunished.

    Args:
        codes: [count, latent].
        factors: [count, factors]; factors without variation are left out.
        bins: equal-width bins of each dimension.
        dead: dimensions whose standard deviation is below this are left out; constant ones are not at 0, as in
            the study.

    Returns:
        From 0 to 1; 0 if no dimension is alive.

    Raises:
        UndefinedError: if fewer than two factors vary or a code is not finite.

    Reference:
        Ridgeway and Mozer 2018, Learning Deep Disentangled Embeddings with the F-Statistic Loss,
        arXiv:1802.05312, Eq. 2.
    """
    data = table(codes, factors, factors_needed=2)
    squares = _matrix(data, bins) ** 2
    if dead > 0:
        squares = squares[active(data.codes, dead)]
    best = squares.max(axis=1)
    rest = (squares.sum(axis=1) - best) / np.where(best > 0, best * (len(data.sizes) - 1), 1.0)
    return float(np.mean(np.where(best > 0, 1.0 - rest, 0.0))) if len(best) else 0.0


def _matrix(data: Table, bins: int) -> np.ndarray:
    """I(binned code j; factor k), nats: [latent, varied]."""
    return information(binned(data.codes, bins), bins, data.values, data.sizes)
