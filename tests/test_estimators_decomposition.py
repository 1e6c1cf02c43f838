"""The parts of the rate: identities, exact values over a finite data set, and what they say about known cases."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats
from tensorflow_probability import distributions as tfd

from models import estimators

GROUPS = [[0, 3], [1, 2]]
PARTS = ("mutual_information", "total_correlation", "dimension_wise_kl")


def normal(mean, scale):
    return tfd.Independent(tfd.Normal(tf.constant(mean), tf.constant(scale)), 1)


def encoded(examples: int, latent: int = 4, seed: int = 1):
    """Means, scales and one sample of `examples` Gaussian posteriors with correlated means."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(examples, latent)) @ rng.normal(size=(latent, latent))
    scale = rng.uniform(0.3, 0.8, (examples, latent))
    return mean, scale, mean + scale * rng.normal(size=(examples, latent))


def log_mean(values, axis):
    return special.logsumexp(values, axis=axis) - np.log(values.shape[axis])


def exact_parts(mean, scale, z) -> dict[str, np.ndarray]:
    """Every part per example, by SciPy, with q(z) the mixture of all posteriors and p(z) = N(0, I)."""
    dimensions = stats.norm.logpdf(z[:, None, :], mean[None], scale[None])
    joint, marginals = log_mean(dimensions.sum(axis=2), axis=1), log_mean(dimensions, axis=1).sum(axis=1)
    groups = sum(log_mean(dimensions[..., group].sum(axis=2), axis=1) for group in GROUPS)
    conditional = stats.norm.logpdf(z, mean, scale).sum(axis=1)
    return {
        "mutual_information": conditional - joint,
        "total_correlation": joint - marginals,
        "between": joint - groups,
        "within": groups - marginals,
        "dimension_wise_kl": marginals - stats.norm.logpdf(z).sum(axis=1),
    }


def densities(mean, scale, z, examples: int):
    """log q(z|x), log q(z), log q(z^g), log q(z_l) and log p(z) by our estimates from one batch."""
    posterior = normal(mean, scale)
    pairwise = estimators.pairwise_log_density(posterior, tf.constant(z))
    weights = estimators.log_weights(len(z), examples, dtype=tf.float64)
    return (
        posterior.log_prob(z),
        estimators.log_aggregate(pairwise, weights),
        estimators.log_groups(pairwise, weights, GROUPS),
        estimators.log_marginals(pairwise, weights),
        tf.constant(stats.norm.logpdf(z).sum(axis=1)),
    )


def decompositions(mean, scale, z, examples: int):
    conditional, joint, groups, marginals, prior = densities(mean, scale, z, examples)
    return (
        estimators.decompose(conditional, joint, marginals, prior),
        estimators.decompose_groups(conditional, joint, groups, marginals, prior),
    )


def test_every_part_is_exact_when_the_batch_is_the_data_set():
    mean, scale, z = encoded(30)
    parts, grouped = decompositions(mean, scale, z, examples=30)
    exact = exact_parts(mean, scale, z)
    # catches: any two densities exchanged, a sign, the mean for the sum over dimensions, groups counted as dimensions
    for name in PARTS:
        np.testing.assert_allclose(getattr(parts, name), exact[name], rtol=1e-9, atol=1e-9)
    for name in ("mutual_information", "between", "within", "dimension_wise_kl"):
        np.testing.assert_allclose(getattr(grouped, name), exact[name], rtol=1e-9, atol=1e-9)


def test_the_parts_add_up_whatever_the_estimates():
    mean, scale, z = encoded(8)
    parts, grouped = decompositions(mean, scale, z, examples=5000)
    rate = normal(mean, scale).log_prob(z) - stats.norm.logpdf(z).sum(axis=1)
    # catches: a part that uses another estimate than its neighbor, a part left out
    np.testing.assert_allclose(sum(getattr(parts, name) for name in PARTS), rate, rtol=1e-10)
    np.testing.assert_allclose(
        grouped.mutual_information + grouped.between + grouped.within + grouped.dimension_wise_kl, rate, rtol=1e-10
    )
    np.testing.assert_allclose(grouped.between + grouped.within, parts.total_correlation, rtol=1e-9, atol=1e-9)


