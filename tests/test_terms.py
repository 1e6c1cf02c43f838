"""Terms: one contract for all, and each estimate against its closed form."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts import round_trip
from scipy import stats
from tensorflow_probability import distributions as tfd

from models import terms
from models.estimators import kl
from models.schedules import Linear
from models.terms import KL, NegativeLogLikelihood, Term
from models.trace import Context, Trace

TERMS = {"NegativeLogLikelihood": NegativeLogLikelihood, "KL": KL}
RNG = np.random.default_rng(6)


def normal(mean, scale):
    return tfd.Independent(tfd.Normal(tf.constant(mean), tf.constant(scale)), 1)


def a_trace(batch: int = 6, latent: int = 3, step: int = 0, **beside) -> Trace:
    """A trace of float64 Gaussians with known parameters."""
    mean, scale = RNG.normal(size=(batch, latent)), RNG.uniform(0.2, 2.0, (batch, latent))
    x = RNG.normal(size=(batch, 4))
    posterior = normal(mean, scale)
    return Trace(
        x=tf.constant(x),
        posterior=posterior,
        z=posterior.sample(seed=(0, 1)),
        prior=normal(np.zeros(latent), np.ones(latent)),
        likelihood=normal(RNG.normal(size=(batch, 4)), np.full(4, 0.7)),
        context=Context(target=tf.constant(x), step=tf.constant(step, tf.int64), seed=tf.constant([0, 1]), **beside),
    )


def test_every_term_is_in_the_table():
    assert set(terms.__all__) - {"Term"} == set(TERMS)


@pytest.mark.parametrize("name", TERMS)
def test_term_is_the_same_after_saving(name):
    twin = round_trip(TERMS[name](weight=Linear(0.0, 2.0, steps=10), name="other"))
    assert twin.name == "other"
    assert twin.weight == Linear(0.0, 2.0, steps=10)


@pytest.mark.parametrize("name", TERMS)
def test_term_adds_its_weighted_mean_to_the_loss_and_reports_the_plain_one(name):
    term, trace = TERMS[name](weight=Linear(0.0, 4.0, steps=10)), a_trace(step=5)
    estimate = term(trace=trace)
    assert estimate.shape == (6,)
    np.testing.assert_allclose(term.losses, [2.0 * np.mean(estimate)], rtol=1e-6)
    np.testing.assert_allclose(term.average.result(), np.mean(estimate), rtol=1e-6)


def test_negative_log_likelihood_is_the_density_of_what_was_observed():
    trace = a_trace()
    likelihood = trace.likelihood.distribution
    expected = -stats.norm.logpdf(trace.x, likelihood.loc, likelihood.scale).sum(axis=1)
    np.testing.assert_allclose(NegativeLogLikelihood()(trace=trace), expected, rtol=1e-12)


def test_negative_log_likelihood_describes_the_target_of_the_context():
    trace = a_trace()
    shifted = tf.constant(trace.x + 1.0)
    moved = Trace(
        x=trace.x,
        posterior=trace.posterior,
        z=trace.z,
        prior=trace.prior,
        likelihood=trace.likelihood,
        context=Context(target=shifted, step=trace.context.step, seed=trace.context.seed),
    )
    np.testing.assert_allclose(NegativeLogLikelihood()(trace=moved), -trace.likelihood.log_prob(shifted))


def test_kl_to_the_standard_normal_is_the_closed_form():
    trace = a_trace()
    mean, variance = trace.posterior.mean(), trace.posterior.variance()
    expected = 0.5 * np.sum(mean**2 + variance - np.log(variance) - 1, axis=1)
    np.testing.assert_allclose(KL()(trace=trace), expected, rtol=1e-12)


def test_kl_between_diagonal_normals_is_the_closed_form():
    m1, m2 = RNG.normal(size=(2, 5, 3))
    s1, s2 = RNG.uniform(0.3, 2.0, (2, 5, 3))
    expected = 0.5 * np.sum(np.log(s2**2 / s1**2) + (s1**2 + (m1 - m2) ** 2) / s2**2 - 1, axis=1)
    np.testing.assert_allclose(kl(normal(m1, s1), normal(m2, s2), tf.constant(m1)), expected, rtol=1e-12)


def test_kl_agrees_with_sampling_within_one_percent():
    trace = a_trace()
    z = trace.posterior.sample(100_000, seed=(2, 3))
    sampled = tf.reduce_mean(trace.posterior.log_prob(z) - trace.prior.log_prob(z), axis=0)
    np.testing.assert_allclose(trace.rate, sampled, rtol=0.01)


def test_kl_without_a_closed_form_is_the_log_ratio_at_the_sample():
    trace = a_trace()
    mixture = tfd.MixtureSameFamily(
        tfd.Categorical(logits=tf.zeros(2, tf.float64)), normal(np.array([[-1.0] * 3, [1.0] * 3]), np.ones((2, 3)))
    )
    expected = trace.posterior.log_prob(trace.z) - mixture.log_prob(trace.z)
    np.testing.assert_array_equal(kl(trace.posterior, mixture, trace.z), expected)


def test_a_trace_computes_a_shared_quantity_once():
    trace = a_trace()
    assert trace.rate is trace.rate
    assert trace.distortion is trace.distortion


class BatchVariance(Term):
    """A term with one value for the batch as a whole, punished by its distance from a target."""

    label = "variance"

    def estimate(self, trace):
        return tf.math.reduce_variance(trace.z)

    def penalty(self, mean, step):
        return tf.abs(mean - 3.0)

    @property
    def formula(self):
        return f"|{self.name} - 3|"


def test_a_term_may_have_one_value_per_batch_and_punish_a_function_of_it():
    term, trace = BatchVariance(weight=10), a_trace()
    term(trace=trace)
    np.testing.assert_allclose(term.losses, [10 * abs(np.var(trace.z) - 3)], rtol=1e-6)
    np.testing.assert_allclose(term.average.result(), np.var(trace.z), rtol=1e-6)
    assert str(term) == "10 * |variance - 3|"


def test_metrics_weigh_batches_by_their_size():
    term, traces = KL(), [a_trace(batch=6), a_trace(batch=2)]
    rates = np.concatenate([term(trace=trace) for trace in traces])
    np.testing.assert_allclose(term.average.result(), rates.mean(), rtol=1e-6)


def test_terms_read_like_formulas():
    assert str(NegativeLogLikelihood()) == "nll"
    assert str(KL(weight=0.5)) == "0.5 * kl"
    assert str(KL(weight=Linear(0.0, 1.0, steps=100), name="rate_of_z")) == "linear(0 -> 1 in 100) * rate_of_z"


def test_keras_metrics_are_found_in_the_model_that_owns_the_term():
    term = KL()
    assert [metric.name for metric in keras.Sequential([term]).metrics if metric.name != "loss"] == ["kl"]
