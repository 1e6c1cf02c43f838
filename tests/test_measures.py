"""What an evaluation asks of a trained model beside its codes: bounds on the likelihood, codes of noisy inputs."""

import dataclasses

import artifacts
import numpy as np
import pytest
import samples
import tensorflow as tf
from artifacts import KINDS, task_of
from scipy.special import logsumexp

from models.measures import Measures
from models.signatures import Signatures

exported = artifacts.exported

pytestmark = samples.STACK


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """A model of one latent dimension, whose likelihood can be integrated on a grid; its posterior is a wide one."""
    sample = samples.blobs(tmp_path_factory.getbasetemp() / "samples")
    task = task_of(sample, recipe="vae", latent=1, parameters={})
    model = task.build()
    kernel, bias = model.encoder.trainable_variables[-2:]
    kernel.assign(0.01 * kernel)
    bias.assign([0.3, 0.2])
    signatures = Signatures(model, sample.output, task.spec)
    records = tf.constant(list(sample.examples("eval").records().take(12).as_numpy_iterator()))
    measures = Measures(model, signatures, task.spec)
    ask = tf.autograph.experimental.do_not_convert(lambda count: measures.likelihood(records, count))
    return tf.function(ask, autograph=False), model, signatures.inputs(records)


def integrated(model, x) -> np.ndarray:
    """log p(x) = log sum_z p(x|z) p(z) dz on a fine grid, [batch]."""
    grid = np.linspace(-9, 9, 6001, dtype=np.float32)
    likelihood = np.stack([model.decode(tf.constant([[z]])).log_prob(x).numpy() for z in grid[::10]])  # [grid, batch]
    prior = -0.5 * (grid[::10, None] ** 2 + np.log(2 * np.pi))
    return logsumexp(likelihood + prior, axis=0) + np.log(grid[10] - grid[0])


# Catches: the prior or the posterior left out of the weights; the mean of logarithms for the logarithm of the mean;
# the count of samples not taken off.
def test_many_samples_reach_the_likelihood_of_the_integral(narrow):
    ask, model, x = narrow
    bounds, exact = ask(tf.constant(20_000)), integrated(model, x)
    np.testing.assert_allclose(bounds["iwae"], exact, atol=0.1)
    assert np.mean(bounds["iwae"] - exact) == pytest.approx(0, abs=0.03)
    assert np.mean(bounds["elbo"]) < np.mean(exact) - 0.1


def test_the_elbo_by_samples_is_the_closed_form_on_average(narrow):
    ask, model, x = narrow
    z = model.encode(x).sample(20_000, seed=(1, 2))
    expected = tf.reduce_mean(model.decode(z).log_prob(x), axis=0) - model.rate(x)
    np.testing.assert_allclose(ask(tf.constant(20_000))["elbo"], expected, rtol=0.03, atol=0.1)


def test_the_bound_rises_with_the_samples_and_one_sample_is_the_elbo(narrow):
    one, ten, many = (narrow[0](tf.constant(count)) for count in (1, 10, 300))
    np.testing.assert_allclose(one["iwae"], one["elbo"], rtol=1e-6)
    means = [float(np.mean(bounds["iwae"])) for bounds in (one, ten, many)]
    assert means[0] < means[1] < means[2]
    assert np.all(many["iwae"] >= many["elbo"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_exported_measures_are_those_in_process(exported, kind):
    artifact = exported[kind]
    loaded = tf.saved_model.load(str(artifact.folder / "Format-Baselines")).signatures
    measures, records = Measures(artifact.model, artifact.signatures, artifact.task.spec), tf.constant(artifact.records)
    served = loaded["likelihood"](examples=records, samples=tf.constant(5))
    for name, values in measures.likelihood(records, tf.constant(5)).items():
        np.testing.assert_allclose(served[name], values, rtol=1e-4, atol=1e-4)
    noisy = loaded["noisy"](examples=records, level=tf.constant(0.3))["embedding"]
    np.testing.assert_allclose(noisy, measures.noisy(records, tf.constant(0.3))["embedding"], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_moves_codes_the_more_the_louder_it_is(exported, kind):
    artifact = exported[kind]
    measures, records = Measures(artifact.model, artifact.signatures, artifact.task.spec), tf.constant(artifact.records)
    clean = artifact.signatures.serving_default(records)["embedding"].numpy()
    still, quiet, loud = (measures.noisy(records, tf.constant(level))["embedding"] for level in (0.0, 0.1, 1.0))
    np.testing.assert_allclose(still, clean, atol=1e-6)
    moved = [np.linalg.norm(codes - clean, axis=1).mean() for codes in (quiet, loud)]
    assert 0 < moved[0] < moved[1]


# Catches: noise on one-hot entries and on the mask.
def test_only_the_numbers_of_a_table_are_disturbed(exported):
    artifact = exported["people"]
    spec, records = artifact.task.spec, tf.constant(artifact.records)
    clean = artifact.signatures.serving_default(records)["embedding"].numpy()
    bare = dataclasses.replace(spec, columns=spec.categorical)
    kept = Measures(artifact.model, artifact.signatures, bare).noisy(records, tf.constant(1.0))["embedding"]
    np.testing.assert_allclose(kept, clean, atol=1e-6)
