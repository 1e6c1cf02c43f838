"""How well single dimensions of a code stand for single ground-truth factors: scores of mutual information.

Codes are posterior means [count, latent], factors are class indices [count, factors], drawn independently of
each other: correlated factors make these scores meaningless.
"""

import numpy as np

from components.metrics.information import BINS, binned, entropies, information
from components.metrics.table import Table, active, gap, table
from components.metrics.votes import factor_vae_score

__all__ = ["BINS", "factor_vae_score", "mig", "mig_sampled", "modularity"]

ROWS = 250  # codes at a time that are held against every posterior


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


def mig_sampled(mean: np.ndarray, stddev: np.ndarray, factors: np.ndarray, rng: np.random.Generator) -> float:
    """Mutual information gap of codes that are drawn from their posteriors: the paper's own, without bins.

        MIG = mean_k (I_(1),k - I_(2),k) / H(factor k)
        I_j,k = E[log q(z_j | v_k) - log q(z_j)],   q(z_j | v_k) = mean of q(z_j | x) over the x of that value

    One code is drawn for each example, and q(z_j) is the mixture of all posteriors: time grows with the square of
    their number. A code's own posterior is in both mixtures, so information is too large where posteriors are
    narrower than the distance between neighbors; of posteriors that tell every example apart, every dimension knows
    every factor, and the score is 0.

    Args:
        mean: means of diagonal normal posteriors, [count, latent]; one dimension has a runner-up of zero.
        stddev: their standard deviations, above zero, [count, latent].
        factors: [count, factors]; factors without variation are left out.
        rng: source of the codes.

    Returns:
        From 0 to 1, but for the noise of the draw.

    Raises:
        UndefinedError: if no factor varies or a code is not finite.
        ValueError: if `stddev` is not positive, or not of the shape of `mean`.

    Reference:
        Chen et al. 2018, Isolating Sources of Disentanglement, arXiv:1802.04942, Eq. 6 and Appendix B.
    """
    data, stddev = table(mean, factors), np.asarray(stddev, np.float64)
    if stddev.shape != data.codes.shape or not (stddev > 0).all():
        shapes = f"stddev.shape={stddev.shape}, mean.shape={data.codes.shape}"
        raise ValueError(f"`stddev` must be positive, one for each mean. Received: {shapes}.")
    codes = data.codes + stddev * rng.normal(size=stddev.shape)
    matrix = np.stack([_sampled(z, data, stddev, j) for j, z in enumerate(codes.T)])
    return float(np.mean(gap(matrix) / entropies(data.values, data.sizes)))


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


def _sampled(codes: np.ndarray, data: Table, stddev: np.ndarray, j: int) -> np.ndarray:
    """I(z_j; factor k), nats, by one code z_j of each example, [count], under the mixtures of posteriors: [varied]."""
    center, scale, count = data.codes[:, j], stddev[:, j], len(codes)
    places = data.values + np.concatenate([[0], np.cumsum(data.sizes)[:-1]])  # of each value among all factors' values
    members = np.zeros((count, data.sizes.sum()))
    np.put_along_axis(members, places, 1.0, axis=1)
    share = np.log(members.mean(axis=0))
    total = np.zeros(len(data.sizes))
    for rows in np.array_split(np.arange(count), -(-count // ROWS)):
        logs = -0.5 * ((codes[rows, None] - center) / scale) ** 2 - np.log(scale)  # [rows, count], less a constant
        density = np.exp(logs - logs.max(axis=1, keepdims=True))
        alike = np.take_along_axis(density @ members, places[rows], axis=1)
        total += np.sum(np.log(alike / density.sum(axis=1, keepdims=True)) - share[places[rows]], axis=0)
    return total / count
