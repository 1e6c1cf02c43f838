"""Independence criteria: closed forms, brute force, and what they detect."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from models import estimators

LENGTHSCALE = 1.0


def gram(values) -> tf.Tensor:
    return estimators.rbf(values[:, None], values[:, None], [LENGTHSCALE])


def correlated(correlation: float, count: int, draws: int, seed: int = 0):
    """Standard normal pairs of the given correlation, two arrays [draws, count]."""
    rng = np.random.default_rng(seed)
    u, other = rng.normal(size=(2, draws, count))
    return u, correlation * u + np.sqrt(1 - correlation**2) * other


def closed_form(correlation: float) -> float:
    """HSIC of two standard normals under Gaussian kernels of lengthscale one."""
    covariance = np.array([[1, correlation], [correlation, 1]])
    together = np.linalg.det(np.eye(2) + 2 * covariance) ** -0.5
    shared = np.linalg.det(np.eye(2) + covariance / 2) ** -0.5
    return together + 1 / 3 - 2 * (1 / 2) * shared


def estimates(correlation: float, count: int, draws: int, **options) -> np.ndarray:
    one = tf.function(lambda u, v: estimators.hsic(gram(u), gram(v), **options))
    return np.array(
        [one(tf.constant(u), tf.constant(v)) for u, v in zip(*correlated(correlation, count, draws), strict=True)]
    )


def random_grams(count: int, seed: int = 1):
    rng = np.random.default_rng(seed)
    u = rng.normal(size=count)
    return gram(u).numpy(), gram(u**2 + 0.3 * rng.normal(size=count)).numpy()


def test_hsic_is_the_trace_and_the_three_expectations():
    k, other = random_grams(9)
    center = np.eye(9) - 1 / 9
    three = np.mean(k * other) + k.mean() * other.mean() - 2 * np.mean(k.mean(axis=1) * other.mean(axis=1))
    # catches: a matrix centered on one side only, (n - 1)^2 for n^2, a wrong sign, a missing 2
    np.testing.assert_allclose(estimators.hsic(k, other), np.trace(k @ center @ other @ center) / 81, rtol=1e-10)
    np.testing.assert_allclose(estimators.hsic(k, other), three, rtol=1e-10)


def test_unbiased_hsic_is_the_mean_over_different_samples():
    k, other = random_grams(6)
    terms = [
        k[i, j] * other[i, j] + k[i, j] * other[q, r] - 2 * k[i, j] * other[i, q]
        for i, j, q, r in itertools.permutations(range(6), 4)
    ]
    # catches: a diagonal that counts, a wrong denominator, a wrong sign
    np.testing.assert_allclose(estimators.hsic(k, other, unbiased=True), np.mean(terms), rtol=1e-10)


@pytest.mark.parametrize(("correlation", "expected"), [(0.8, 0.035674), (0.5, 0.010763), (0.0, 0.0)])
def test_the_closed_form_has_the_known_values(correlation, expected):
    np.testing.assert_allclose(closed_form(correlation), expected, atol=5e-7)


@pytest.mark.parametrize("unbiased", [False, True])
def test_hsic_of_correlated_normals_is_the_closed_form(unbiased):
    found = estimates(0.8, count=400, draws=60, unbiased=unbiased).mean()
    # catches: a missing term, another scale
    np.testing.assert_allclose(found, closed_form(0.8), rtol=0.05)


def test_hsic_of_independent_samples_has_a_floor_that_the_unbiased_one_lacks():
    biased = estimates(0.0, count=100, draws=300)
    unbiased = estimates(0.0, count=100, draws=300, unbiased=True)
    # catches: the flag ignored, values clipped at zero
    assert 0.0015 < biased.mean() < 0.0022
    assert biased.min() > 0
    assert abs(unbiased.mean()) < 0.0003
    assert unbiased.min() < 0


@pytest.mark.parametrize(("correlation", "dependent"), [(0.0, False), (0.5, True)])
def test_hsic_tells_dependence_from_chance(correlation, dependent):
    (u,), (v,) = correlated(correlation, count=100, draws=1, seed=5)
    k, other, rng = gram(u), gram(v).numpy(), np.random.default_rng(6)
    orders = [rng.permutation(100) for _ in range(200)]
    chance = [float(estimators.hsic(k, other[np.ix_(order, order)])) for order in orders]
    # catches: a criterion that does not see which samples belong together
    assert (estimators.hsic(k, other) > np.quantile(chance, 0.99)) == dependent


@pytest.mark.parametrize("count", [1, 2, 3])
def test_unbiased_hsic_of_fewer_than_four_samples_is_zero_with_a_finite_gradient(count):
    values = tf.constant(np.arange(float(count)))
    with tf.GradientTape() as tape:
        tape.watch(values)
        found = estimators.hsic(gram(values), gram(values), unbiased=True)
    # catches: a division by n - 3, n - 2 or n - 1
    assert found == 0.0
    np.testing.assert_array_equal(tape.gradient(found, values), np.zeros(count))


def test_hsic_with_a_class_is_the_squared_distance_of_embeddings():
    values, member = np.random.default_rng(2).normal(size=20), np.arange(20) < 8
    k, classes = gram(values), estimators.delta(tf.constant(member), tf.constant(member), dtype=tf.float64)
    expected = 2 * (8 * 12 / 20**2) ** 2 * estimators.mmd_between_groups(k, member, ~member)
    # catches: a disagreement of the two criteria where they measure the same
    np.testing.assert_allclose(estimators.hsic(k, classes), expected, rtol=1e-10)


def test_hsic_of_a_constant_is_zero():
    k, _ = random_grams(9)
    # catches: a matrix that is not centered
    np.testing.assert_allclose(estimators.hsic(k, np.ones((9, 9))), 0.0, atol=1e-15)


def test_dhsic_of_two_groups_is_hsic():
    k, other = random_grams(9)
    # catches: a missing 2, a wrong sign, a sum for a product
    np.testing.assert_allclose(estimators.dhsic([k, other]), estimators.hsic(k, other), rtol=1e-10)


def test_dhsic_of_three_groups_by_brute_force():
    rng = np.random.default_rng(3)
    a, b = random_grams(5)
    c = gram(rng.normal(size=5)).numpy()
    together = np.mean([a[i, j] * b[i, j] * c[i, j] for i in range(5) for j in range(5)])
    shared = np.mean([a[i].mean() * b[i].mean() * c[i].mean() for i in range(5)])
    expected = together + a.mean() * b.mean() * c.mean() - 2 * shared
    # catches: products for two groups only
    np.testing.assert_allclose(estimators.dhsic([a, b, c]), expected, rtol=1e-10)


def test_dhsic_sees_what_no_pair_shows():
    signs = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]])  # the third is the exclusive or of the others
    grams = [estimators.delta(tf.constant(column), tf.constant(column)) for column in signs.T]
    # catches: a sum over pairs of groups
    for first, second in itertools.combinations(grams, 2):
        np.testing.assert_allclose(estimators.hsic(first, second), 0.0, atol=1e-7)
    np.testing.assert_allclose(estimators.dhsic(grams), 0.125, rtol=1e-6)
