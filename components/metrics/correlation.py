"""How far the dimensions of a code are from independent, without factors."""

from dataclasses import dataclass

import numpy as np

from components.metrics.information import BINS, binned, information
from components.metrics.table import active, finite
from components.metrics.undefined import UndefinedError


@dataclass(frozen=True)
class Correlation:
    """Dependence between the dimensions of a code.

    Args:
        total_correlation: of a Gaussian of the same covariance, nats, at least 0.
        wasserstein: squared distance of that Gaussian from the product of its marginals, in squared units of the code.
        wasserstein_normalized: the same as a share of the total variance, from 0 to 1.
        mutual_information: mean over pairs of dimensions, nats, at least 0; None where one dimension alone is active.
        active: number of dimensions that took part.
    """

    total_correlation: float
    wasserstein: float
    wasserstein_normalized: float
    mutual_information: float | None
    active: int


def correlation(codes: np.ndarray, *, bins: int = BINS, dead: float = 0.0) -> Correlation:
    """All measures of dependence at once, over every example.

    Args:
        codes: [count, latent].
        bins: equal-width bins of each dimension, for mutual information.
        dead: dimensions whose standard deviation is below this are left out, as are constant ones.

    Raises:
        UndefinedError: if no dimension is active or a code is not finite.
    """
    codes = finite(codes)
    alive = active(codes, dead)
    if not alive.any():
        raise UndefinedError(f"none of the {codes.shape[1]} dimensions is active")
    covariance = np.atleast_2d(np.cov(codes[:, alive], rowvar=False))
    distance = gaussian_wasserstein_correlation(covariance)
    return Correlation(
        total_correlation=gaussian_total_correlation(covariance),
        wasserstein=distance,
        wasserstein_normalized=distance / float(np.trace(covariance)),
        mutual_information=mutual_information_score(codes, bins=bins, dead=dead) if alive.sum() > 1 else None,
        active=int(alive.sum()),
    )


def gaussian_total_correlation(covariance: np.ndarray) -> float:
    """Total correlation of a Gaussian.

        KL(N(0, C) || N(0, diag C)) = 1/2 (sum_i log C_ii - log |C|)

    Estimated from n examples it is too large by about latent (latent - 1) / (4 n).

    Args:
        covariance: [latent, latent], with a positive diagonal.

    Returns:
        Nats; large, but finite, where a dimension is a linear function of others.

    Reference:
        Locatello et al. 2019, Challenging Common Assumptions, arXiv:1811.12359, Section 5.2.
    """
    spread = np.sqrt(np.diag(covariance))
    eigenvalues = np.linalg.eigvalsh(covariance / spread[:, None] / spread)
    return max(0.0, -0.5 * float(np.log(np.maximum(eigenvalues, np.finfo(np.float64).eps)).sum()))


def gaussian_wasserstein_correlation(covariance: np.ndarray) -> float:
    """Squared 2-Wasserstein distance of a Gaussian from the product of its marginals.

        W2^2(N(0, C), N(0, D)) = 2 tr C - 2 tr (D^1/2 C D^1/2)^1/2,   D = diag C

    Args:
        covariance: [latent, latent].

    Returns:
        In squared units of the code, at least 0; unlike total correlation it is finite for any covariance.

    Reference:
        Locatello et al. 2019, Challenging Common Assumptions, arXiv:1811.12359, Section 5.2.
    """
    spread = np.sqrt(np.diag(covariance))
    eigenvalues = np.linalg.eigvalsh(covariance * spread[:, None] * spread)
    return max(0.0, 2 * float(np.trace(covariance) - np.sqrt(np.maximum(eigenvalues, 0.0)).sum()))


def mutual_information_score(codes: np.ndarray, *, bins: int = BINS, dead: float = 0.0) -> float:
    """Mean mutual information of two dimensions: mean_{i != j} I(binned code i; binned code j).

    Biased upward by about (bins - 1)^2 / (2 count) nats.

    Args:
        codes: [count, latent].
        bins: equal-width bins of each dimension.
        dead: dimensions whose standard deviation is below this are left out, as are constant ones.

    Returns:
        Nats, at least 0.

    Raises:
        UndefinedError: if fewer than two dimensions are active or a code is not finite.

    Reference:
        Locatello et al. 2019, Challenging Common Assumptions, arXiv:1811.12359, Section 5.2.
    """
    codes = finite(codes)
    alive = active(codes, dead)
    if alive.sum() < 2:
        raise UndefinedError(f"{alive.sum()} dimensions are active; dependence takes at least 2")
    places = binned(codes[:, alive], bins)
    matrix = information(places, bins, places, np.full(places.shape[1], bins))
    return float(matrix[~np.eye(len(matrix), dtype=bool)].mean())
