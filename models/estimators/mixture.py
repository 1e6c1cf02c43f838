"""Exact quantities over a finite set of encoder Gaussians, for tests and evaluation."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from models.estimators.aggregate import Decomposition, decompose, log_aggregate, log_marginals, pairwise_log_density


def exact_decomposition(
    posterior_mean: tf.Tensor,
    posterior_stddev: tf.Tensor,
    z: tf.Tensor,
    log_prior: tf.Tensor | None = None,
    *,
    chunk: int = 256,
) -> Decomposition:
    """Splits the mean rate of N examples with q(z) = 1/N sum_j N(z; mean_j, diag(stddev_j^2)) in full.

    Bias: none, given that the N examples are all there are; the average over one sample z_i of each has the
    noise of N samples. Time grows with N^2 latent; memory holds chunk N latent numbers at a time.

    Args:
        posterior_mean: [examples, latent], a tensor or an array.
        posterior_stddev: above zero, [examples, latent].
        z: one sample of each posterior, [examples, latent].
        log_prior: log p(z) at the samples, [examples]; that of N(0, I) by default.
        chunk: how many samples to look at together.

    Returns:
        The means of the three parts: nats, [] each.
    """
    z, mean, stddev = (tf.convert_to_tensor(value) for value in (z, posterior_mean, posterior_stddev))
    posterior = tfd.Independent(tfd.Normal(mean, stddev), 1)
    examples = tf.compat.dimension_value(mean.shape[0])
    log_weight = -tf.math.log(tf.cast(examples, z.dtype))
    joints, marginals = [], []
    for start in range(0, examples, chunk):
        pairwise = pairwise_log_density(posterior, z[start : start + chunk])  # [chunk, examples, latent]
        joints.append(log_aggregate(pairwise, log_weight))
        marginals.append(log_marginals(pairwise, log_weight))
    if log_prior is None:
        log_prior = tf.reduce_sum(tfd.Normal(tf.zeros([], z.dtype), tf.ones([], z.dtype)).log_prob(z), axis=-1)
    parts = decompose(posterior.log_prob(z), tf.concat(joints, 0), tf.concat(marginals, 0), log_prior)
    return Decomposition(
        mutual_information=tf.reduce_mean(parts.mutual_information),
        total_correlation=tf.reduce_mean(parts.total_correlation),
        dimension_wise_kl=tf.reduce_mean(parts.dimension_wise_kl),
    )
