"""Kernels and the maximum mean discrepancy, against SciPy, brute force and the closed form for Gaussians."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import distance

from models import estimators

RNG = np.random.default_rng(2)
U, V = RNG.normal(size=(7, 3)), RNG.normal(size=(5, 3)) + 1.0
SQUARED = distance.cdist(U, V, "sqeuclidean")
MEAN, VARIANCE, LENGTHSCALE = np.array([0.5, 0.0, -0.3]), np.array([0.5, 1.5, 1.0]), 1.5


def test_rbf_averages_over_lengthscales():
    expected = 0.5 * (np.exp(-SQUARED / (2 * 0.7**2)) + np.exp(-SQUARED / (2 * 3.0**2)))
    # catches: l for l^2, a missing 2, the mean of squared differences instead of their sum, a sum over lengthscales
    np.testing.assert_allclose(estimators.rbf(U, V, [0.7, tf.constant(3.0, tf.float64)]), expected, rtol=1e-10)


def test_imq_averages_over_scales_of_twice_the_dimension():
    expected = np.mean([2 * 3 * scale / (2 * 3 * scale + SQUARED) for scale in (0.1, 1.0, 5.0)], axis=0)
    # catches: a constant without the dimension, a mean over pairs, a sum over scales
    np.testing.assert_allclose(estimators.imq(U, V, [0.1, 1.0, 5.0]), expected, rtol=1e-10)


def test_delta_compares_classes():
    found = estimators.delta(tf.constant([0, 2, 2]), tf.constant([2, 0]), dtype=tf.float64)
    # catches: the transpose
    np.testing.assert_array_equal(found, [[0, 1], [1, 0], [1, 0]])
    assert found.dtype == tf.float64


def test_kernels_far_from_the_origin_keep_float32_exact():
    far = (U + 1000.0).astype(np.float32)
    exact = np.exp(-0.5 * distance.cdist(np.float64(far), np.float64(far), "sqeuclidean"))
    # catches: the square multiplied out about the origin
    np.testing.assert_allclose(estimators.rbf(far, far, [1.0]), exact, atol=1e-5)


def test_kernels_take_leading_dimensions():
    stacked = estimators.imq(np.stack([U, U + 1]), np.stack([V, V - 1]), [1.0])
    # catches: an origin or a transpose over the wrong axis
    np.testing.assert_allclose(stacked[1], estimators.imq(U + 1, V - 1, [1.0]), rtol=1e-10)


@pytest.mark.parametrize("kernel", [estimators.rbf, estimators.imq])
def test_kernels_of_coincident_points_are_one_with_a_finite_gradient(kernel):
    points = tf.constant(np.tile(np.float32([[3.7, -1.3]]), (4, 1)))
    with tf.GradientTape() as tape:
        tape.watch(points)
        gram = kernel(points, points, [0.1, 1.0])
        total = tf.reduce_sum(tf.sqrt(1.1 - gram))
    # catches: the distance or its root for its square, whose slope at zero is infinite
    np.testing.assert_array_equal(gram, np.ones((4, 4)))
    np.testing.assert_allclose(tape.gradient(total, points), np.zeros((4, 2)), atol=1e-5)


@pytest.mark.parametrize("kernel", [estimators.rbf, estimators.imq])
def test_kernels_are_at_most_one(kernel):
    points = np.random.default_rng(1).normal(size=(200, 8)).astype(np.float32)
    gram = kernel(points, points, [0.01])
    # catches: a squared distance that rounding leaves below zero
    assert np.max(gram) <= 1.0


@pytest.mark.parametrize("dimension", [1, 2, 8])
def test_expected_distance_is_that_of_standard_normal_points(dimension):
    points = np.random.default_rng(0).normal(size=(2, 400_000, dimension))
    expected = np.linalg.norm(points[0] - points[1], axis=1).mean()
    # catches: the mean norm of one point (smaller by the root of two); the root of the mean square
    np.testing.assert_allclose(estimators.expected_distance(dimension), expected, rtol=0.005)


@given(count=st.integers(2, 12), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_median_distance_is_the_median_over_pairs(count, seed):
    points = np.random.default_rng(seed).normal(size=(count, 2))
    # catches: the zeros of the diagonal counted; the median of the squares; one middle value of two
    np.testing.assert_allclose(estimators.median_distance(points), np.median(distance.pdist(points)), rtol=1e-9)


@pytest.mark.parametrize("points", [np.ones((5, 2)), np.ones((1, 2))], ids=["coincident", "single"])
def test_median_distance_is_never_zero(points):
    # catches: a lengthscale of zero, or an index beyond the last pair
    assert 0 < estimators.median_distance(points) < 1e-5


def test_median_distance_is_a_constant_to_the_gradient():
    points = tf.constant(U)
    with tf.GradientTape() as tape:
        tape.watch(points)
        median = estimators.median_distance(points)
    # catches: codes that lower a penalty by moving its lengthscale
    assert tape.gradient(median, points) is None


def gaussian_mmd() -> float:
    """MMD^2 of N(MEAN, diag(VARIANCE)) and N(0, I) under the Gaussian kernel, in closed form."""
    square = LENGTHSCALE**2

    def expected(shift, variance):
        return np.prod(1 + variance / square) ** -0.5 * np.exp(-0.5 * np.sum(shift**2 / (square + variance)))

    return expected(0 * MEAN, 2 * VARIANCE) + expected(0 * MEAN, 2 * np.ones(3)) - 2 * expected(MEAN, VARIANCE + 1)


def kernel(u, v):
    return estimators.rbf(u, v, [LENGTHSCALE])


def estimates(shift, scale, count: int = 400, batch: int = 200):
    """Unbiased and biased estimates of MMD^2 between N(shift, diag(scale^2)) and N(0, I) from many batches."""
    rng = np.random.default_rng(8)
    a, b = shift + scale * rng.normal(size=(count, batch, 3)), rng.normal(size=(count, batch, 3))

    @tf.function
    def one(a, b):
        grams = kernel(a, a), kernel(b, b), kernel(a, b)
        return tf.stack([estimators.mmd(*grams), estimators.mmd(*grams, unbiased=False)])

    return np.array([one(tf.constant(a[index]), tf.constant(b[index])) for index in range(count)]).T


def test_the_closed_form_has_the_known_value():
    np.testing.assert_allclose(gaussian_mmd(), 0.03908, atol=5e-6)


def test_mmd_of_gaussians_is_the_closed_form_with_the_documented_bias():
    unbiased, biased = estimates(MEAN, np.sqrt(VARIANCE))
    # catches: the diagonal counted or divided wrongly, the cross term once, the kernel's scale
    assert abs(unbiased.mean() - 0.03908) < 0.002
    assert abs((biased - unbiased).mean() - 0.006) < 0.002


def test_unbiased_mmd_of_equal_distributions_is_zero_on_average():
    unbiased, biased = estimates(np.zeros(3), np.ones(3), count=300, batch=50)
    # catches: values clipped at zero; the diagonal of one side counted
    assert abs(unbiased.mean()) < 4 * unbiased.std() / np.sqrt(300)
    assert unbiased.min() < 0 < biased.min()


def test_biased_mmd_of_equal_samples_is_zero():
    gram = kernel(U, U)
    # catches: the default taken for the biased version
    assert estimators.mmd(gram, gram, gram, unbiased=False) == 0.0
    assert estimators.mmd(gram, gram, gram) < -0.1


@pytest.mark.parametrize("count", [6, 7])
def test_linear_time_mmd_pairs_consecutive_samples(count):
    a, b = RNG.normal(size=(2, count, 3))
    terms = [
        kernel(a[i : i + 1], a[i + 1 : i + 2])
        + kernel(b[i : i + 1], b[i + 1 : i + 2])
        - kernel(a[i : i + 1], b[i + 1 : i + 2])
        - kernel(a[i + 1 : i + 2], b[i : i + 1])
        for i in range(0, 6, 2)
    ]
    # catches: a sample paired with its namesake of the other side; an odd sample counted
    np.testing.assert_allclose(estimators.linear_time_mmd(a, b, kernel), np.mean(terms), rtol=1e-10)


def test_linear_time_mmd_is_unbiased_and_takes_large_batches():
    rng = np.random.default_rng(9)
    a, b = MEAN + np.sqrt(VARIANCE) * rng.normal(size=(400_000, 3)), rng.normal(size=(400_000, 3))
    # catches: a Gram matrix of all pairs (1.3 TB); one cross term for two
    np.testing.assert_allclose(estimators.linear_time_mmd(a, b, kernel), gaussian_mmd(), atol=0.003)


def test_linear_time_mmd_of_single_samples_is_zero():
    # catches: the mean of nothing, which is NaN
    assert estimators.linear_time_mmd(U[:1], V[:1], kernel) == 0.0


@pytest.mark.parametrize("shares", [np.array([1, 0, 0, 1, 0, 1, 0]), np.array([1, 0, 0, 0, 0, 0, 0])])
def test_mmd_between_groups_is_the_biased_one_of_the_parts(shares):
    member = shares.astype(bool)
    ours = estimators.mmd_between_groups(kernel(U, U), member, ~member)
    a, b = U[member], U[~member]
    expected = estimators.mmd(kernel(a, a), kernel(b, b), kernel(a, b), unbiased=False)
    # catches: groups weighted by the batch instead of their own size
    np.testing.assert_allclose(ours, expected, rtol=1e-10)


def test_mmd_of_a_group_against_everybody():
    member = np.array([1, 1, 0, 0, 0, 0, 0])
    found = estimators.mmd_between_groups(kernel(U, U), member, np.ones(7))
    expected = estimators.mmd(kernel(U[:2], U[:2]), kernel(U, U), kernel(U[:2], U), unbiased=False)
    # catches: overlapping groups made disjoint
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("empty", ["first", "second", "both"])
def test_mmd_with_an_empty_group_is_zero_with_a_finite_gradient(empty):
    everybody, nobody = np.ones(7), np.zeros(7)
    first = nobody if empty in ("first", "both") else everybody
    second = nobody if empty in ("second", "both") else everybody
    codes = tf.constant(U)
    with tf.GradientTape() as tape:
        tape.watch(codes)
        value = estimators.mmd_between_groups(kernel(codes, codes), first, second)
    # catches: 0 / 0; the norm of the other group's mean embedding as a penalty
    assert value == 0.0
    np.testing.assert_array_equal(tape.gradient(value, codes), np.zeros((7, 3)))
