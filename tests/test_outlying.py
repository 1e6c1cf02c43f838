"""The signature that tells how unlike the training examples an input is, against NumPy and SciPy."""

import artifacts
import numpy as np
import pytest
import samples
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from components.serving_check.check import BESIDES, LIKENESS, _fault
from models import recipes
from models.features.dataset import Examples
from models.outlying import Codes, Moments, Outlying, Population, Source, fit
from models.signatures import Signatures
from models.typical import Quantiles, Typical
from serving.servable import Servable

pytestmark = samples.STACK
exported = artifacts.exported

STATISTICS = ("rate", "mahalanobis2", "distortion")


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


# Catches: a covariance of means alone; moments in single precision; training examples for the held-out ones; a
# percentile of 1 for 100; a table of one statistic for another; scales of the wrong side, or of both sides alike.
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
    expected = {
        "rate": unseen["rate"].numpy().astype(np.float64),
        "mahalanobis2": np.einsum("ij,ij->i", deviation, np.linalg.solve(shrunk, deviation.T).T),
        "distortion": one.signatures.score(tf.constant(one.records))["distortion"].numpy().astype(np.float64),
    }

    served, inputs = Servable(one.serving), one.requests()["embed"]
    embed, signature = served.signatures["embed"], served.signatures["outlying"]
    assert (set(signature.inputs), signature.batch_major) == (set(embed.inputs), True)
    found = served.run(signature, inputs)
    names = {*STATISTICS, *(f"{name}_percentile" for name in STATISTICS), "outlying"}
    assert {name: value.shape for name, value in found.items()} == dict.fromkeys(names, (len(one.records),))
    np.testing.assert_array_equal(found["rate"], served.run(embed, inputs)["rate"])
    total = np.zeros(len(one.records))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-3, atol=1e-5, err_msg=name)
        ranks = stats.rankdata(values) - 1
        np.testing.assert_allclose(found[f"{name}_percentile"], 100 * ranks / ranks.max(), atol=0.5, err_msg=name)
        low, median, high = np.percentile(values, [1, 50, 99])
        tails = (values - median) / np.where(values < median, median - low, high - median) * stats.norm.ppf(0.99)
        inside = stats.norm.ppf(np.interp(values, np.sort(values), np.linspace(0, 1, len(values))))
        total += np.where((values < low) | (values > high), tails, inside) ** 2
    np.testing.assert_allclose(found["outlying"], (stats.rankdata(total) - 1) / (len(total) - 1), atol=0.03)
    if kind == "digits":
        files = served.run(served.signatures["outlying_bytes"], one.requests()["outlying_bytes"])
        assert files.keys() == found.keys()
        for name, value in found.items():
            np.testing.assert_allclose(files[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def halves(exported, tmp_path_factory) -> tuple[Population, dict[str, np.ndarray]]:
    """What every second digit is like, and what `outlying` says of the others."""
    one, folder = exported["digits"], tmp_path_factory.mktemp("halves")
    records = [samples.example(row) for row in one.sample.rows]
    samples.write_records(folder / "even.gz", records[::2])
    half = Examples([str(folder / "even.gz")], one.sample.output, one.task.spec)
    population = fit(one.signatures, one.sample.examples("train"), half)
    pixels = np.stack([np.frombuffer(row["image"], np.uint8).reshape(8, 8, 1) for row in one.sample.rows[1::2]])
    found = Outlying(one.signatures, population).outlying({"image": tf.constant(pixels)})
    return population, {name: value.numpy() for name, value in found.items()}


# Catches: a probability that supposes a Gaussian; one-sided numbers; a table of other examples than those compared.
def test_percentiles_of_other_examples_of_the_same_kind_are_uniform(halves):
    population, found = halves
    assert (population.compared, len(found["outlying"])) == (Source("eval", 350), 350)
    # Two samples of 350 differ by less than this in 99 of 100 draws.
    limit = stats.kstwo.ppf(0.99, 350 // 2)
    for name in (f"{name}_percentile" for name in STATISTICS):
        assert stats.kstest(found[name] / 100, "uniform").statistic < limit, name
    assert stats.kstest(found["outlying"], "uniform").statistic < limit
    # Posteriors of an encoder that was not trained are wide: by chi-squared, all look ordinary.
    assert stats.kstest(stats.chi2.cdf(found["mahalanobis2"], 3), "uniform").statistic > 4 * limit


@pytest.mark.parametrize("kind", ["blobs", "people"])
def test_what_is_far_from_the_training_examples_is_called_so(exported, kind):
    one = exported[kind]
    far = {key: value[:3].copy() for key, value in one.requests()["embed"].items()}
    numbers = far["vector"] if kind == "blobs" else far["age"]
    numbers *= np.array([1e3, 1e8, 1e18], np.float32).reshape(3, *[1] * (numbers.ndim - 1))
    found = Servable(one.serving)
    found = found.run(found.signatures["outlying"], far)
    for name, whole in (("outlying", 1), *((f"{name}_percentile", 100) for name in STATISTICS)):
        np.testing.assert_array_equal(found[name], whole, err_msg=name)


def normal_population() -> Typical:
    draws = np.random.default_rng(0).normal(size=(2, 4000))
    return Typical.of({"rate": draws[0] + 7, "distortion": np.exp(draws[1])})


# Catches: likelihoods above the usual ones taken for ordinary; a sum that lets signs cancel.
def test_too_little_is_as_suspicious_as_too_much():
    typical = normal_population()
    values = {"rate": [7, 1, 13, 7, 7, 1], "distortion": [1.0, 1, 1, -3, 100, 100]}
    found = typical.outlying({name: tf.constant(value, tf.float32) for name, value in values.items()}).numpy()
    assert found[0] < 0.01
    np.testing.assert_array_equal(found[1:], 1)


def test_a_statistic_that_never_moves_leaves_the_others_their_say():
    draws = np.random.default_rng(1).normal(size=1000).astype(np.float32)
    typical = Typical.of({"rate": np.zeros(1000), "distortion": draws, "mahalanobis2": np.full(1000, 3e8)})
    constant = {"rate": tf.constant([0.0, 0, 1, -np.inf, np.nan]), "mahalanobis2": tf.fill([5], 3e8)}
    values = constant | {"distortion": tf.constant([np.median(draws), 9, 0, 0, 0], tf.float32)}
    np.testing.assert_allclose(typical.outlying(values), [0, 1, 1, 1, np.nan], atol=0.01)
    middle = typical.percentiles(constant)
    np.testing.assert_array_equal(middle["rate"], [50, 50, 100, 0, np.nan])
    np.testing.assert_array_equal(middle["mahalanobis2"], np.full(5, 50))


def test_the_serving_check_takes_the_answers_of_earlier_encoders():
    old: dict[str, np.ndarray] = {name: np.ones(2) for name in LIKENESS}
    besides = BESIDES["outlying"]
    for answer in (old, old | {name: np.ones(2) for name in besides}):
        assert _fault(answer, {"rate": np.ones(2)}, LIKENESS, besides) is None
    less = {name: old[name] for name in LIKENESS if name != "mahalanobis2"}
    for answer in (less, old | {"more": np.ones(2)}):
        assert str(_fault(answer, {}, LIKENESS, besides)).startswith("it answers")


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
    known = Codes(moments.mean, moments.regularized())
    distance = known.mahalanobis2(tf.constant(codes, tf.float32)).numpy()
    assert np.all(np.isfinite(distance))
    assert distance.max() < 3
    # A dimension that never moved makes any movement far.
    moved = tf.constant([[*codes[0][:1], codes[0][1] + 9, *codes[0][2:]]], tf.float32)
    assert known.mahalanobis2(moved) > 80


@given(
    st.lists(st.integers(-50, 50).map(lambda n: n / 4), min_size=2, max_size=40),
    st.lists(st.integers(-60, 60).map(lambda n: n / 4), min_size=2, max_size=40),
)
@settings(max_examples=50, deadline=None)
def test_percentiles_are_those_of_the_quantiles_and_ties_meet_in_the_middle(known, asked):
    found = Quantiles.of(np.array(known, np.float32)).percentile(tf.constant(asked)).numpy()
    places = np.linspace(0, 100, 1001)
    quantiles = np.percentile(known, places).astype(np.float32)
    right = np.interp(asked, quantiles, places)
    left = 100 - np.interp(-np.asarray(asked), -quantiles[::-1], places)  # the other end of a tie
    np.testing.assert_allclose(found, (left + right) / 2, atol=2e-3)
    assert np.all((found >= 0) & (found <= 100))


# The decoder of `vfae` is told an attribute and that of `vib` explains a label: a request need not hold either.
@pytest.mark.parametrize(
    ("recipe", "explains"), [("vib", False), ("vfae", False), ("dc_ign", True), ("info_vae", True)]
)
def test_a_distortion_takes_a_decoder_of_the_code_alone(exported, recipe, explains):
    sample = samples.people(exported["people"].sample.root.parent) if recipe == "vfae" else exported["blobs"].sample
    spec = sample.spec
    if recipe == "vib":
        sample, spec = exported["digits"].sample, exported["digits"].sample.spec
    model = recipes.build(recipe, spec, latent=3, seed=1)
    signatures = Signatures(model, sample.output, spec)
    x = signatures.inputs(tf.constant([samples.example(row) for row in sample.rows[:5]]))
    found = signatures.surprise(x)
    assert ("distortion" in found) == explains
    if explains:
        score = signatures.score(tf.constant([samples.example(row) for row in sample.rows[:5]]))
        np.testing.assert_allclose(found["distortion"], score["distortion"], rtol=1e-5)


def test_of_many_examples_the_same_few_are_looked_at(exported, tmp_path):
    one = exported["digits"]
    train, held_out = one.sample.examples("train"), one.sample.examples("eval")
    some = fit(one.signatures, train, held_out, most=100)
    assert some.compared.split == "eval"
    assert (some.fitted.examples, some.compared.examples) == pytest.approx((100, 100), abs=30)
    records = list(train.records().as_numpy_iterator())
    samples.write_records(tmp_path / "turned.gz", records[::-1])
    again = fit(one.signatures, Examples([str(tmp_path / "*.gz")], train.transform, train.spec), held_out, most=100)
    assert again.fitted == some.fitted
    np.testing.assert_allclose(again.codes.mean, some.codes.mean, rtol=1e-6)
    whole = np.sqrt(np.diag(one.population.codes.covariance))
    np.testing.assert_allclose(some.codes.mean, one.population.codes.mean, atol=0.4 * whole.max())


def test_what_is_not_finite_is_left_out_and_training_examples_stand_in_for_held_out_ones(exported, tmp_path):
    one = exported["blobs"]
    train = one.sample.examples("train")
    records = [*train.records().as_numpy_iterator(), samples.example({"vector": [1e20] * 5, "id": b"far"})]
    samples.write_records(tmp_path / "train.gz", records)
    more, none = (Examples(files, train.transform, train.spec) for files in ([str(tmp_path / "*.gz")], []))
    found = fit(one.signatures, more, none)
    assert found.record() == dict.fromkeys(("rates", "codes"), {"split": "train", "examples": len(records) - 1})
    np.testing.assert_allclose(found.codes.covariance, one.population.codes.covariance)
    broken = one.task.build()
    broken.encoder.trainable_variables[-1].assign(np.nan * broken.encoder.trainable_variables[-1])
    with pytest.raises(ValueError, match="^`train` must hold an example whose code, rate and distortion are finite"):
        fit(Signatures(broken, train.transform, train.spec), train, none)
