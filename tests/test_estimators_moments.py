"""Second moments of codes, and the total correlation of Gaussians, against NumPy and closed forms."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from models import estimators

GROUPED = np.array([[1, 0.6, 0.2, 0], [0.6, 1, 0.1, 0.3], [0.2, 0.1, 1, -0.4], [0, 0.3, -0.4, 1]])
RNG = np.random.default_rng(4)
VALUES = RNG.normal(size=(50, 3)) @ RNG.normal(size=(3, 3)) + [5.0, 0.0, -2.0]


def posterior_of(mean, scale):
    return tfd.Independent(tfd.Normal(tf.constant(mean), tf.constant(scale)), 1)


def test_covariance_divides_by_the_batch():
    # catches: batch - 1, centering over the dimensions, no centering
    np.testing.assert_allclose(estimators.covariance(VALUES), np.cov(VALUES.T, ddof=0), rtol=1e-10)


def test_covariance_of_one_code_is_zero():
    # catches: a division by batch - 1
    np.testing.assert_array_equal(estimators.covariance(VALUES[:1]), np.zeros((3, 3)))


def test_covariance_far_from_the_origin_keeps_float32_exact():
    far = (VALUES + 1000.0).astype(np.float32)
    # catches: the mean of squares less the square of the mean
    np.testing.assert_allclose(estimators.covariance(far), np.cov(np.float64(far).T, ddof=0), rtol=1e-3, atol=1e-4)


def test_covariance_of_the_aggregate_is_the_law_of_total_covariance():
    scale = RNG.uniform(0.3, 1.5, VALUES.shape)
    expected = np.cov(VALUES.T, ddof=0) + np.diag((scale**2).mean(axis=0))
    found = estimators.aggregate_covariance(posterior_of(VALUES, scale))
    # catches: the scale or its fourth power for the variance, the part of the means left out
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_covariance_of_the_aggregate_is_that_of_its_samples():
    posterior = posterior_of(VALUES, RNG.uniform(0.3, 1.5, VALUES.shape))
    samples = tf.reshape(posterior.sample(20_000, seed=(1, 2)), [-1, 3])
    # catches: anything the formula of the test above shares with the code
    np.testing.assert_allclose(estimators.aggregate_covariance(posterior), np.cov(samples.numpy().T), atol=0.03)


def test_a_constant_variance_adds_a_multiple_of_the_identity():
    found = estimators.aggregate_covariance(posterior_of(VALUES, np.full(VALUES.shape, 0.5)))
    # catches: variances added off the diagonal
    np.testing.assert_allclose(found - estimators.covariance(VALUES), 0.25 * np.eye(3), atol=1e-12)


@pytest.mark.parametrize(("dimension", "correlation"), [(5, 0.5), (3, -0.3), (8, 0.9)])
def test_total_correlation_of_equicorrelated_normals(dimension, correlation):
    matrix = (1 - correlation) * np.eye(dimension) + correlation
    expected = -0.5 * ((dimension - 1) * np.log(1 - correlation) + np.log(1 + (dimension - 1) * correlation))
    # catches: the sign, the missing half
    np.testing.assert_allclose(estimators.gaussian_total_correlation(matrix), expected, rtol=1e-10)


def test_total_correlation_of_five_normals_has_the_known_value():
    matrix = 0.5 * np.eye(5) + 0.5
    np.testing.assert_allclose(estimators.gaussian_total_correlation(matrix), 0.8370, atol=5e-5)


def test_total_correlation_does_not_depend_on_the_scale_of_a_dimension():
    scale = np.diag([0.01, 1.0, 30.0, 5.0])
    scaled = estimators.gaussian_total_correlation(scale @ GROUPED @ scale)
    # catches: the determinant of the covariance instead of the correlation
    np.testing.assert_allclose(scaled, 0.421985, atol=5e-7)


def test_a_dimension_without_variance_counts_as_independent():
    with_dead = np.zeros((5, 5))
    with_dead[:4, :4] = GROUPED

    @tf.function(jit_compile=True)  # where 0 times infinity is NaN in a gradient, too
    def value_and_gradient(covariance):
        with tf.GradientTape() as tape:
            tape.watch(covariance)
            value = estimators.gaussian_total_correlation(covariance)
        return value, tape.gradient(value, covariance)

    value, gradient = value_and_gradient(tf.constant(with_dead))
    # catches: 0 / 0, and a gradient through it
    np.testing.assert_allclose(value, 0.421985, atol=5e-7)
    assert np.isfinite(gradient).all()


def test_total_correlation_of_linearly_dependent_dimensions_is_large_and_not_an_error():
    matrix = np.ones((3, 3), np.float32)
    # catches: a Cholesky factor, which raises
    assert estimators.gaussian_total_correlation(matrix) > 5


def test_group_total_correlation_has_the_known_values():
    found = estimators.gaussian_group_total_correlation(GROUPED, [[0, 1], [2, 3]])
    # catches: between and within exchanged, the whole given as between
    np.testing.assert_allclose(found.between, 0.111665, atol=5e-7)
    np.testing.assert_allclose(found.within, [0.223144, 0.087177], atol=5e-7)
    np.testing.assert_allclose(found.between + sum(found.within), 0.421985, atol=1e-6)


def test_groups_are_indices_of_dimensions():
    order = [2, 0, 3, 1]
    shuffled = GROUPED[np.ix_(order, order)]  # the dimensions of the first group are now 1 and 3
    found = estimators.gaussian_group_total_correlation(shuffled, [[1, 3], [0, 2]])
    # catches: groups taken as runs of neighbors
    np.testing.assert_allclose(found.within, [0.223144, 0.087177], atol=5e-7)


def test_single_dimensions_have_no_total_correlation_within():
    found = estimators.gaussian_group_total_correlation(GROUPED, [[0], [1], [2], [3]])
    np.testing.assert_allclose(found.within, np.zeros(4), atol=1e-12)
    # catches: the total correlation of the groups counted twice
    np.testing.assert_allclose(found.between, 0.421985, atol=5e-7)


def test_total_correlation_of_a_sampled_covariance_has_the_documented_bias():
    samples = np.random.default_rng(5).normal(size=(400, 100, 4))
    total = tf.function(lambda values: estimators.gaussian_total_correlation(estimators.covariance(values)))
    mean = np.mean([total(tf.constant(values)) for values in samples])
    # catches: a wrong statement in the documentation, latent (latent - 1) / (4 n)
    np.testing.assert_allclose(mean, 4 * 3 / 400, rtol=0.1)
