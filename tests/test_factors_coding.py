"""Factors that models of labels, attributes and groups are made of, each against NumPy and SciPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats
from tensorflow_probability import distributions as tfd

from models.estimators import kl
from models.factors import (
    Clamped,
    Conditional,
    Deterministic,
    Gaussian,
    LabelLikelihood,
    Labels,
    LogNormal,
    SoftplusNormal,
)
from models.priors import StandardLogNormal, StandardNormal
from models.trace import Context

RNG = np.random.default_rng(8)


def draws(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def read_directly(factor, layer, width):
    """Lets a factor's last layer pass the inputs on: [batch, width] are the parameters."""
    factor.build((None, width))
    getattr(factor, layer).set_weights([np.eye(width), np.zeros(width)])
    return factor


def a_context(**beside):
    beside = {key: None if value is None else tf.constant(value, tf.int64) for key, value in beside.items()}
    return Context(target=tf.zeros([1]), step=tf.constant(0), seed=tf.constant([0, 1]), **beside)


def plain_decoder(width):
    """N(inputs, I): what the decoder was given can be read off its mean."""
    return Gaussian(keras.layers.Dense(width, kernel_initializer="identity"))


# Gaussian codes with a soft floor.


# Catches: the offset missing.
def test_softplus_normal_shifts_its_spread_by_five():
    factor = read_directly(SoftplusNormal(keras.layers.Identity(), latent=2), "moments", 4)
    parameters = 4 * draws(6, 4)
    posterior = factor(parameters)
    np.testing.assert_allclose(posterior.mean(), parameters[:, :2])
    expected = np.logaddexp(0, parameters[:, 2:].astype(np.float64) - 5) + 1e-6
    np.testing.assert_allclose(posterior.stddev(), expected, rtol=1e-5)


def test_softplus_normal_is_nearly_deterministic_before_training():
    keras.utils.set_random_seed(0)
    posterior = SoftplusNormal(keras.layers.Dense(16), latent=4)(draws(50, 8))
    assert np.max(posterior.stddev()) < 0.5
    assert np.median(posterior.stddev()) == pytest.approx(np.log1p(np.exp(-5)), rel=0.3)


# Codes under multiplicative noise.


# Catches: the variance where the standard deviation belongs; f for log f; noise without a bound.
def test_the_logarithm_of_a_log_normal_code_has_mean_log_f_and_variance_alpha_squared():
    factor = read_directly(LogNormal(keras.layers.Identity(), latent=2, noise=0.7), "units", 4)
    parameters = draws(3, 4)
    log_z = np.log(factor(parameters).sample(100_000, seed=(1, 2)).numpy().astype(np.float64))
    log_f = np.log(np.logaddexp(0, parameters[:, :2]))
    alpha = 0.001 + 0.7 * special.expit(parameters[:, 2:])
    np.testing.assert_allclose(log_z.mean(axis=0), log_f, atol=0.01)
    np.testing.assert_allclose(log_z.var(axis=0), alpha**2, rtol=0.02)
    np.testing.assert_allclose(factor(parameters).mean(), np.exp(log_f + alpha**2 / 2), rtol=1e-5)


def test_the_noise_of_a_log_normal_code_stays_between_its_bounds():
    factor = read_directly(LogNormal(keras.layers.Identity(), latent=1, noise=0.5), "units", 2)
    extremes = np.array([[0.0, -200.0], [0.0, 200.0]], np.float32)
    scale = factor(extremes).distribution.scale
    np.testing.assert_allclose(scale[:, 0], [0.001, 0.501], rtol=1e-5)


