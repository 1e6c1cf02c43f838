"""Priors: one contract for all, and each against SciPy."""

import numpy as np
import pytest
import tensorflow as tf
from contracts import round_trip
from scipy import special, stats

from models import priors
from models.estimators import kl
from models.factors import DiagonalNormal
from models.networks import dense
from models.priors import GaussianMixture, StandardLogNormal, StandardNormal

PRIORS = {
    "StandardNormal": lambda: StandardNormal(3),
    "StandardLogNormal": lambda: StandardLogNormal(3),
    "GaussianMixture": lambda: GaussianMixture(3, components=4),
}
RNG = np.random.default_rng(0)


def test_every_prior_is_in_the_table():
    assert set(priors.__all__) - {"Prior"} == set(PRIORS)


@pytest.mark.parametrize("name", PRIORS)
def test_prior_is_the_same_after_saving_and_repeats_by_seed(name):
    prior = PRIORS[name]()
    prior.build((None, 3))
    twin = round_trip(prior)
    twin.set_weights(prior.get_weights())
    sample = prior().sample(5, seed=(1, 2))
    assert sample.shape == (5, 3)
    np.testing.assert_array_equal(twin().sample(5, seed=(1, 2)), sample)
    assert prior().log_prob(sample).shape == (5,)
    assert np.all(np.isfinite(prior().log_prob(sample)))


def test_standard_normal_has_the_density_of_independent_normals():
    z = RNG.normal(size=(4, 3))
    np.testing.assert_allclose(StandardNormal(3)().log_prob(z), stats.norm.logpdf(z).sum(axis=1), rtol=1e-5)


def test_standard_log_normal_has_the_density_of_independent_log_normals():
    z = np.exp(RNG.normal(size=(4, 3)))
    expected = stats.lognorm.logpdf(z, s=1.0).sum(axis=1)
    np.testing.assert_allclose(StandardLogNormal(3)().log_prob(z), expected, rtol=1e-5)


# Gaussian mixture.


def a_mixture():
    """A mixture of two Gaussians of different weight, place and shape, and its parameters."""
    prior = GaussianMixture(2, components=2)
    prior.build((None, 2))
    logits = np.array([0.5, -1.0])
    means, log_variance = np.array([[-2.0, 0.0], [1.5, 1.0]]), np.array([[0.4, -1.0], [-0.5, 0.8]])
    prior.set_weights([logits, means, log_variance])
    return prior, special.softmax(logits), means, np.exp(log_variance / 2)


def test_a_gaussian_mixture_has_the_weighted_density_of_its_components():
    prior, weights, means, scales = a_mixture()
    z = RNG.normal(size=(6, 2))
    components = stats.norm.logpdf(z[:, None], means, scales).sum(axis=-1)
    expected = special.logsumexp(components, axis=1, b=weights)
    np.testing.assert_allclose(prior().log_prob(z.astype(np.float32)), expected, rtol=1e-5)


def test_samples_of_a_gaussian_mixture_have_its_moments():
    prior, weights, means, scales = a_mixture()
    z = prior().sample(40_000, seed=(1, 2)).numpy()
    mean = weights @ means
    np.testing.assert_allclose(z.mean(axis=0), mean, atol=0.04)
    np.testing.assert_allclose(z.var(axis=0), weights @ (scales**2 + (means - mean) ** 2), rtol=0.03)


def test_a_gaussian_mixture_starts_with_equal_components_of_unit_variance_in_different_places():
    prior = GaussianMixture(3, components=4)
    prior.build((None, 3))
    mixture = prior()
    np.testing.assert_allclose(mixture.mixture_distribution.probs_parameter(), [0.25] * 4)
    np.testing.assert_allclose(mixture.components_distribution.stddev(), np.ones((4, 3)))
    assert len(np.unique(mixture.components_distribution.mean())) == 12


def test_every_parameter_of_a_gaussian_mixture_is_learned_from_the_rate():
    prior = GaussianMixture(3, components=4)
    prior.build((None, 3))
    posterior = DiagonalNormal(dense.encoder((6,), hidden=(16,)), latent=3)(RNG.normal(size=(8, 6)).astype(np.float32))
    variables = [variable.value for variable in prior.trainable_variables]
    assert len(variables) == 3
    with tf.GradientTape() as tape:
        rate = tf.reduce_mean(kl(posterior, prior(), posterior.sample(seed=(0, 1))))
    for gradient in tape.gradient(rate, variables):
        assert np.all(np.isfinite(gradient))
        assert np.any(gradient != 0)


def test_a_gaussian_mixture_needs_a_component():
    with pytest.raises(ValueError, match="components") as error:
        GaussianMixture(3, components=0)
    assert str(error.value) == "`components` must be at least 1. Received: components=0."
