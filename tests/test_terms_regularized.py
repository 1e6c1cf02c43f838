"""Terms on the rate and on the aggregate posterior, against closed forms and independent NumPy."""

import dataclasses
import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats
from traces import a_trace, trace_of

from models import terms
from models.critics import Critic
from models.kernels import RBF
from models.networks import dense
from models.schedules import Linear
from models.terms import RateTarget
from models.trace import Trace

GROUPS = [[0, 3], [1, 2]]
PARTS = {
    "mutual_information": terms.MutualInformation,
    "total_correlation": terms.TotalCorrelation,
    "dimension_wise_kl": terms.DimensionWiseKL,
}
LEVELS = {"between": terms.CorrelationBetweenGroups, "within": terms.CorrelationWithinGroups}


def parts_of(trace: Trace, examples: int) -> dict[str, np.ndarray]:
    """Every part of the rate per example, by our terms."""
    parts = {name: term(examples)(trace=trace).numpy() for name, term in PARTS.items()}
    return parts | {name: term(examples, GROUPS)(trace=trace).numpy() for name, term in LEVELS.items()}


def reference(trace: Trace, examples: int) -> dict[str, np.ndarray]:
    """The same by SciPy: a code's own posterior counts 1/N, the others share the rest evenly."""
    mean, scale, z = (np.asarray(v) for v in (trace.posterior.mean(), trace.posterior.stddev(), trace.z))
    batch = len(z)
    weights = np.full((batch, batch), (examples - 1) / (examples * (batch - 1)))
    np.fill_diagonal(weights, 1 / examples)
    single = stats.norm.logpdf(z[:, None, :], mean[None], scale[None])
    joint = special.logsumexp(single.sum(axis=2), b=weights, axis=1)
    grouped = sum(special.logsumexp(single[..., group].sum(axis=2), b=weights, axis=1) for group in GROUPS)
    product = special.logsumexp(single, b=weights[..., None], axis=1).sum(axis=1)
    return {
        "mutual_information": stats.norm.logpdf(z, mean, scale).sum(axis=1) - joint,
        "total_correlation": joint - product,
        "dimension_wise_kl": product - stats.norm.logpdf(z).sum(axis=1),
        "between": joint - grouped,
        "within": grouped - product,
    }


@pytest.mark.parametrize("examples", [20, 700])
def test_the_parts_of_the_rate_are_those_of_the_mixture(examples):
    trace = a_trace(batch=20, latent=4)
    found, expected = parts_of(trace, examples), reference(trace, examples)
    # catches: parts exchanged or of the wrong sign; the batch's size for the data's; weights on columns
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, atol=1e-9, err_msg=name)


def test_the_parts_of_the_rate_add_up_to_it():
    trace = a_trace(batch=20, latent=4)
    found = parts_of(trace, 700)
    sampled = trace.posterior.log_prob(trace.z) - trace.prior.log_prob(trace.z)
    np.testing.assert_allclose(sum(found[name] for name in PARTS), sampled, rtol=1e-10)
    np.testing.assert_allclose(found["between"] + found["within"], found["total_correlation"], rtol=1e-9)


def test_a_gaussian_aggregate_posterior_has_the_correlations_of_its_determinants():
    correlation = np.array([[1, 0.6, 0.2, 0], [0.6, 1, 0.1, 0.3], [0.2, 0.1, 1, -0.4], [0, 0.3, -0.4, 1]])
    variance, rng = 0.3, np.random.default_rng(5)
    mean = rng.multivariate_normal(np.zeros(4), correlation - variance * np.eye(4), 1200)
    trace = trace_of(mean, variance**0.5)

    def correlation_of(group):
        return -0.5 * np.linalg.slogdet(correlation[np.ix_(group, group)])[1]

    groups = [[0, 1], [2, 3]]
    within = sum(correlation_of(group) for group in groups)
    total = correlation_of(range(4))
    np.testing.assert_allclose([total, within, total - within], [0.421985, 0.310321, 0.111665], atol=1e-6)
    # catches: between and within exchanged; a group's marginals for its joint
    for term, expected in [
        (terms.TotalCorrelation(1200), total),
        (terms.CorrelationWithinGroups(1200, groups), within),
        (terms.CorrelationBetweenGroups(1200, groups), total - within),
    ]:
        assert float(tf.reduce_mean(term(trace=trace))) == pytest.approx(expected, abs=0.05), term.name


def test_identical_posteriors_carry_no_information_and_no_correlation():
    found = parts_of(trace_of(np.zeros((12, 4)), 0.7), examples=500)
    # catches: rows of weights that do not add up to one
    for name in ("mutual_information", "total_correlation", "between", "within"):
        np.testing.assert_allclose(found[name], 0.0, atol=1e-9, err_msg=name)


