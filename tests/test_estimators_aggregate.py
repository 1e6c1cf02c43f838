"""The aggregate posterior from a minibatch: weights, densities and the parts of the rate, against NumPy and SciPy."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from tensorflow_probability import distributions as tfd

from models import estimators

STRATIFIED = ("uniform_stratified", "stratified")
GROUPS = [[0, 2], [1]]


def normal(mean, scale):
    return tfd.Independent(tfd.Normal(tf.constant(mean), tf.constant(scale)), 1)


def encoded(examples: int, latent: int = 3, seed: int = 0):
    """Means, scales and one sample of `examples` Gaussian posteriors."""
    rng = np.random.default_rng(seed)
    mean, scale = rng.normal(size=(examples, latent)), rng.uniform(0.4, 0.9, (examples, latent))
    return mean, scale, mean + scale * rng.normal(size=(examples, latent))


def reference(mean, scale, z) -> np.ndarray:
    """log q(z_i,l | x_j) by SciPy, [samples, examples, latent]."""
    return stats.norm.logpdf(z[:, None, :], mean[None], scale[None])


def log_mean(values, axis):
    return special.logsumexp(values, axis=axis) - np.log(values.shape[axis])


def test_pairwise_density_has_the_code_first_and_the_input_second():
    mean, scale, z = encoded(5)
    # catches: codes and posteriors exchanged; the normalizer of the code's own posterior; a missing half or 2 pi
    np.testing.assert_allclose(
        estimators.pairwise_log_density(normal(mean, scale), tf.constant(z[:2])),
        reference(mean, scale, z[:2]),
        rtol=1e-12,
    )


def test_pairwise_density_of_other_distributions_is_their_own():
    mean, scale, z = encoded(4)
    posterior = tfd.Independent(tfd.Laplace(tf.constant(mean), tf.constant(scale)), 1)
    # catches: every posterior treated as a normal
    np.testing.assert_allclose(
        estimators.pairwise_log_density(posterior, tf.constant(z)),
        stats.laplace.logpdf(z[:, None], mean[None], scale[None]),
        rtol=1e-12,
    )


def test_pairwise_density_keeps_float32_exact_for_narrow_posteriors():
    mean, scale, z = (np.float32([[value]]) for value in (50.0, 1e-3, 50.002))
    exact = stats.norm.logpdf(np.float64(z), np.float64(mean), np.float64(scale))
    # catches: the square multiplied out, or both sides divided by the scale before they are subtracted
    np.testing.assert_allclose(
        estimators.pairwise_log_density(normal(mean, scale), tf.constant(z))[0], exact, rtol=1e-5
    )


@given(batch=st.integers(1, 12), more=st.integers(0, 60_000), kind=st.sampled_from(STRATIFIED))
@settings(max_examples=60, deadline=None)
def test_stratified_weights_have_the_example_itself_on_the_diagonal_and_sum_to_one(batch, more, kind):
    weights = np.exp(estimators.log_weights(batch, batch + more, kind, dtype=tf.float64))
    # catches: own weight down the columns instead of the diagonal; N for N - 1; B for B - 1
    np.testing.assert_allclose(np.diag(weights), 1 / (batch + more) if batch > 1 else 1.0, rtol=1e-9)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-9)


def test_uniform_weights_share_the_rest_equally():
    weights = np.exp(estimators.log_weights(8, 64, dtype=tf.float64))
    # catches: another default kind; the off-diagonal of the other stratified kind
    np.testing.assert_allclose(weights[~np.eye(8, dtype=bool)], 63 / (64 * 7), rtol=1e-12)


def test_stratified_weights_single_out_the_next_example_of_every_row():
    weights = np.exp(estimators.log_weights(8, 64, "stratified", dtype=tf.float64))
    expected = np.full((8, 8), 1 / 7)
    for row in range(8):
        expected[row, row] = 1 / 64
        expected[row, (row + 1) % 8] = (64 - 7) / (64 * 7)
    # catches: the neighbor's weight in one column, in the row before, or on the diagonal
    np.testing.assert_allclose(weights, expected, rtol=1e-12)


def test_plain_weights_are_one_over_n_times_b():
    # catches: a normalized version, whose values would not be those of the paper
    np.testing.assert_allclose(estimators.log_weights(8, 64, "weighted"), np.full((8, 8), -np.log(512)), rtol=1e-6)


@pytest.mark.parametrize("kind", [*STRATIFIED, "weighted"])
@pytest.mark.parametrize("batch", [1, 2, 5, 20])
def test_weights_of_a_batch_of_unknown_size_are_those_of_the_known_one(kind, batch):
    dynamic = tf.function(
        lambda size: estimators.log_weights(size, 20, kind), input_signature=[tf.TensorSpec([], tf.int32)]
    )
    # catches: a size that is known only when the batch is
    np.testing.assert_array_equal(dynamic(batch), estimators.log_weights(batch, 20, kind))
    assert np.isfinite(dynamic(batch)).all()


@pytest.mark.parametrize("kind", STRATIFIED)
def test_a_batch_of_unknown_size_beyond_the_data_set_counts_as_all_of_it(kind):
    # catches: a negative weight, whose log is NaN
    weights = estimators.log_weights(tf.constant(6), 4, kind)
    np.testing.assert_allclose(weights, np.full((6, 6), -np.log(6)), rtol=1e-6)


def test_fewer_examples_than_the_batch_are_refused():
    with pytest.raises(ValueError, match=r"^`examples` must be at least the batch of 8\. Received: examples=7\.$"):
        estimators.log_weights(8, 7)


def test_an_unknown_kind_of_weights_is_refused():
    message = r"^`kind` must be uniform_stratified, stratified or weighted\. Received: kind=mss\.$"
    with pytest.raises(ValueError, match=message):
        estimators.log_weights(8, 64, "mss")  # pyright: ignore[reportArgumentType]


def batches_of(count: int, batch: int, examples: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.stack([rng.permutation(examples)[:batch] for _ in range(count)])


def ratios(kind: str, examples: int = 64, batch: int = 8, count: int = 4000) -> np.ndarray:
    """q_hat(z) / q(z) of every code in many random batches, [count, batch]."""
    mean, scale, z = encoded(examples)
    everywhere = reference(mean, scale, z)
    exact = log_mean(everywhere.sum(axis=2), axis=1)

    @tf.function
    def estimates(indices):
        weights = estimators.log_weights(batch, examples, kind, dtype=tf.float64)  # pyright: ignore[reportArgumentType]

        def one(index):
            pairwise = tf.gather(tf.gather(everywhere, index, axis=0), index, axis=1)
            return estimators.log_aggregate(pairwise, weights)

        return tf.map_fn(one, indices, fn_output_signature=tf.float64)

    indices = batches_of(count, batch, examples)
    return np.exp(estimates(indices) - exact[indices])


@pytest.mark.parametrize("kind", STRATIFIED)
def test_stratified_estimates_of_the_density_are_unbiased(kind):
    # catches: own weight down a column (1.9 instead of 1)
    assert 0.97 < ratios(kind).mean() < 1.03


def test_uniform_weights_vary_less_than_a_chosen_neighbor():
    # catches: the two stratified kinds exchanged
    assert ratios("uniform_stratified", examples=10).var() < 0.9 * ratios("stratified", examples=10).var()


def test_plain_weights_are_too_low_by_the_factor_their_rows_sum_to():
    mean, scale, z = encoded(64)
    density = np.exp(reference(mean, scale, z).sum(axis=2))
    own, all_of_it = np.diag(density), density.mean(axis=1)
    expected = np.mean((own + 7 * (64 * all_of_it - own) / 63) / (8 * 64 * all_of_it))
    # catches: weights that sum to one under this name
    np.testing.assert_allclose(ratios("weighted").mean(), expected, rtol=0.03)
    assert expected < 0.1


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize(("kind", "offset"), [*((kind, 0.0) for kind in STRATIFIED), ("weighted", -np.log(40))])
def test_the_whole_data_set_gives_the_exact_densities(dtype, tolerance, kind, offset):
    mean, scale, z = (value.astype(dtype) for value in encoded(40))
    exact = reference(*(value.astype(np.float64) for value in (mean, scale, z)))
    pairwise = estimators.pairwise_log_density(normal(mean, scale), tf.constant(z))
    weights = estimators.log_weights(40, 40, kind, dtype=dtype)
    # catches: a sum over the codes instead of the posteriors; weights per dimension; a group's product of marginals
    within = {"rtol": 0, "atol": tolerance * 10}
    np.testing.assert_allclose(
        estimators.log_aggregate(pairwise, weights), log_mean(exact.sum(axis=2), axis=1) + offset, **within
    )
    np.testing.assert_allclose(estimators.log_marginals(pairwise, weights), log_mean(exact, axis=1) + offset, **within)
    grouped = np.stack([exact[..., group].sum(axis=2) for group in GROUPS], axis=2)
    np.testing.assert_allclose(
        estimators.log_groups(pairwise, weights, GROUPS), log_mean(grouped, axis=1) + offset, **within
    )


def test_a_group_of_everything_is_the_joint_and_groups_of_one_are_the_marginals():
    mean, scale, z = encoded(10)
    pairwise = estimators.pairwise_log_density(normal(mean, scale), tf.constant(z))
    weights = estimators.log_weights(10, 30, dtype=tf.float64)
    whole = estimators.log_groups(pairwise, weights, [[2, 0, 1]])[:, 0]
    singles = estimators.log_groups(pairwise, weights, [[0], [1], [2]])
    # catches: the weights counted once per member of a group
    np.testing.assert_allclose(whole, estimators.log_aggregate(pairwise, weights), rtol=1e-12)
    np.testing.assert_allclose(singles, estimators.log_marginals(pairwise, weights), rtol=1e-12)


def test_a_batch_of_one_knows_only_its_own_posterior():
    mean, scale, z = encoded(1)
    pairwise = estimators.pairwise_log_density(normal(mean, scale), tf.constant(z))
    # catches: own weight 1/N where there is nobody else
    np.testing.assert_allclose(
        estimators.log_aggregate(pairwise, estimators.log_weights(1, 1000)), reference(mean, scale, z).sum(axis=2)[0]
    )