def test_identical_posteriors_share_nothing_and_have_independent_dimensions():
    mean, scale = np.zeros((12, 4)), np.full((12, 4), 0.7)
    z = mean + scale * np.random.default_rng(3).normal(size=(12, 4))
    parts, grouped = decompositions(mean, scale, z, examples=500)
    # catches: rows of weights that do not sum to one
    for value in (parts.mutual_information, parts.total_correlation, grouped.between, grouped.within):
        np.testing.assert_allclose(value, 0.0, atol=1e-9)


def test_estimates_from_small_batches_have_the_documented_bias():
    mean, scale, z = encoded(64)
    exact, rng = exact_parts(mean, scale, z), np.random.default_rng(4)
    everywhere = estimators.pairwise_log_density(normal(mean, scale), tf.constant(z)).numpy()
    own, weights = stats.norm.logpdf(z, mean, scale).sum(axis=1), estimators.log_weights(8, 64, dtype=tf.float64)
    information, divergence = [], []
    for rows in (rng.permutation(64)[:8] for _ in range(200)):
        pairwise = everywhere[np.ix_(rows, rows)]
        parts = estimators.decompose(
            own[rows],
            estimators.log_aggregate(pairwise, weights),
            estimators.log_marginals(pairwise, weights),
            stats.norm.logpdf(z[rows]).sum(axis=1),
        )
        information.append(parts.mutual_information)
        divergence.append(parts.dimension_wise_kl)
    # catches: B for N in the weights, which turns both signs
    assert np.mean(information) > exact["mutual_information"].mean() + 0.05
    assert np.mean(divergence) < exact["dimension_wise_kl"].mean() - 0.05


@pytest.mark.parametrize("chunk", [7, 256])
def test_exact_decomposition_is_the_mean_of_the_exact_parts_in_any_chunk(chunk):
    mean, scale, z = encoded(50)
    found = estimators.exact_decomposition(mean, scale, z, chunk=chunk)
    exact = exact_parts(mean, scale, z)
    # catches: a mixture of the chunk instead of the data set, a last chunk lost or counted twice
    for name in PARTS:
        np.testing.assert_allclose(getattr(found, name), exact[name].mean(), rtol=1e-9)


def test_exact_decomposition_adds_up_to_the_sampled_rate_under_another_prior():
    mean, scale, z = encoded(50)
    log_prior = stats.norm.logpdf(z, 1.0, 2.0).sum(axis=1)
    found = estimators.exact_decomposition(mean, scale, z, log_prior)
    rate = np.mean(stats.norm.logpdf(z, mean, scale).sum(axis=1) - log_prior)
    # catches: the given prior ignored
    np.testing.assert_allclose(sum(getattr(found, name) for name in PARTS), rate, rtol=0, atol=1e-8)


def test_exact_mutual_information_of_posteriors_far_apart_is_log_n():
    mean = 100.0 * np.arange(20.0)[:, None] * np.ones(2)
    found = estimators.exact_decomposition(mean, np.ones((20, 2)), mean + 0.3)
    # catches: another normalization of the mixture
    np.testing.assert_allclose(found.mutual_information, np.log(20), rtol=1e-12)
    np.testing.assert_allclose(found.total_correlation, np.log(20), rtol=1e-12)


def test_the_mean_rate_is_mutual_information_plus_the_divergence_of_the_aggregate():
    mean, scale, _ = encoded(6, latent=1)
    grid = np.linspace(-20.0, 20.0, 40_001)[:, None]
    posterior = normal(mean, scale)
    pairwise = estimators.pairwise_log_density(posterior, tf.constant(grid))  # [grid, 6, 1]
    aggregate = estimators.log_aggregate(pairwise, tf.constant(-np.log(6))).numpy()
    conditional, step = pairwise.numpy()[..., 0], grid[1, 0] - grid[0, 0]
    information = step * np.sum(np.exp(conditional) * (conditional - aggregate[:, None])) / 6
    divergence = step * np.sum(np.exp(aggregate) * (aggregate - stats.norm.logpdf(grid[:, 0])))
    prior = normal(np.zeros(1), np.ones(1))
    rate = np.mean(estimators.kl(posterior, prior, tf.constant(mean)))
    # catches: any error in the density of the mixture, by quadrature instead of samples
    np.testing.assert_allclose(information + divergence, rate, rtol=1e-9)
    assert information < np.log(6)