def test_a_rate_target_is_missed_by_the_mean_rate_not_by_every_example():
    trace = a_trace(step=5)
    mean = float(tf.reduce_mean(trace.rate))
    for target in (Linear(0.0, 2 * mean - 2.0, steps=10), mean + 1.0):  # at step 5 both are a nat away
        term = RateTarget(target, weight=30.0)
        np.testing.assert_allclose(term(trace=trace), trace.rate)
        # catches: no absolute value; the absolute value of each example's miss; the schedule not read at the step
        np.testing.assert_allclose(term.losses, [30.0], rtol=1e-6)
        np.testing.assert_allclose(term.average.result(), mean, rtol=1e-6)


@pytest.mark.parametrize(("target", "sign"), [(1e3, -1.0), (0.0, 1.0)])
def test_a_rate_target_pulls_the_rate_towards_it(target, sign):
    trace = a_trace()
    loc = tf.Variable(trace.posterior.mean())
    with tf.GradientTape() as tape:
        term = RateTarget(target, weight=2.0)
        term(trace=trace_of_variable(loc))
    # catches: target and rate exchanged in a reward
    np.testing.assert_allclose(tape.gradient(term.losses[0], loc), sign * 2.0 * loc / 6.0, rtol=1e-6)


def trace_of_variable(loc: tf.Variable) -> Trace:
    """A trace of N(loc, I): the gradient of its rate is loc."""
    base = trace_of(loc.numpy(), 1.0)
    posterior = type(base.posterior)(type(base.posterior.distribution)(loc, tf.ones_like(loc)), 1)
    return dataclasses.replace(base, posterior=posterior)


def mmd_closed_form(mean, variance, lengthscale: float) -> float:
    """MMD^2 of N(mean, diag(variance)) and N(0, I) under a Gaussian kernel."""

    def expected(difference, spread):
        scale = lengthscale**2 + spread
        return np.prod(lengthscale / np.sqrt(scale)) * np.exp(-0.5 * np.sum(difference**2 / scale))

    zero = np.zeros_like(mean)
    return expected(zero, 2 * variance) + expected(zero, 2 * np.ones(3)) - 2 * expected(mean, variance + 1)


