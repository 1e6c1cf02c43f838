"""Second moments of codes, and the total correlation of a Gaussian that has them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow_probability.python.distributions.distribution import Distribution


def covariance(values: tf.Tensor) -> tf.Tensor:
    """Cov[z] = mean_i (z_i - mean)(z_i - mean)'.

    Bias: divides by the batch, so too small by the factor 1 - 1/batch. Squares of its off-diagonal entries have a
    floor of about Var_i Var_j / batch.

    Args:
        values: [batch, latent].

    Returns:
        [latent, latent].
    """
    centered = values - tf.reduce_mean(values, axis=0)
    return tf.matmul(centered, centered, transpose_a=True) / tf.cast(tf.shape(values)[0], values.dtype)


def aggregate_covariance(posterior: Distribution) -> tf.Tensor:
    """Covariance of the aggregate posterior: Cov_q(z)[z] = Cov_x[E[z|x]] + E_x[Cov[z|x]].

    Bias: that of `covariance` in the first part; none in the second.

    Args:
        posterior: q(z|x) with independent dimensions, batch shape [batch].

    Returns:
        [latent, latent].

    Reference:
        Kumar et al. 2018, Variational Inference of Disentangled Latent Concepts, arXiv:1711.00848, Eq. 5.
    """
    between = covariance(posterior.mean())
    return between + tf.linalg.diag(tf.reduce_mean(posterior.variance(), axis=0))


def gaussian_total_correlation(covariance: tf.Tensor) -> tf.Tensor:
    """Total correlation of a Gaussian: -1/2 log |corr|. A dimension without variance counts as independent.

    Bias: for codes that are not Gaussian, what a Gaussian of this covariance would have: it sees linear
    dependence only. A covariance estimated from n samples adds about latent (latent - 1) / (4 n).

    Args:
        covariance: [latent, latent].

    Returns:
        Nats, []; large, but finite, where a dimension is a linear function of others.
    """
    # Eigenvalues, for a Cholesky factor would raise where a dimension is a linear function of others.
    eigenvalues = tf.linalg.eigvalsh(_correlation(covariance))
    smallest = np.finfo(eigenvalues.dtype.as_numpy_dtype).eps
    return -0.5 * tf.reduce_sum(tf.math.log(tf.maximum(eigenvalues, smallest)))


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupTotalCorrelation:
    """Total correlation in two levels: nats. `between` plus the sum of `within` is the total correlation.

    Args:
        between: KL(q(z) || prod_g q(z^g)), [].
        within: KL(q(z^g) || prod_{l in g} q(z_l)) of each group, [groups].
    """

    between: tf.Tensor
    within: tf.Tensor


def gaussian_group_total_correlation(covariance: tf.Tensor, groups: Sequence[Sequence[int]]) -> GroupTotalCorrelation:
    """Total correlation of a Gaussian between and within groups of dimensions.

    Bias: see `gaussian_total_correlation`.

    Args:
        covariance: [latent, latent].
        groups: for each group the indices of its dimensions; together they hold every dimension once.

    Returns:
        Both levels.

    Reference:
        Esmaeili et al. 2019, Structured Disentangled Representations, arXiv:1804.02086, Sec. 3.
    """
    blocks = [tf.gather(tf.gather(covariance, group, axis=0), group, axis=1) for group in groups]
    within = tf.stack([gaussian_total_correlation(block) for block in blocks])
    return GroupTotalCorrelation(between=gaussian_total_correlation(covariance) - tf.reduce_sum(within), within=within)


def _correlation(covariance: tf.Tensor) -> tf.Tensor:
    """The correlation matrix, with a diagonal of ones."""
    variance = tf.linalg.diag_part(covariance)
    has_variance = variance > 0.0
    inverse = tf.where(has_variance, tf.math.rsqrt(tf.where(has_variance, variance, 1.0)), 0.0)
    correlation = covariance * inverse[:, tf.newaxis] * inverse[tf.newaxis, :]
    return tf.linalg.set_diag(correlation, tf.ones_like(variance))
