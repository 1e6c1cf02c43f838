"""The aggregate posterior q(z) = E_x q(z|x): its density at the samples of a minibatch, and what the rate splits into.

A minibatch sees B of the N training examples. Log-densities are log-means of encoder densities under a
matrix of weights; the weights decide the bias.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.distributions.distribution import Distribution

Weighting = Literal["uniform_stratified", "stratified", "weighted"]
HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


def pairwise_log_density(posterior: Distribution, z: tf.Tensor) -> tf.Tensor:
    """Every code under every posterior: entry [i, j, l] = log q(z_i,l | x_j), dimension by dimension.

    Args:
        posterior: q(z|x), a `tfd.Independent` over univariate distributions, batch shape [batch].
        z: codes, [samples, latent]; usually one sample per example, so samples = batch.

    Returns:
        Nats, [samples, batch, latent].
    """
    dimensions = posterior.distribution
    if not isinstance(dimensions, tfd.Normal):
        return dimensions.log_prob(z[:, tf.newaxis, :])
    # TFP divides code and mean by the scale before it subtracts: one more array of this size, a third slower under
    # XLA, and less exact in float32 where the scale is small.
    scale = dimensions.scale
    deviation = (z[:, tf.newaxis, :] - dimensions.loc) * (math.sqrt(0.5) / scale)  # [samples, batch, latent]
    return -(tf.math.log(scale) + HALF_LOG_TWO_PI) - deviation * deviation


def log_weights(
    batch: int | tf.Tensor,
    examples: float,
    kind: Weighting = "uniform_stratified",
    *,
    dtype: tf.DType | str = tf.float32,
) -> tf.Tensor:
    """Log-weights W[i, j] with which q(z_i) = sum_j W[i, j] q(z_i | x_j) is estimated from a minibatch.

        uniform_stratified   1/N for j = i, (N-1) / (N (B-1)) elsewhere
        stratified           1/N for j = i, (N-M) / (N M) for j = i + 1 mod B, 1/M elsewhere; M = B - 1
        weighted             1 / (N B) everywhere

    Bias: both stratified kinds have rows that sum to one and estimate q(z) without bias, so log q(z) is too low on
    average (Jensen): mutual information comes out too high, the dimension-wise KL too low. The uniform kind averages
    the other one over the choice of the neighbor and varies less. Both are exact when the batch is the data set.
    Rows of `weighted` sum to 1/N: every log-density is too low, by log N when the batch is the data set, so the
    parts of the rate are far off and only their gradients mean something.

    Args:
        batch: B, the number of posteriors; may be a tensor, int32 [].
        examples: N, the number of training examples. A dynamic batch that is larger counts as all of them.
        kind: one of the three above.
        dtype: of the result.

    Returns:
        [batch, batch]; zero (weight one) for a batch of one under either stratified kind.

    Raises:
        ValueError: If `kind` is unknown, or if `batch` is a number and `examples` is smaller.

    Reference:
        Chen et al. 2018, Isolating Sources of Disentanglement in VAEs, arXiv:1802.04942, App. C.1 (weighted) and
        C.2 (stratified); Esmaeili et al. 2019, Structured Disentangled Representations, arXiv:1804.02086
        (uniform_stratified).
    """
    if kind not in ("uniform_stratified", "stratified", "weighted"):
        raise ValueError(f"`kind` must be uniform_stratified, stratified or weighted. Received: kind={kind}.")
    if isinstance(batch, int) and examples < batch:
        raise ValueError(f"`examples` must be at least the batch of {batch}. Received: examples={examples}.")
    size = tf.cast(batch, tf.float64)  # scalars in double: log(N - 1) - log(N) cancels in float32 for a large N
    total = tf.maximum(tf.constant(examples, tf.float64), size)
    log_total = tf.math.log(total)
    if kind == "weighted":
        return tf.cast(tf.fill([batch, batch], -log_total - tf.math.log(size)), dtype)
    others = size - 1.0
    own = tf.where(size > 1.0, -log_total, 0.0)
    own_mask = tf.eye(batch, dtype=tf.bool)
    if kind == "uniform_stratified":
        other = tf.math.log(total - 1.0) - log_total - tf.math.log(others)
        return tf.where(own_mask, tf.cast(own, dtype), tf.cast(other, dtype))
    whole = size >= total
    neighbor = tf.where(whole, -log_total, tf.math.log(total - others) - log_total - tf.math.log(others))
    other = tf.where(whole, -log_total, -tf.math.log(others))
    neighbor_mask = tf.roll(own_mask, shift=1, axis=1)
    elsewhere = tf.where(neighbor_mask, tf.cast(neighbor, dtype), tf.cast(other, dtype))
    return tf.where(own_mask, tf.cast(own, dtype), elsewhere)


def log_aggregate(pairwise: tf.Tensor, log_weights: tf.Tensor) -> tf.Tensor:
    """Estimates log q(z_i) = log sum_j W[i, j] q(z_i | x_j).

    Bias: see `log_weights`.

    Args:
        pairwise: `pairwise_log_density`, [samples, batch, latent].
        log_weights: log W, any shape that broadcasts to [samples, batch].

    Returns:
        Nats, [samples].
    """
    joint = tf.reduce_sum(pairwise, axis=-1)  # [samples, batch]
    return tf.reduce_logsumexp(joint + tf.cast(log_weights, joint.dtype), axis=1)


def log_marginals(pairwise: tf.Tensor, log_weights: tf.Tensor) -> tf.Tensor:
    """Estimates log q(z_i,l) = log sum_j W[i, j] q(z_i,l | x_j) for every dimension l.

    Bias: see `log_weights`.

    Args:
        pairwise: `pairwise_log_density`, [samples, batch, latent].
        log_weights: log W, any shape that broadcasts to [samples, batch].

    Returns:
        Nats, [samples, latent].
    """
    weights = tf.expand_dims(tf.cast(log_weights, pairwise.dtype), axis=-1)
    return tf.reduce_logsumexp(pairwise + weights, axis=1)


def log_groups(pairwise: tf.Tensor, log_weights: tf.Tensor, groups: Sequence[Sequence[int]]) -> tf.Tensor:
    """Estimates log q(z_i^g), the density of each group of dimensions.

    Bias: see `log_weights`.

    Args:
        pairwise: `pairwise_log_density`, [samples, batch, latent].
        log_weights: log W, any shape that broadcasts to [samples, batch].
        groups: for each group the indices of its dimensions.

    Returns:
        Nats, [samples, groups].
    """
    columns = tf.unstack(pairwise, axis=-1)  # one gradient for all: slices would pad one array per dimension
    joint = tf.stack([tf.add_n([columns[index] for index in group]) for group in groups], axis=-1)
    return log_marginals(joint, log_weights)  # to it, a group is a dimension


@dataclass(frozen=True, eq=False, kw_only=True)
class Decomposition:
    """The rate at a sample, in three parts: nats, [batch] each. Any of them may be negative for one example.

        log q(z|x) - log p(z) = mutual_information + total_correlation + dimension_wise_kl

    Args:
        mutual_information: log q(z|x) - log q(z).
        total_correlation: log q(z) - sum_l log q(z_l).
        dimension_wise_kl: sum_l log q(z_l) - log p(z).

    Reference:
        Chen et al. 2018, Isolating Sources of Disentanglement in VAEs, arXiv:1802.04942, Eq. 2.
    """

    mutual_information: tf.Tensor
    total_correlation: tf.Tensor
    dimension_wise_kl: tf.Tensor


def decompose(
    log_conditional: tf.Tensor, log_joint: tf.Tensor, log_marginals: tf.Tensor, log_prior: tf.Tensor
) -> Decomposition:
    """Splits log q(z|x) - log p(z). The parts add up whatever the estimates; see `log_weights` for their bias.

    Args:
        log_conditional: log q(z|x), [batch].
        log_joint: log q(z), [batch].
        log_marginals: log q(z_l), [batch, latent].
        log_prior: log p(z), [batch].

    Returns:
        The three parts.
    """
    log_product = tf.reduce_sum(log_marginals, axis=-1)
    return Decomposition(
        mutual_information=log_conditional - log_joint,
        total_correlation=log_joint - log_product,
        dimension_wise_kl=log_product - log_prior,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupDecomposition:
    """The rate at a sample, the total correlation split between and within groups: nats, [batch] each.

        log q(z|x) - log p(z) = mutual_information + between + within + dimension_wise_kl

    The prior is factorized, so it has no part in `within`.

    Args:
        mutual_information: log q(z|x) - log q(z).
        between: log q(z) - sum_g log q(z^g).
        within: sum_g (log q(z^g) - sum_{l in g} log q(z_l)).
        dimension_wise_kl: sum_l log q(z_l) - log p(z).

    Reference:
        Esmaeili et al. 2019, Structured Disentangled Representations, arXiv:1804.02086, Sec. 3.
    """

    mutual_information: tf.Tensor
    between: tf.Tensor
    within: tf.Tensor
    dimension_wise_kl: tf.Tensor


def decompose_groups(
    log_conditional: tf.Tensor,
    log_joint: tf.Tensor,
    log_groups: tf.Tensor,
    log_marginals: tf.Tensor,
    log_prior: tf.Tensor,
) -> GroupDecomposition:
    """Splits log q(z|x) - log p(z) on two levels. The parts add up whatever the estimates; see `log_weights`.

    Args:
        log_conditional: log q(z|x), [batch].
        log_joint: log q(z), [batch].
        log_groups: log q(z^g), [batch, groups]; the groups hold every dimension once.
        log_marginals: log q(z_l), [batch, latent].
        log_prior: log p(z) of a factorized prior, [batch].

    Returns:
        The four parts.
    """
    log_product_of_groups = tf.reduce_sum(log_groups, axis=-1)
    log_product = tf.reduce_sum(log_marginals, axis=-1)
    return GroupDecomposition(
        mutual_information=log_conditional - log_joint,
        between=log_joint - log_product_of_groups,
        within=log_product_of_groups - log_product,
        dimension_wise_kl=log_product - log_prior,
    )
