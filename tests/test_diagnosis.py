"""What is said about a code, against closed forms and an independent computation; and what helps a collapsed one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp
from scipy.stats import norm
from tensorflow_probability import distributions as tfd

from models import collapse, diagnosis
from models.autoencoder import Autoencoder
from models.diagnosis import Diagnose, sample
from models.factors import Deterministic, Factor, Gaussian
from models.features.spec import FeatureSpec
from models.networks import dense
from models.priors import GaussianMixture, StandardLogNormal, StandardNormal
from models.terms import KL

# Keras reads its variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Told(Factor):
    """A posterior whose two parameters per dimension are the example itself, one after the other."""

    def __init__(self, latent, family=tfd.Normal, **kwargs):
        super().__init__(keras.layers.Identity(), **kwargs)
        self.latent, self.family = latent, family

    def distribution(self, features):
        return tfd.Independent(self.family(*tf.split(features, 2, axis=-1)), 1)


class Correlated(Told):
    def distribution(self, features):
        mean, _ = tf.split(features, 2, axis=-1)
        return tfd.MultivariateNormalTriL(mean, tf.constant([[1.0, 0.0], [0.5, 1.0]]))


def diagnosed(mean, stddev, encoder=Told, prior=StandardNormal, **options):
    """The diagnosis of codes with these means and standard deviations, [examples, latent]."""
    mean, stddev = np.broadcast_arrays(np.asarray(mean, np.float32), np.asarray(stddev, np.float32))
    x = np.concatenate([mean, stddev], axis=1)
    latent, width = mean.shape[1], x.shape[1]
    model = Autoencoder(encoder(latent, **options), prior(latent), Gaussian(dense.decoder((width,), ())), [KL()])
    model.build({"x": (None, width)})
    return Diagnose(model, {"x": tf.constant(x)})()


@pytest.fixture(scope="module")
def moments():
    draws = np.random.default_rng(3)
    return draws.normal(0, [1.5, 0.4, 0.02], (50, 3)), np.exp(draws.normal(-0.5, 0.5, (50, 3)))


def test_the_rate_of_every_dimension_is_the_closed_form(moments):
    mean, stddev = moments
    rates = (0.5 * (mean**2 + stddev**2 - 1) - np.log(stddev)).mean(axis=0)
    found = diagnosed(mean, stddev)
    # Catches: KL(p || q) for KL(q || p); means over dimensions for means over examples.
    np.testing.assert_allclose(found.dimensions, rates, rtol=1e-4)
    assert found.rate == pytest.approx(rates.sum(), rel=1e-4)
    assert (found.examples, found.latent) == (50, 3)


def test_equal_posteriors_tell_nothing_and_are_all_mismatch():
    found = diagnosed(np.tile([[1.0, -2.0]], (40, 1)), [[0.5, 2.0]])
    # Catches: log q(z) without 1 / N; the mismatch as information minus rate.
    assert found.mutual_information == pytest.approx(0.0, abs=1e-5)
    assert found.total_correlation == pytest.approx(0.0, abs=1e-5)
    assert found.mismatch == pytest.approx(found.rate, abs=1e-5)
    assert found.rate == pytest.approx(0.5 * (5 + 0.25 + 4 - 2) - np.log(0.5 * 2.0), rel=1e-5)
    assert found.active_units == 0


def test_posteriors_far_apart_tell_the_example_and_no_more():
    # Catches: weights 1 / (N - 1), a code's own posterior left out, any bound but log N.
    found = diagnosed(100.0 * np.arange(20)[:, None], 1.0)
    assert found.mutual_information == pytest.approx(np.log(20), abs=1e-5)
    assert found.total_correlation == pytest.approx(0.0, abs=1e-5)


def test_dimensions_that_say_the_same_are_correlated_by_what_they_say():
    # Catches: marginals that are not those of the mixture; the total correlation with the wrong sign.
    found = diagnosed(np.repeat([[-50.0, -50.0], [50.0, 50.0]], 10, axis=0), 1.0)
    assert found.mutual_information == pytest.approx(np.log(2), abs=1e-5)
    assert found.total_correlation == pytest.approx(np.log(2), abs=1e-5)


@pytest.mark.parametrize("most", [2**20, 700, 1])  # all codes at once; four at a time, of 50; one at a time
def test_information_and_correlation_are_those_of_the_mixture(moments, monkeypatch, most):
    monkeypatch.setattr(diagnosis, "MOST_PAIRS", most)
    mean, stddev = moments
    posterior = tfd.Independent(tfd.Normal(tf.constant(mean, tf.float32), tf.constant(stddev, tf.float32)), 1)
    z = posterior.sample(seed=(0, 0)).numpy().astype(np.float64)
    pairs = norm.logpdf(z[:, None], mean, stddev)  # [codes, posteriors, latent]
    joint = logsumexp(pairs.sum(axis=-1), axis=1) - np.log(50)
    marginals = logsumexp(pairs, axis=1) - np.log(50)
    found = diagnosed(mean, stddev)
    # Catches: codes lost or counted twice at the end of the last block, other codes than the posteriors' own.
    own = norm.logpdf(z, mean, stddev).sum(axis=1)
    assert found.mutual_information == pytest.approx((own - joint).mean(), abs=1e-4)
    assert found.total_correlation == pytest.approx((joint - marginals.sum(axis=1)).mean(), abs=1e-4)
    assert found.mismatch == pytest.approx(found.rate - found.mutual_information)


def test_a_unit_is_active_by_the_variance_of_its_mean():
    # Catches: the standard deviation for the variance, the posterior's own variance, division by N - 1.
    spread = np.sqrt([0.0102, 0.0098, 4.0])
    found = diagnosed(np.array([[1.0], [-1.0]] * 10) * spread + [0.0, 3.0, 0.0], [[0.1, 2.0, 1.0]])
    assert found.active_units == 2


def test_a_log_normal_code_has_the_rates_of_its_logarithm(moments):
    mean, stddev = moments
    # Catches: a formula of the normal distribution applied to any mean and standard deviation.
    found = diagnosed(mean, stddev, family=tfd.LogNormal, prior=StandardLogNormal)
    plain = diagnosed(mean, stddev)
    np.testing.assert_allclose(found.dimensions, plain.dimensions, rtol=1e-4)
    assert found.mutual_information == pytest.approx(plain.mutual_information, abs=1e-3)
    assert found.total_correlation == pytest.approx(plain.total_correlation, abs=1e-3)


def test_a_code_without_noise_has_units_but_no_information(moments):
    found = diagnosed(*moments, encoder=lambda latent: Deterministic(keras.layers.Identity(), latent))
    # Catches: numbers of a density that a point does not have.
    assert set(found.record()) == {"examples", "latent", "active_units", "rate"}


def test_a_prior_that_does_not_factorize_leaves_out_the_dimensions(moments):
    found = diagnosed(*moments, prior=GaussianMixture)
    assert found.dimensions is None
    assert found.mismatch == pytest.approx(found.rate - found.mutual_information)
    assert found.total_correlation == pytest.approx(diagnosed(*moments).total_correlation)


def test_a_posterior_that_does_not_factorize_has_information_alone():
    found = diagnosed(np.repeat([[-50.0, 0.0], [50.0, 0.0]], 10, axis=0), 1.0, encoder=Correlated)
    assert found.mutual_information == pytest.approx(np.log(2), abs=1e-5)
    assert found.dimensions is None
    assert found.total_correlation is None


def test_a_diagnosis_follows_the_weights(moments):
    mean, _ = moments
    model = Autoencoder(
        Deterministic(dense.encoder((3,), ()), 3), StandardNormal(3), Gaussian(dense.decoder((3,), ())), [KL()]
    )
    model.build({"x": (None, 3)})
    diagnose = Diagnose(model, {"x": tf.constant(mean, tf.float32)})
    assert diagnose().active_units > 0
    for weight in model.encoder.weights:
        weight.assign(tf.zeros_like(weight))
    assert diagnose().active_units == 0  # catches: weights that the traced graph holds as constants


@pytest.mark.parametrize(("count", "width", "size"), [(1500, 2, 1024), (9, 2, 9), (40, 2**20, 8)])
def test_a_sample_is_the_first_examples_as_far_as_they_fit(count, width, size):
    batches = tf.data.Dataset.range(count).map(lambda i: {"x": tf.fill([width], tf.cast(i, tf.float32))}).batch(7)
    found = sample(batches)["x"]
    assert found.shape == (size, width)
    np.testing.assert_array_equal(found[:, 0], np.arange(size))


IMAGES, VECTORS = FeatureSpec("image", (8, 8, 1), "uint8"), FeatureSpec("vector", (5,))
RATE = "use the recipe target_rate, which asks for a rate"


@pytest.mark.parametrize(
    ("recipe", "parameters", "spec", "expected"),
    [
        ("vae", {}, IMAGES, f"U{RATE[1:]}."),
        (
            "beta_vae",
            {"beta": 4.0},
            IMAGES,
            f"Lower model.parameters.beta (now 4), warm it up with a schedule or {RATE}.",
        ),
        (
            "beta_vae",
            {"beta": {"schedule": "linear", "start": 0, "end": 4, "steps": 9}},
            VECTORS,
            "Lower model.parameters.beta (now a schedule), let the decoder learn its variance (model.likelihood: "
            f"gaussian_learned) or {RATE}.",
        ),
        ("target_rate", {}, IMAGES, "Raise model.parameters.target (now 10)."),
        (
            "annealed_vae",
            {"capacity": 5.0},
            IMAGES,
            f"Raise model.parameters.capacity (now 5), lower model.parameters.steps (now 100000) or {RATE}.",
        ),
        ("vfae", {}, IMAGES, "Weaken what its objective has beside the likelihood: nll + kl."),
    ],
)
def test_the_remedy_names_what_the_recipe_has(recipe, parameters, spec, expected):
    model = {"recipe": recipe, "likelihood": "auto", "parameters": parameters}
    assert collapse.remedy(model, spec, target="x", objective="nll + kl") == expected


def test_the_remedy_for_a_code_of_a_label_keeps_to_it():
    model = {"recipe": "vib", "likelihood": "auto", "parameters": {"beta": 0.5}}
    text = collapse.remedy(model, VECTORS, target="label", objective="nll + 0.5 * kl", epochs=3)
    expected = "Train longer (training.epochs, now 3), lower model.parameters.beta (now 0.5)"
    assert text == f"{expected} or warm it up with a schedule."


def test_the_parameters_of_remedies_exist():
    from models.recipes import catalogue

    known = {parameter.name for record in catalogue() for parameter in record.parameters}
    assert set(collapse.VERBS) <= known


@pytest.mark.parametrize(("rate", "active", "expected"), [(0.09, 3, True), (5.0, 0, True), (0.11, 1, False)])
def test_a_code_collapses_by_its_rate_or_by_its_units(rate, active, expected):
    assert collapse.collapsed(rate, active) is expected
