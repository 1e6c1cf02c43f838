"""Terms: one contract for all, and the estimates of the evidence lower bound against their closed forms."""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts import round_trip
from scipy import stats
from tensorflow_probability import distributions as tfd
from traces import RNG, a_trace, normal

from models import terms
from models.critics import Critic
from models.estimators import kl
from models.factors import LabelLikelihood
from models.kernels import RBF
from models.networks import dense
from models.schedules import Linear
from models.terms import KL, NegativeLogLikelihood, Term
from models.trace import Trace

# Keras reads its variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def critic(outputs: int) -> Critic:
    return Critic(dense.critic(outputs, [5]), keras.optimizers.Adam(1e-3))


TERMS: dict[str, Callable[..., Term]] = {
    "NegativeLogLikelihood": NegativeLogLikelihood,
    "KL": KL,
    "RateTarget": functools.partial(terms.RateTarget, 2.5),
    "MutualInformation": functools.partial(terms.MutualInformation, 50),
    "TotalCorrelation": functools.partial(terms.TotalCorrelation, 50),
    "DimensionWiseKL": functools.partial(terms.DimensionWiseKL, 50),
    "CorrelationBetweenGroups": functools.partial(terms.CorrelationBetweenGroups, 50, [[0, 2], [1]]),
    "CorrelationWithinGroups": functools.partial(terms.CorrelationWithinGroups, 50, [[0, 2], [1]]),
    "CriticTotalCorrelation": lambda **kwargs: terms.CriticTotalCorrelation(critic(1), **kwargs),
    "Leakage": lambda **kwargs: terms.Leakage(critic(2), 2, **kwargs),
    "MMD": functools.partial(terms.MMD, RBF((1.5, 3.0))),
    "MMDBetweenGroups": functools.partial(terms.MMDBetweenGroups, RBF((1.5,)), 2),
    "HSICOfSensitive": functools.partial(terms.HSICOfSensitive, RBF((1.5,))),
    "HSICBetweenGroups": functools.partial(terms.HSICBetweenGroups, RBF((1.0,)), [[0, 2], [1]]),
    "OffDiagonalCovariance": functools.partial(terms.OffDiagonalCovariance, True),
    "DiagonalCovariance": functools.partial(terms.DiagonalCovariance, True),
    "GroupInvariance": functools.partial(terms.GroupInvariance, 2),
    "LabelNegativeLogLikelihood": lambda **kwargs: terms.LabelNegativeLogLikelihood(
        LabelLikelihood(dense.decoder((3,), ())), **kwargs
    ),
}


def built(name: str, **kwargs) -> Term:
    """A term with its variables, for codes of three dimensions."""
    term = TERMS[name](**kwargs)
    term.build((None, 3))
    return term


def reordered(trace: Trace, order: np.ndarray) -> Trace:
    """The same examples in another order."""
    names = [field.name for field in dataclasses.fields(trace.context)]
    roles = {name: getattr(trace.context, name) for name in names if name not in ("step", "seed", "training")}
    moved = {name: None if values is None else tf.gather(values, order) for name, values in roles.items()}
    posterior, likelihood = (
        normal(tf.gather(p.distribution.loc, order), tf.gather(p.distribution.scale, order))
        for p in (trace.posterior, trace.likelihood)
    )
    return dataclasses.replace(
        trace,
        x=tf.gather(trace.x, order),
        posterior=posterior,
        z=tf.gather(trace.z, order),
        likelihood=likelihood,
        context=dataclasses.replace(trace.context, **moved),
    )


def test_every_term_is_in_the_table():
    assert set(terms.__all__) - {"Term"} == set(TERMS)
    assert [type(TERMS[name]()).__name__ for name in TERMS] == list(TERMS)


@pytest.mark.parametrize("name", TERMS)
def test_term_is_the_same_after_saving(name):
    twin = round_trip(TERMS[name](weight=Linear(0.0, 2.0, steps=10), name="other"))
    assert twin.name == "other"
    assert twin.weight == Linear(0.0, 2.0, steps=10)


@pytest.mark.parametrize("name", TERMS)
def test_term_adds_its_weighted_penalty_to_the_loss_and_reports_the_plain_mean(name):
    term, trace = built(name, weight=Linear(0.0, 4.0, steps=10)), a_trace(step=5)
    estimate = term(trace=trace)
    assert estimate.shape in [(6,), ()]
    mean = np.mean(estimate)
    penalty = abs(mean - 2.5) if name == "RateTarget" else mean
    np.testing.assert_allclose(term.losses, [2.0 * penalty], rtol=1e-6)
    np.testing.assert_allclose(term.average.result(), mean, rtol=1e-6)


@pytest.mark.parametrize("name", TERMS)
def test_a_term_knows_no_order_of_examples(name):
    term, trace = built(name), a_trace()
    # catches: weights of the aggregate posterior on columns; what is read from a neighbor in the batch
    there = tf.reduce_mean(term.estimate(trace))
    moved = tf.reduce_mean(term.estimate(reordered(trace, np.array([3, 0, 5, 1, 4, 2]))))
    np.testing.assert_allclose(moved, there, rtol=1e-5)


def test_compiled_terms_compute_the_same_for_batches_of_any_size():
    table = {name: built(name) for name in TERMS}
    trace = a_trace(dtype="float32")
    roles = {key: getattr(trace.context, key) for key in ("label", "sensitive", "group", "varying")}
    given = {"mean": trace.posterior.mean(), "scale": trace.posterior.stddev(), "z": trace.z, "x": trace.x} | roles

    def estimates(given):
        context = dataclasses.replace(trace.context, target=given["x"], **{key: given[key] for key in roles})
        posterior = tfd.Independent(tfd.Normal(given["mean"], given["scale"]), 1)
        likelihood = tfd.Independent(tfd.Normal(tf.zeros_like(given["x"]), 1.0), 1)
        record = dataclasses.replace(
            trace, x=given["x"], posterior=posterior, z=given["z"], likelihood=likelihood, context=context
        )
        return {name: term.estimate(record) for name, term in table.items()}

    signature = {key: tf.TensorSpec([None, *values.shape[1:]], values.dtype) for key, values in given.items()}
    graph, compiled = (tf.function(estimates, [signature], jit_compile=jit)(given) for jit in (False, True))
    for name, eager in estimates(given).items():
        np.testing.assert_allclose(graph[name], eager, rtol=1e-5, atol=1e-6, err_msg=name)
        if name != "MMD":  # XLA draws other codes from the prior by the same seed
            np.testing.assert_allclose(compiled[name], eager, rtol=1e-5, atol=1e-6, err_msg=name)


def test_negative_log_likelihood_is_the_density_of_what_was_observed():
    trace = a_trace()
    likelihood = trace.likelihood.distribution
    expected = -stats.norm.logpdf(trace.x, likelihood.loc, likelihood.scale).sum(axis=1)
    np.testing.assert_allclose(NegativeLogLikelihood()(trace=trace), expected, rtol=1e-12)


def test_negative_log_likelihood_describes_the_target_of_the_context():
    trace = a_trace()
    shifted = tf.constant(trace.x + 1.0)
    moved = dataclasses.replace(trace, context=dataclasses.replace(trace.context, target=shifted))
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
    z = trace.posterior.sample(1_000_000, seed=(2, 3))
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

    def penalty(self, mean, clock):
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
