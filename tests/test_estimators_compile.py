"""What all estimators promise: XLA or not, float32 or float64, any batch size, the gradient of what they compute."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from models import estimators
from models.estimators.aggregate import Weighting

GROUPS = [[0, 2], [1]]
EVALUATION = {"exact_decomposition", "median_distance"}  # nobody differentiates these
CONSTANTS = {"expected_distance", "kl", "Decomposition", "GroupDecomposition", "GroupTotalCorrelation"}


def posterior_of(z):
    return tfd.Independent(tfd.Normal(tf.sin(z), 0.4 + 0.1 * z * z), 1)


def pairwise(z):
    return estimators.pairwise_log_density(posterior_of(z), z)


def weights(z, kind: Weighting = "uniform_stratified"):
    return estimators.log_weights(tf.shape(z)[0], 100, kind, dtype=z.dtype)


def squares(z):
    return tf.reduce_sum(z * z, axis=1), tf.reduce_sum(tf.sin(z), axis=1)


def rbf(u, v):
    return estimators.rbf(u, v, [0.7, 2.0])


def grams(z):
    return rbf(z[:, :1], z[:, :1]), rbf(z[:, 1:2], z[:, 1:2]), rbf(z[:, 2:], z[:, 2:])


def parts(decomposition) -> tf.Tensor:
    return tf.stack(list(vars(decomposition).values()))


def between_groups(z):
    member = tf.range(tf.shape(z)[0]) % 3 == 0
    return estimators.mmd_between_groups(rbf(z, z), member, tf.logical_not(member))


def two_levels(z):
    found = estimators.gaussian_group_total_correlation(estimators.covariance(z), GROUPS)
    return tf.concat([found.between[tf.newaxis], found.within], axis=0)


# Each estimator as a function of codes [batch, 3].
FUNCTIONS = {
    "aggregate_covariance": lambda z: estimators.aggregate_covariance(posterior_of(z)),
    "covariance": estimators.covariance,
    "critic_loss": lambda z: estimators.critic_loss(*squares(z)),
    "decompose": lambda z: parts(estimators.decompose(*squares(z), z, z[:, 0])),
    "decompose_groups": lambda z: parts(estimators.decompose_groups(*squares(z), z[:, :2], z, z[:, 0])),
    "delta": lambda z: z[:, :1] * estimators.delta(z[:, 0] > 0, z[:, 1] > 0, dtype=z.dtype),
    "dhsic": lambda z: estimators.dhsic(grams(z)),
    "exact_decomposition": lambda z: parts(estimators.exact_decomposition(tf.sin(z), 0.4 + 0.1 * z * z, z, chunk=4)),
    "gaussian_group_total_correlation": two_levels,
    "gaussian_total_correlation": lambda z: estimators.gaussian_total_correlation(estimators.covariance(z)),
    "hsic": lambda z: tf.stack(
        [estimators.hsic(*grams(z)[:2]), estimators.hsic(*grams(z)[:2], unbiased=True)],
    ),
    "imq": lambda z: estimators.imq(z, tf.sin(z), [0.5, 1.0]),
    "linear_time_mmd": lambda z: estimators.linear_time_mmd(z, tf.sin(z), rbf),
    "log_aggregate": lambda z: estimators.log_aggregate(pairwise(z), weights(z)),
    "log_groups": lambda z: estimators.log_groups(pairwise(z), weights(z, "stratified"), GROUPS),
    "log_marginals": lambda z: estimators.log_marginals(pairwise(z), weights(z)),
    "log_weights": lambda z: z[:, :1] * tf.stack([weights(z), weights(z, "stratified"), weights(z, "weighted")]),
    "median_distance": estimators.median_distance,
    "mmd": lambda z: estimators.mmd(rbf(z, z), rbf(tf.sin(z), tf.sin(z)), rbf(z, tf.sin(z))),
    "mmd_between_groups": between_groups,
    "pairwise_log_density": pairwise,
    "permute_dimensions": lambda z: estimators.permute_dimensions(z, (1, 2)),
    "rbf": lambda z: rbf(z, tf.sin(z)),
}


def codes(batch: int = 7, dtype=tf.float64) -> tf.Tensor:
    return tf.constant(np.random.default_rng(batch).normal(size=(batch, 3)), dtype)


def test_every_estimator_is_in_the_table():
    assert set(estimators.__all__) - CONSTANTS == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_xla_changes_nothing(name):
    compiled = tf.function(FUNCTIONS[name], jit_compile=True)(codes())
    # catches: an operation that XLA lacks or that draws other numbers there
    np.testing.assert_allclose(compiled, FUNCTIONS[name](codes()), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_stays_float32_and_close_to_float64(name):
    single = FUNCTIONS[name](codes(dtype=tf.float32))
    # catches: a constant or a weight of another type, a difference of large numbers
    assert single.dtype == tf.float32
    np.testing.assert_allclose(single, FUNCTIONS[name](codes()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"exact_decomposition"}))
def test_the_batch_may_have_any_size_in_one_trace(name):
    traced = tf.function(FUNCTIONS[name], input_signature=[tf.TensorSpec([None, 3], tf.float64)])
    # catches: a size that was taken when the function was traced
    for batch in (9, 5):
        np.testing.assert_allclose(traced(codes(batch)), FUNCTIONS[name](codes(batch)), rtol=1e-10, atol=1e-12)


DIFFERENTIABLE = sorted(set(FUNCTIONS) - EVALUATION)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_are_those_of_the_value(name):
    z, rng = codes(), np.random.default_rng(0)
    direction, weights = rng.normal(size=z.shape), rng.normal(size=FUNCTIONS[name](z).shape)

    def total(z):
        return tf.reduce_sum(FUNCTIONS[name](z) * weights)

    with tf.GradientTape() as tape:
        tape.watch(z)
        value = total(z)
    slope = np.sum(tape.gradient(value, z) * direction)
    numeric = (total(z + 1e-6 * direction) - total(z - 1e-6 * direction)) / 2e-6
    # catches: a stop_gradient where the value depends on the codes, a gradient lost in a clip
    np.testing.assert_allclose(slope, numeric, rtol=1e-6, atol=1e-9)
    assert abs(slope) > 1e-6


@pytest.mark.parametrize("batch", [1, 6])
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_values_and_gradients_are_finite_for_codes_in_one_place(name, batch):
    z = tf.constant(np.tile(np.float32([[0.3, -1.0, 0.1]]), (batch, 1)))
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = FUNCTIONS[name](z)
    # catches: 0 / 0 in a normalization, a root at zero, log 0 in a batch of one
    assert np.isfinite(value).all()
    assert np.isfinite(tape.gradient(value, z)).all()