def test_mmd_to_the_prior_is_the_closed_form_on_average():
    mean, variance = np.array([0.5, 0.0, -0.3]), np.array([0.5, 1.5, 1.0])
    exact = mmd_closed_form(mean, variance, 1.5)
    assert exact == pytest.approx(0.03908, abs=5e-6)
    term, rng = terms.MMD(RBF((1.5,))), np.random.default_rng(7)

    blank = trace_of(np.zeros((200, 3)), 1.0)

    @tf.function
    def estimate(z: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        context = dataclasses.replace(blank.context, seed=seed)
        return term.estimate(dataclasses.replace(blank, z=z, context=context))

    draws = mean + np.sqrt(variance) * rng.normal(size=(200, 200, 3))
    estimates = [estimate(tf.constant(z), tf.constant([3, index])) for index, z in enumerate(draws)]
    # catches: the root, a scale, a part missing; the biased estimate, 0.006 more
    assert np.mean(estimates) == pytest.approx(exact, abs=0.002)


def test_hsic_between_correlated_gaussians_is_the_closed_form():
    correlation = np.array([[1.0, 0.8], [0.8, 1.0]])
    term, rng = terms.HSICBetweenGroups(RBF((1.0,)), [[0], [1]]), np.random.default_rng(8)
    draws = rng.multivariate_normal(np.zeros(2), correlation, (60, 400))
    estimates = [float(term.estimate(trace_of(z, 1.0, z))) for z in draws]
    # catches: the factor 2 of the last part, a sign, the root
    assert np.mean(estimates) == pytest.approx(0.035674, rel=0.05)


def test_hsic_of_three_groups_is_its_definition_over_all_examples():
    z = np.random.default_rng(9).normal(size=(5, 4))
    groups = [[0, 3], [1], [2]]
    grams = [np.exp(-0.5 * np.sum((z[:, None, g] - z[None, :, g]) ** 2, axis=2)) for g in groups]
    together = np.mean([math.prod(k[i, j] for k in grams) for i in range(5) for j in range(5)])
    apart = math.prod(k.mean() for k in grams)
    tuples = itertools.product(range(5), repeat=4)
    mixed = np.mean([grams[0][i, a] * grams[1][i, b] * grams[2][i, c] for i, a, b, c in tuples])
    term = terms.HSICBetweenGroups(RBF((1.0,)), groups)
    # catches: groups of other units; pairs of groups instead of all at once
    np.testing.assert_allclose(term.estimate(trace_of(z, 1.0, z)), together + apart - 2 * mixed, rtol=1e-9)


COVARIANCE = np.array([[1.5, 0.4, 0.0], [0.4, 0.6, -0.2], [0.0, -0.2, 0.3]])
OFF_DIAGONAL, DIAGONAL = 2 * (0.16 + 0.04), 0.25 + 0.16 + 0.49


def means_of_covariance(shift: float) -> np.ndarray:
    """Six vectors with exactly that covariance (of the batch, divided by its size) around a common mean."""
    frame = np.linalg.qr(np.column_stack([np.ones(6), np.random.default_rng(1).normal(size=(6, 3))]))[0][:, 1:]
    return np.sqrt(6) * frame @ np.linalg.cholesky(COVARIANCE).T + shift


@pytest.mark.parametrize("shift", [0.0, 7.0])
def test_covariance_terms_of_the_means_are_the_sums_of_squares(shift):
    trace = trace_of(means_of_covariance(shift), 0.5)
    # catches: centering over the dimensions; batch - 1; each pair once; the posterior's variance counted
    np.testing.assert_allclose(terms.OffDiagonalCovariance(False)(trace=trace), OFF_DIAGONAL, rtol=1e-9)
    np.testing.assert_allclose(terms.DiagonalCovariance(False)(trace=trace), DIAGONAL, rtol=1e-9)


def test_covariance_terms_of_the_aggregate_posterior_count_its_variance():
    scale = np.full((6, 3), 0.5)
    scale[:3] = 0.8  # mean variance 0.445
    trace = trace_of(means_of_covariance(7.0), scale)
    # catches: the variance forgotten, squared twice or averaged as a scale
    np.testing.assert_allclose(terms.OffDiagonalCovariance(True)(trace=trace), OFF_DIAGONAL, rtol=1e-9)
    np.testing.assert_allclose(terms.DiagonalCovariance(True)(trace=trace), 0.945**2 + 0.045**2 + 0.255**2, rtol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("updates", [1, 2])
def test_the_pass_that_both_players_share_charges_the_model_by_the_critic_as_it_was(scale, updates):
    keras.utils.set_random_seed(0)
    network = dense.critic(1, [16, 16])
    term = terms.CriticTotalCorrelation(Critic(network, keras.optimizers.Adam(1e-2), updates=updates))
    term.build((None, 3))
    for weight in network.weights:
        weight.assign(scale * weight.value)  # at 30 the critic is certain: its own loss is flat at most codes
    blank = trace_of(np.zeros((40, 3), "float32"), 1.0)
    trace = dataclasses.replace(blank, z=tf.random.stateless_normal((40, 3), [1, 2]))
    upstream = tf.random.stateless_normal((40,), [3, 4])

    def charged(training: bool) -> tuple[np.ndarray, np.ndarray]:
        context = dataclasses.replace(trace.context, seed=tf.constant([5, 6]), training=training)
        with tf.GradientTape() as tape:
            tape.watch(trace.z)
            value = term.estimate(dataclasses.replace(trace, context=context))
        return value.numpy(), tape.gradient(value, trace.z, output_gradients=upstream).numpy()

    expected, before = charged(training=False), network.get_weights()
    found = charged(training=True)
    # catches: the critic after its steps; the share of the wrong class; a gradient lost where the critic is certain
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-4, atol=1e-6 * np.abs(expected[1]).max())
    assert scale == 1.0 or np.abs(found[0]).max() > 100
    assert not np.array_equal(network.get_weights()[0], before[0])


def test_a_critic_learns_the_total_correlation_through_its_term():
    keras.utils.set_random_seed(0)
    critic = Critic(dense.critic(1, [64, 64]), keras.optimizers.Adam(5e-3, beta_1=0.5), updates=2)
    term = terms.CriticTotalCorrelation(critic)
    term.build((None, 2))
    factor = tf.constant(np.linalg.cholesky([[1.0, 0.9], [0.9, 1.0]]).T, tf.float32)
    blank = trace_of(np.zeros((300, 2), "float32"), 1.0)

    @tf.function
    def estimates() -> tf.Tensor:
        found = tf.TensorArray(tf.float32, 150)
        for step in tf.range(150):
            seed = tf.stack([step, 1])
            z = tf.random.stateless_normal((300, 2), seed) @ factor
            context = dataclasses.replace(blank.context, seed=seed, training=True)
            found = found.write(step, tf.reduce_mean(term.estimate(dataclasses.replace(blank, z=z, context=context))))
        return found.stack()

    found = estimates().numpy()
    # catches: the classes exchanged; one permutation for all dimensions; a critic that does not learn
    assert abs(found[0]) < 0.2
    assert 0.6 < found[-40:].mean() < 0.95  # -log(1 - 0.81) / 2 = 0.830
