"""The signature that tells how unlike the training examples an input is, against NumPy and SciPy."""

import artifacts
import numpy as np
import pytest
import samples
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models.features.dataset import Examples
from models.outlying import Moments, Population, Source, fit
from models.signatures import Signatures
from serving.servable import Servable

pytestmark = samples.STACK
exported = artifacts.exported

HUNDRED: np.ndarray = np.arange(101)


def population_of(moments: Moments, quantiles: np.ndarray = HUNDRED) -> Population:
    source = Source("train", moments.count)
    return Population(
        quantiles=np.asarray(quantiles, np.float64),
        mean=moments.mean,
        covariance=moments.regularized(),
        rates=source,
        codes=source,
    )


def gaussian_codes(*, count, stddev):
    """Posteriors around correlated Gaussian means of different scales, far from the origin; taken in unevenly."""
    draws = np.random.default_rng(3)
    mix = (np.eye(6) + 0.2 * draws.normal(size=(6, 6))) * [1, 1, 1, 1, 30, 0.1]
    codes = (draws.normal(size=(count, 6)) @ mix + 500).astype(np.float32)
    spread = np.full_like(codes, stddev)
    moments = Moments(6)
    for rows in np.split(np.arange(count), [1, 4, count // 2]):
        moments.add(codes[rows], spread[rows])
    return codes, moments


# Catches: a covariance of means alone; moments in single precision; training codes for the held-out rates; a
# percentile of 1 for 100; twice or half the degrees of freedom.
@pytest.mark.parametrize("kind", ["digits", "people"])
def test_a_server_answers_what_numpy_and_scipy_make_of_the_codes(exported, kind):
    one = exported[kind]
    train = list(one.sample.examples("train").records().as_numpy_iterator())
    known, unseen = (one.signatures.serving_default(tf.constant(split)) for split in (train, one.records))
    code, stddev = (known[name].numpy().astype(np.float64) for name in ("embedding", "stddev"))
    covariance = np.cov(code.T, bias=True) + np.diag((stddev**2).mean(axis=0))
    shrunk = covariance * len(code) / (len(code) + 3)
    np.fill_diagonal(shrunk, np.diag(covariance))
    deviation = unseen["embedding"].numpy() - code.mean(axis=0)
    distance = np.einsum("ij,ij->i", deviation, np.linalg.solve(shrunk, deviation.T).T)
    rates = unseen["rate"].numpy().astype(np.float64)

    served, inputs = Servable(one.serving), one.requests()["embed"]
    embed, signature = served.signatures["embed"], served.signatures["outlying"]
    assert (set(signature.inputs), signature.batch_major) == (set(embed.inputs), True)
    found = served.run(signature, inputs)
    assert {name: value.shape for name, value in found.items()} == dict.fromkeys(
        ("rate", "rate_percentile", "mahalanobis2", "outlying"), (len(rates),)
    )
    np.testing.assert_array_equal(found["rate"], served.run(embed, inputs)["rate"])
    np.testing.assert_allclose(found["mahalanobis2"], distance, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found["outlying"], stats.chi2.cdf(distance, 3), rtol=1e-3, atol=1e-5)
    expected = np.interp(rates, np.percentile(rates, HUNDRED), HUNDRED)
    np.testing.assert_allclose(found["rate_percentile"], expected, atol=0.05)
    ranks = stats.percentileofscore(rates, rates, "mean")
    np.testing.assert_allclose(found["rate_percentile"], ranks, atol=2)


@pytest.mark.parametrize("kind", ["blobs", "people"])
def test_what_is_far_from_the_training_examples_is_called_so(exported, kind):
    one = exported[kind]
    far = {key: value[:3].copy() for key, value in one.requests()["embed"].items()}
    numbers = far["vector"] if kind == "blobs" else far["age"]
    numbers *= np.float32([1e3, 1e8, 1e18]).reshape(3, *[1] * (numbers.ndim - 1))
    found = Servable(one.serving)
    found = found.run(found.signatures["outlying"], far)
    np.testing.assert_allclose(found["outlying"], 1, atol=1e-3)
    np.testing.assert_array_equal(found["rate_percentile"], 100)


def test_training_examples_are_about_uniform_where_codes_are_gaussian_and_posteriors_narrow():
    codes, moments = gaussian_codes(count=2000, stddev=1e-3)
    population = population_of(moments)
    below = population.below(population.mahalanobis2(tf.constant(codes))).numpy()
    np.testing.assert_allclose(np.quantile(below, [0.1, 0.5, 0.9, 0.99]), [0.1, 0.5, 0.9, 0.99], atol=0.04)


def test_batches_add_up_to_the_moments_of_all_codes():
    codes, moments = gaussian_codes(count=300, stddev=0.5)
    exact = codes.astype(np.float64)
    np.testing.assert_allclose(moments.mean, exact.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(exact.T, bias=True) + 0.25 * np.eye(6), atol=1e-9)


@pytest.mark.parametrize(
    ("codes", "variances"),
    [
        ([[0, 5, 1, 2], [2, 5, 3, 4], [4, 5, 5, 6]], [8 / 3, 8 / 3 * 1e-6, 8 / 3, 8 / 3]),  # constant, and copies
        ([[1, 2, 3, 4]], [1, 1, 1, 1]),
    ],
)
def test_codes_without_variance_of_their_own_have_finite_distances(codes, variances):
    moments = Moments(4)
    moments.add(np.array(codes, np.float32), np.zeros((len(codes), 4), np.float32))
    np.testing.assert_allclose(np.diag(moments.regularized()), variances)
    distance = population_of(moments).mahalanobis2(tf.constant(codes, tf.float32)).numpy()
    assert np.all(np.isfinite(distance))
    assert distance.max() < 3
    # A dimension that never moved makes any movement far.
    moved = tf.constant([[*codes[0][:1], codes[0][1] + 9, *codes[0][2:]]], tf.float32)
    assert population_of(moments).mahalanobis2(moved) > 80


@given(
    st.lists(st.integers(-50, 50).map(lambda n: n / 4), min_size=2, max_size=40),
    st.lists(st.integers(-60, 60).map(lambda n: n / 4), min_size=2, max_size=40),
)
@settings(max_examples=50, deadline=None)
def test_percentiles_are_those_of_the_quantiles_and_ties_meet_in_the_middle(known, asked):
    quantiles = np.percentile(known, HUNDRED).astype(np.float32)
    found = population_of(Moments(2), quantiles).percentile(tf.constant(asked)).numpy()
    right = np.interp(asked, quantiles, HUNDRED)
    left = 100 - np.interp(-np.asarray(asked), -quantiles[::-1], HUNDRED)  # the other end of a tie
    np.testing.assert_allclose(found, (left + right) / 2, atol=1e-3)
    assert np.all((found >= 0) & (found <= 100))


def test_of_many_examples_the_same_few_are_looked_at(exported, tmp_path):
    one = exported["digits"]
    train, held_out = one.sample.examples("train"), one.sample.examples("eval")
    some = fit(one.signatures, train, held_out, most=100)
    assert some.rates.split == "eval"
    assert (some.codes.examples, some.rates.examples) == pytest.approx((100, 100), abs=30)
    records = list(train.records().as_numpy_iterator())
    samples.write_records(tmp_path / "turned.gz", records[::-1])
    again = fit(one.signatures, Examples([str(tmp_path / "*.gz")], train.transform, train.spec), held_out, most=100)
    assert again.codes == some.codes
    np.testing.assert_allclose(again.mean, some.mean, rtol=1e-6)
    whole = np.sqrt(np.diag(one.population.covariance))
    np.testing.assert_allclose(some.mean, one.population.mean, atol=0.4 * whole.max())


def test_what_is_not_finite_is_left_out_and_training_rates_stand_in_for_held_out_ones(exported, tmp_path):
    one = exported["blobs"]
    train = one.sample.examples("train")
    records = [*train.records().as_numpy_iterator(), samples.example({"vector": [1e20] * 5, "id": b"far"})]
    samples.write_records(tmp_path / "train.gz", records)
    more, none = (Examples(files, train.transform, train.spec) for files in ([str(tmp_path / "*.gz")], []))
    found = fit(one.signatures, more, none)
    assert found.record() == dict.fromkeys(("rates", "codes"), {"split": "train", "examples": len(records) - 1})
    np.testing.assert_allclose(found.covariance, one.population.covariance)
    broken = one.task.build()
    broken.encoder.trainable_variables[-1].assign(np.nan * broken.encoder.trainable_variables[-1])
    with pytest.raises(ValueError, match="^`train` must hold an example whose code and rate are finite"):
        fit(Signatures(broken, train.transform, train.spec), train, none)
