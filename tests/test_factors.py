"""Factors: one contract for all, and each distribution against NumPy and SciPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts import round_trip
from scipy import special, stats

from models import factors
from models.factors import (
    Bernoulli,
    Clamped,
    Conditional,
    Deterministic,
    DiagonalNormal,
    FixedScale,
    Gaussian,
    LabelLikelihood,
    LearnedScale,
    LogNormal,
    SoftplusNormal,
    Tabular,
    TabularLikelihood,
)
from models.networks import dense
from models.part import Part

RNG = np.random.default_rng(5)

# Every factor by the shape of its inputs.
FACTORS = {
    "DiagonalNormal": (lambda: DiagonalNormal(dense.encoder((6, 2), hidden=(16,)), latent=3), (6, 2)),
    "Bernoulli": (lambda: Bernoulli(dense.decoder((4, 4, 1), hidden=(16,))), (3,)),
    "Gaussian": (lambda: Gaussian(dense.decoder((5,), hidden=(16,)), FixedScale(0.5)), (3,)),
    "Gaussian, learned": (lambda: Gaussian(dense.decoder((5, 2), hidden=(16,)), LearnedScale()), (3,)),
    "Tabular": (lambda: Tabular(dense.decoder((2 + 3 + 2,), hidden=(16,)), [3, 2], LearnedScale()), (3,)),
    "SoftplusNormal": (lambda: SoftplusNormal(dense.encoder((6, 2), hidden=(16,)), latent=3), (6, 2)),
    "LogNormal": (lambda: LogNormal(dense.encoder((6, 2), hidden=(16,)), latent=3, noise=0.5), (6, 2)),
    "Deterministic": (lambda: Deterministic(dense.encoder((6, 2), hidden=(16,)), latent=3), (6, 2)),
    "LabelLikelihood": (lambda: LabelLikelihood(dense.decoder((7,), hidden=())), (3,)),
    "Conditional": (lambda: Conditional(Bernoulli(dense.decoder((4, 4), hidden=(16,))), "sensitive", 2), (3,)),
    "Clamped": (lambda: Clamped(Bernoulli(dense.decoder((4, 4), hidden=(16,))), [1, 0]), (3,)),
}
NOISY = [name for name in FACTORS if name != "Deterministic"]


def inputs_of(shape, *leading):
    return RNG.normal(size=(*leading, *shape)).astype(np.float32)


def test_every_factor_is_in_the_table():
    parts = {name for name, part in vars(factors).items() if isinstance(part, type) and issubclass(part, Part)}
    scales = {"Scale", "FixedScale", "LearnedScale"}
    assert parts - scales - {"Factor"} == {name.split(",")[0] for name in FACTORS}


@pytest.mark.parametrize("name", FACTORS)
def test_factor_is_the_same_after_saving(name):
    make, shape = FACTORS[name]
    factor = make()
    factor.build((None, *shape))
    twin = round_trip(factor)
    twin.set_weights(factor.get_weights())
    inputs = inputs_of(shape, 4)
    np.testing.assert_array_equal(twin(inputs).mean(), factor(inputs).mean())


@pytest.mark.parametrize("name", FACTORS)
def test_factor_restores_leading_axes_in_its_batch_shape(name):
    make, shape = FACTORS[name]
    factor = make()
    inputs = inputs_of(shape, 5, 4)
    factor.build((None, *shape))
    folded, single = factor(inputs), factor(inputs[3])
    assert folded.batch_shape == (5, 4)
    assert folded.event_shape == single.event_shape
    np.testing.assert_allclose(folded.mean()[3], single.mean(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", FACTORS)
def test_factor_samples_repeat_by_seed_and_have_a_finite_log_probability(name):
    make, shape = FACTORS[name]
    distribution = make()(inputs_of(shape, 4))
    sample = distribution.sample(seed=(1, 2))
    np.testing.assert_array_equal(sample, distribution.sample(seed=(1, 2)))
    assert np.any(sample != distribution.sample(seed=(1, 3))) == (name in NOISY)
    assert distribution.log_prob(sample).shape == (4,)
    assert np.all(np.isfinite(distribution.log_prob(sample)))


@pytest.mark.parametrize("name", NOISY)
def test_factor_has_finite_gradients_everywhere(name):
    make, shape = FACTORS[name]
    factor = make()
    inputs = inputs_of(shape, 4)
    target = factor(inputs).sample(seed=(1, 2))
    variables = [variable.value for variable in factor.trainable_variables]
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(factor(inputs).log_prob(tf.stop_gradient(target)))
    assert all(np.all(np.isfinite(g)) for g in tape.gradient(loss, variables))


def test_factor_reads_parameters_in_full_precision_under_mixed_precision():
    network = dense.encoder((6,), hidden=(16,))
    policy = keras.DTypePolicy("mixed_bfloat16")
    mixed = keras.Sequential([keras.layers.Dense(16, dtype=policy), network])
    posterior = DiagonalNormal(mixed, latent=3, dtype=policy)(inputs_of((6,), 4))
    assert posterior.dtype == tf.float32


def test_diagonal_normal_reads_mean_and_log_variance():
    factor = DiagonalNormal(keras.layers.Identity(), latent=2)
    factor.build((None, 3))
    kernel, bias = RNG.normal(size=(3, 4)), RNG.normal(size=4)
    factor.moments.set_weights([kernel, bias])
    x = inputs_of((3,), 5)
    mean, log_variance = np.split(x @ kernel + bias, 2, axis=1)
    posterior = factor(x)
    np.testing.assert_allclose(posterior.mean(), mean, rtol=1e-5)
    np.testing.assert_allclose(posterior.stddev(), np.exp(log_variance / 2), rtol=1e-5)
    z = inputs_of((2,), 5)
    expected = stats.norm.logpdf(z, mean, np.exp(log_variance / 2)).sum(axis=1)
    np.testing.assert_allclose(posterior.log_prob(z), expected, rtol=1e-4)


def test_diagonal_normal_survives_an_exploding_log_variance():
    factor = DiagonalNormal(keras.layers.Identity(), latent=1)
    factor.build((None, 1))
    factor.moments.set_weights([np.zeros((1, 2)), np.array([0.0, 1000.0])])
    np.testing.assert_allclose(factor(np.zeros((1, 1), np.float32)).stddev(), np.exp(5.0), rtol=1e-6)


@pytest.mark.parametrize("grey", [False, True], ids=["binary", "grey"])
def test_bernoulli_is_the_cross_entropy_summed_over_pixels(grey):
    factor = Bernoulli(keras.layers.Reshape((2, 3, 1)))
    factor.build((None, 6))
    logits = 4 * inputs_of((6,), 5)
    x = RNG.random((5, 2, 3, 1)) if grey else RNG.integers(0, 2, (5, 2, 3, 1))
    p = special.expit(logits.reshape(5, 2, 3, 1).astype(np.float64))
    expected = (x * np.log(p) + (1 - x) * np.log1p(-p)).sum(axis=(1, 2, 3))
    likelihood = factor(logits)
    np.testing.assert_allclose(likelihood.log_prob(x.astype(np.float32)), expected, rtol=1e-4)
    np.testing.assert_allclose(likelihood.mean(), p, rtol=1e-5)


def test_bernoulli_stays_finite_at_extreme_logits():
    factor = Bernoulli(keras.layers.Identity())
    factor.build((None, 2))
    log_prob = factor(np.array([[200.0, -200.0]], np.float32)).log_prob(np.array([[0.0, 0.0]], np.float32))
    np.testing.assert_allclose(log_prob, [-200.0])


def test_gaussian_with_a_fixed_scale_is_the_normal_density():
    factor = Gaussian(keras.layers.Identity(), FixedScale(0.5))
    factor.build((None, 4))
    mean, x = inputs_of((4,), 5), inputs_of((4,), 5)
    expected = stats.norm.logpdf(x, mean, 0.5).sum(axis=1)
    np.testing.assert_allclose(factor(mean).log_prob(x), expected, rtol=1e-5)


def test_gaussian_with_a_learned_scale_has_one_scale_per_element_of_the_last_axis():
    factor = Gaussian(keras.layers.Identity(), LearnedScale())
    factor.build((None, 2, 3))
    mean, x = inputs_of((2, 3), 5), inputs_of((2, 3), 5)
    np.testing.assert_allclose(factor(mean).log_prob(x), stats.norm.logpdf(x, mean, 1.0).sum(axis=(1, 2)), rtol=1e-5)
    factor.scale.log_variance.assign([0.0, 2.0, -1000.0])
    scale = np.exp([0.0, 1.0, -5.0])
    expected = stats.norm.logpdf(x, mean, scale).sum(axis=(1, 2))
    np.testing.assert_allclose(factor(mean).log_prob(x), expected, rtol=1e-4)


def test_a_scale_must_be_positive():
    with pytest.raises(ValueError, match="scale") as error:
        FixedScale(0.0)
    assert str(error.value) == "`scale` must be above 0. Received: scale=0.0."


def a_table():
    """Parameters and rows of two numeric columns and categorical ones of 3 and 2 values, some cells missing."""
    mean, logits = RNG.normal(size=(4, 2)), RNG.normal(size=(4, 5))
    numeric = RNG.normal(size=(4, 2))
    codes = np.array([[0, 1], [2, 0], [1, 1], [0, 0]])
    mask = np.array([[1, 1, 1, 1], [0, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0]])
    one_hot = np.concatenate([np.eye(3)[codes[:, 0]] * mask[:, 2:3], np.eye(2)[codes[:, 1]] * mask[:, 3:4]], axis=1)
    x = np.concatenate([numeric * mask[:, :2], one_hot, mask], axis=1)
    cells = np.stack(
        [
            *stats.norm.logpdf(numeric, mean, [0.5, 2.0]).T,
            special.log_softmax(logits[:, :3], axis=1)[np.arange(4), codes[:, 0]],
            special.log_softmax(logits[:, 3:], axis=1)[np.arange(4), codes[:, 1]],
        ],
        axis=1,
    )
    likelihood = TabularLikelihood(tf.constant(mean), tf.constant([0.5, 2.0], tf.float64), tf.constant(logits), (3, 2))
    return likelihood, x, (cells * mask).sum(axis=1), logits


def test_tabular_likelihood_sums_the_observed_cells_and_no_other():
    likelihood, x, expected, _ = a_table()
    assert likelihood.event_shape == x.shape[1:]
    np.testing.assert_allclose(likelihood.log_prob(x), expected, rtol=1e-12)
    assert float(likelihood.log_prob(x)[3]) == 0.0


def test_tabular_likelihood_does_not_see_what_stands_in_a_missing_numeric_cell():
    likelihood, x, expected, _ = a_table()
    x[1, 0], x[3, 1] = 100.0, -100.0
    np.testing.assert_allclose(likelihood.log_prob(x), expected, rtol=1e-12)


def test_tabular_mean_is_a_complete_row():
    likelihood, x, _, logits = a_table()
    row = likelihood.mean().numpy()
    assert row.shape == x.shape
    np.testing.assert_allclose(row[:, :2], likelihood.parameters["mean"])
    np.testing.assert_allclose(row[:, 2:5], special.softmax(logits[:, :3], axis=1))
    np.testing.assert_allclose(row[:, 5:7], special.softmax(logits[:, 3:], axis=1))
    np.testing.assert_array_equal(row[:, 7:], 1.0)


def test_tabular_samples_have_the_frequencies_of_the_mean():
    likelihood, _, _, _ = a_table()
    rows = likelihood.sample(4000, seed=(3, 4)).numpy()
    np.testing.assert_allclose(rows.mean(axis=0), likelihood.mean(), atol=0.15)
    np.testing.assert_array_equal(rows[..., 2:5].sum(axis=-1), 1.0)
    np.testing.assert_array_equal(rows[..., 5:7].sum(axis=-1), 1.0)


@pytest.mark.parametrize(("numeric", "cardinalities"), [(3, []), (0, [2, 4])], ids=["numeric", "categorical"])
def test_tables_of_one_kind_of_column_work(numeric, cardinalities):
    factor = Tabular(keras.layers.Identity(), cardinalities)
    factor.build((None, numeric + sum(cardinalities)))
    likelihood = factor(inputs_of((numeric + sum(cardinalities),), 4))
    row = likelihood.sample(seed=(1, 2))
    assert row.shape == (4, numeric + sum(cardinalities) + numeric + len(cardinalities))
    assert np.all(np.isfinite(likelihood.log_prob(row)))