def test_a_silent_unit_of_a_log_normal_code_stays_finite():
    factor = read_directly(LogNormal(keras.layers.Identity(), latent=1), "units", 2)
    silent = tf.constant([[-200.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(silent)
        rate = kl(factor(silent), StandardLogNormal(1)(), factor(silent).mean())
    assert np.all(np.isfinite(rate))
    assert np.all(np.isfinite(tape.gradient(rate, silent)))


def test_noise_must_be_positive():
    with pytest.raises(ValueError, match="noise") as error:
        LogNormal(keras.layers.Identity(), latent=1, noise=0.0)
    assert str(error.value) == "`noise` must be above 0. Received: noise=0.0."


def log_normal(log_f, alpha):
    return tfd.Independent(tfd.LogNormal(tf.constant(log_f, tf.float64), tf.constant(alpha, tf.float64)), 1)


def exact_rate(log_f, alpha):
    return np.sum((alpha**2 + log_f**2) / 2 - np.log(alpha) - 0.5, axis=-1)


@pytest.mark.parametrize(("log_f", "alpha", "expected"), [(0.3, 0.4, 0.54129), (0.0, 1.0, 0.0)])
def test_the_rate_of_a_log_normal_code_has_its_worked_value(log_f, alpha, expected):
    rate = kl(log_normal([[log_f]], [[alpha]]), log_normal([0.0], [1.0]), tf.ones([1, 1], tf.float64))
    np.testing.assert_allclose(rate, [expected], atol=5e-6)


# Catches: an estimate in place of the closed form; prior and posterior exchanged.
def test_the_rate_of_a_log_normal_code_is_the_closed_form_and_the_mean_of_samples():
    log_f, alpha = RNG.normal(size=(4, 3)), RNG.uniform(0.2, 0.7, (4, 3))
    posterior, prior = log_normal(log_f, alpha), log_normal([0.0] * 3, [1.0] * 3)
    exact = exact_rate(log_f, alpha)
    np.testing.assert_allclose(kl(posterior, prior, tf.ones([4, 3], tf.float64)), exact, rtol=1e-12)
    z = posterior.sample(100_000, seed=(2, 3))
    np.testing.assert_allclose(np.mean(posterior.log_prob(z) - prior.log_prob(z), axis=0), exact, rtol=0.01)


def test_the_prior_of_log_normal_codes_is_the_one_of_that_rate():
    factor = read_directly(LogNormal(keras.layers.Identity(), latent=2), "units", 4)
    posterior = factor(draws(5, 4))
    scales, places = posterior.distribution.scale.numpy(), posterior.distribution.loc.numpy()
    rate = kl(posterior, StandardLogNormal(2)(), posterior.mean())
    np.testing.assert_allclose(rate, exact_rate(places, scales), rtol=1e-4)


# Codes without noise.


def test_a_deterministic_code_is_a_point_whose_rate_is_minus_log_p():
    factor = read_directly(Deterministic(keras.layers.Identity(), latent=3), "code", 3)
    x = draws(4, 3)
    posterior = factor(x)
    np.testing.assert_array_equal(posterior.mean(), x)
    np.testing.assert_array_equal(posterior.sample(seed=(0, 1)), x)
    np.testing.assert_array_equal(posterior.stddev(), np.zeros((4, 3)))
    rate = kl(posterior, StandardNormal(3)(), posterior.sample(seed=(0, 1)))
    np.testing.assert_allclose(rate, -stats.norm.logpdf(x).sum(axis=1), rtol=1e-5)


# Labels.


# Catches: a missing label read as the first or the last class.
def test_a_missing_label_has_probability_one_and_no_gradient():
    logits = tf.constant(draws(4, 3))
    label = np.array([2, -1, 0, -1])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        log_prob = Labels(logits=logits).log_prob(label)
    expected = special.log_softmax(logits, axis=1)[np.arange(4), label]
    np.testing.assert_allclose(log_prob, np.where(label < 0, 0, expected), rtol=1e-5)
    gradient = tape.gradient(log_prob, logits)
    one_hot = np.eye(3)[label] - special.softmax(logits, axis=1)
    np.testing.assert_allclose(gradient, np.where(label[:, None] < 0, 0, one_hot), atol=1e-6)


def test_the_mean_of_labels_is_their_probabilities():
    logits = draws(5, 4, 3)
    np.testing.assert_allclose(Labels(logits=logits).mean(), special.softmax(logits, axis=-1), rtol=1e-5)


def test_one_label_is_read_under_many_codes_at_once():
    factor = LabelLikelihood(keras.layers.Identity())
    codes, label = draws(5, 4, 3), np.array([1, -1, 2, 0])
    factor.build((None, 3))
    expected = special.log_softmax(codes, axis=-1)[:, np.arange(4), label] * (label >= 0)
    np.testing.assert_allclose(factor(codes).log_prob(label), expected, rtol=1e-5)
    assert (factor.target, factor.needs) == ("label", ("label",))


# Decoders that are told an attribute.


def informed(role="sensitive"):
    return Conditional(plain_decoder(5), role, 3)


# Catches: an attribute in front of the code; the block missing; the label in place of the sensitive attribute.
@pytest.mark.parametrize("role", ["sensitive", "label"])
def test_a_conditional_decoder_reads_the_attribute_one_hot_behind_the_code(role):
    z, values = draws(4, 2), np.array([2, 0, -1, 1])
    other = {"label": "sensitive", "sensitive": "label"}[role]
    given = informed(role)(z, context=a_context(**{role: values, other: [1, 1, 1, 1]})).mean()
    block = np.array([[0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(given, np.concatenate([z, block], axis=1))
    assert informed(role).needs == (role,)


@pytest.mark.parametrize("context", [None, a_context(sensitive=None)], ids=["no context", "no attribute"])
def test_a_conditional_decoder_without_the_attribute_reads_zeros(context):
    z = draws(4, 2)
    np.testing.assert_array_equal(informed()(z, context=context).mean(), np.pad(z, ((0, 0), (0, 3))))


def test_a_conditional_decoder_reads_many_codes_of_one_batch_at_once():
    z, values = draws(6, 4, 2), np.array([2, 0, -1, 1])
    decoder, context = informed(), a_context(sensitive=values)
    many = decoder(z, context=context).mean()
    assert many.shape == (6, 4, 5)
    np.testing.assert_array_equal(many[3], decoder(z[3], context=context).mean())


def test_a_conditional_decoder_passes_the_context_and_the_target_on():
    inner = Conditional(plain_decoder(4), "label", 2)
    z = draws(2, 1)
    context = a_context(sensitive=[0, 1], label=[1, 0])
    given = Conditional(inner, "sensitive", 1)(z, context=context).mean()
    np.testing.assert_array_equal(given, [[z[0, 0], 1, 0, 1], [z[1, 0], 0, 1, 0]])
    assert Conditional(LabelLikelihood(keras.layers.Identity()), "sensitive", 2).target == "label"


# Decoders that see only what varies.


# Catches: the mean over the batch in place of the group; active and inactive units exchanged; no clamping.
def test_a_clamped_decoder_sees_inactive_units_at_the_mean_of_their_group():
    z = draws(6, 4)
    group, varying = np.array([0, 0, 1, 2, 2, 2]), np.array([1] * 6)
    decoder = Clamped(plain_decoder(4), [3, 0])  # factor 3 has unit 0, factor 0 has unit 1
    given = decoder(z, context=a_context(group=group, varying=varying)).mean().numpy()
    means = np.stack([z[group == number].mean(axis=0) for number in group])
    np.testing.assert_array_equal(given[:, 1], z[:, 1])
    np.testing.assert_allclose(given[:, [0, 2, 3]], means[:, [0, 2, 3]], rtol=1e-5, atol=1e-6)


# Catches: one unit, not all of the others, that stands for everything else.
def test_where_everything_else_varies_the_units_of_factors_are_clamped():
    z = draws(4, 4)
    decoder = Clamped(plain_decoder(4), [3, 0])
    given = decoder(z, context=a_context(group=[0] * 4, varying=[2] * 4)).mean().numpy()
    np.testing.assert_array_equal(given[:, 2:], z[:, 2:])
    np.testing.assert_allclose(given[:, :2], np.tile(z[:, :2].mean(axis=0), (4, 1)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("context", [None, a_context(group=None)], ids=["no context", "no groups"])
def test_a_clamped_decoder_without_groups_is_the_decoder_itself(context):
    z = draws(3, 4)
    np.testing.assert_array_equal(Clamped(plain_decoder(4), [0])(z, context=context).mean(), z)
    assert (Clamped(plain_decoder(4), [0]).target, Clamped.needs) == ("x", ("factors",))
