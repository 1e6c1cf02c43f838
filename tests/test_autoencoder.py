"""The model: its metrics, its noise, its state, and the environments it trains in."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts import gradients_of, loss_of, metrics_of
from worlds import digits, vectors

from models.autoencoder import Autoencoder
from models.errors import InputError
from models.factors import DiagonalNormal, Gaussian
from models.networks import dense
from models.priors import StandardNormal
from models.recipes import build
from models.schedules import Linear
from models.terms import KL, NegativeLogLikelihood, Term

# Keras reads its variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

WORLD = vectors()


def a_model(*terms: Term, seed: int = 0) -> Autoencoder:
    """A small model of the vectors with terms of one's own."""
    keras.utils.set_random_seed(seed)
    model = Autoencoder(
        encoder=DiagonalNormal(dense.encoder((12,), hidden=(16,)), latent=2),
        prior=StandardNormal(2),
        decoder=Gaussian(dense.decoder((12,), hidden=(16,))),
        terms=terms or [NegativeLogLikelihood(), KL()],
        seed=seed,
    )
    model.build({"x": (None, 12)})
    return model


def batches(size: int = 16) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(WORLD.batch).batch(size, drop_remainder=True)


def fit(model: Autoencoder, data: tf.data.Dataset, epochs: int = 1) -> dict[str, list[float]]:
    return model.fit(data, epochs=epochs, verbose=0, shuffle=False).history


@pytest.fixture(scope="module")
def trained():
    """A model after three epochs of four steps, with the history of its metrics."""
    model = a_model(NegativeLogLikelihood(), KL(weight=Linear(0.0, 4.0, steps=8)))
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    return model, model.fit(batches(), validation_data=batches(), epochs=3, verbose=0, shuffle=False).history


def test_every_part_of_the_objective_is_a_metric(trained):
    _, history = trained
    names = {"loss", "rate", "distortion", "elbo", "objective", "nll", "kl"}
    assert set(history) == names | {f"val_{name}" for name in names}
    for epoch in range(3):
        row = {name: values[epoch] for name, values in history.items()}
        assert row["elbo"] == pytest.approx(-(row["rate"] + row["distortion"]), rel=1e-5)
        assert row["kl"] == pytest.approx(row["rate"], rel=1e-6)
        assert row["nll"] == pytest.approx(row["distortion"], rel=1e-6)


def test_training_counts_its_steps_and_evaluation_does_not(trained):
    model, _ = trained
    assert int(model.step) == 12
    assert model.schedules_now() == {"weight/nll": 1.0, "weight/kl": 4.0}


def test_the_weighted_sum_of_the_terms_is_the_loss(trained):
    model, _ = trained
    loss = float(loss_of(model, WORLD.batch))
    parts = metrics_of(model, WORLD.batch)
    weights = model.schedules_now()
    assert loss == pytest.approx(
        sum(weight * parts[name.removeprefix("weight/")] for name, weight in weights.items()), rel=1e-6
    )


def test_a_schedule_is_read_at_the_step_of_the_model():
    model = a_model(NegativeLogLikelihood(), KL(weight=Linear(0.0, 4.0, steps=8)))
    assert model.schedules_now() == {"weight/nll": 1.0, "weight/kl": 0.0}
    model(WORLD.batch, training=True)
    model(WORLD.batch, training=True)
    assert model.schedules_now() == {"weight/nll": 1.0, "weight/kl": 1.0}
    model(WORLD.batch)
    assert int(model.step) == 2


def test_the_model_reads_like_its_objective():
    assert str(a_model()) == "nll + kl"
    assert str(a_model(NegativeLogLikelihood(), KL(weight=Linear(0.0, 4.0, steps=8)))) == (
        "nll + linear(0 -> 4 in 8) * kl"
    )


def test_rate_and_distortion_are_per_example_and_agree_with_the_definitions():
    model, x = a_model(), WORLD.batch["x"]
    posterior = model.encode(x)
    mean, variance = posterior.mean(), posterior.variance()
    np.testing.assert_allclose(model.rate(x), 0.5 * np.sum(mean**2 + variance - np.log(variance) - 1, 1), rtol=1e-4)
    np.testing.assert_allclose(model.distortion(x), -model.decode(mean).log_prob(x), rtol=1e-6)
    np.testing.assert_allclose(model.distortion(x[:3]), model.distortion(x)[:3], rtol=1e-5)


def test_the_sampled_distortion_is_unbiased_for_its_expectation():
    model, x = a_model(), WORLD.batch["x"][:8]
    sampled = model.trace({"x": np.repeat(x, 3000, axis=0)}).distortion
    z = model.encode(x).sample(3000, seed=(5, 6))
    expected = -np.mean(model.decode(z).log_prob(x), axis=0)
    np.testing.assert_allclose(np.mean(np.reshape(sampled, (8, 3000)), axis=1), expected, rtol=0.02)


def test_evaluation_is_a_function_of_weights_and_batch(trained):
    model, _ = trained
    first = model.evaluate(batches(), verbose=0, return_dict=True)
    assert model.evaluate(batches(), verbose=0, return_dict=True) == first


def test_noise_differs_by_step_by_batch_and_by_seed_and_repeats_otherwise():
    model, batch = a_model(), WORLD.take(8)
    z = model.trace(batch, training=True).z
    np.testing.assert_array_equal(model.trace(batch, training=True).z, z)
    noise = (z - model.encode(batch["x"]).mean()) / model.encode(batch["x"]).stddev()
    other = {"x": WORLD.batch["x"][8:16]}
    elsewhere = (model.trace(other, training=True).z - model.encode(other["x"]).mean()) / model.encode(
        other["x"]
    ).stddev()
    assert np.min(np.abs(noise - elsewhere)) > 0
    model.step.assign_add(1)
    assert np.all(model.trace(batch, training=True).z != z)
    assert np.all(model.trace(batch, seed=7).z != model.trace(batch, seed=8).z)


def test_evaluation_noise_is_standard_normal():
    model, x = a_model(), np.tile(WORLD.batch["x"], (40, 1))
    posterior = model.encode(x)
    noise = (model.trace({"x": x}).z - posterior.mean()) / posterior.stddev()
    assert np.mean(noise) == pytest.approx(0.0, abs=0.05)
    assert np.std(noise) == pytest.approx(1.0, abs=0.05)


def test_samples_are_means_in_the_space_of_the_data_and_repeat_by_seed():
    model = build("vae", digits().spec, latent=3)
    sample = model.sample(5, seed=1)
    assert sample.shape == (5, 8, 8, 1)
    assert 0 < np.min(sample) < np.max(sample) < 1
    np.testing.assert_array_equal(model.sample(5, seed=1), sample)
    assert np.any(model.sample(5, seed=2) != sample)


def test_encoding_leaves_no_trace_in_the_state():
    model, x = a_model(), WORLD.batch["x"]
    before = model.get_weights()
    model.rate(x), model.distortion(x), model.sample(3, seed=0), model.trace(WORLD.batch)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path):
    straight, halted = a_model(), a_model()
    halted.set_weights(straight.get_weights())
    for model in (straight, halted):
        model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    fit(straight, batches(), epochs=2)
    fit(halted, batches())
    halted.save(tmp_path / "model.keras")
    resumed = keras.saving.load_model(tmp_path / "model.keras")
    fit(resumed, batches())
    assert int(resumed.step) == 8
    for ours, theirs in zip(resumed.get_weights(), straight.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_computes_densities_in_full_precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = build("beta_vae", digits().spec, latent=3, seed=1)
    finally:
        keras.config.set_dtype_policy(before)
    batch = digits().take(32)
    trace = model.trace(batch)
    assert (trace.x.dtype, trace.z.dtype, trace.rate.dtype, trace.distortion.dtype) == (tf.float32,) * 4
    assert model.encoder.network.layers[-1].compute_dtype == policy.removeprefix("mixed_")
    full = build("beta_vae", digits().spec, latent=3, seed=1)
    assert float(loss_of(model, batch)) == pytest.approx(float(loss_of(full, batch)), rel=0.01)
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients_of(model, batch))


def test_compiled_by_xla_or_not_the_densities_agree():
    model, x = build("vae", digits().spec, latent=3, seed=1), digits().take(32)["x"]

    def densities(images):
        return model.rate(images), model.distortion(images)

    plain, compiled = tf.function(densities), tf.function(densities, jit_compile=True)
    for ours, theirs in zip(plain(x), compiled(x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


class Leak(Term):
    """A term that reads the sensitive attribute."""

    label = "leak"
    needs = ("sensitive",)

    def estimate(self, trace):
        return tf.cast(trace.context.sensitive, tf.float32)


def test_what_stands_beside_x_reaches_the_terms():
    model = a_model(NegativeLogLikelihood(), KL(), Leak())
    assert model.needs == ("sensitive",)
    sensitive = np.arange(64) % 2
    assert metrics_of(model, {**WORLD.batch, "sensitive": sensitive})["leak"] == 0.5


def test_a_batch_that_lacks_what_a_term_needs_is_refused():
    model = a_model(NegativeLogLikelihood(), Leak())
    with pytest.raises(InputError) as error:
        model.trace({"x": WORLD.batch["x"]})
    assert str(error.value) == "The model needs 'sensitive' in every batch: set data.sensitive."


def test_terms_of_one_name_are_refused():
    with pytest.raises(ValueError, match="terms") as error:
        a_model(KL(), KL(weight=2.0))
    assert str(error.value) == "`terms` must have different names. Received: kl, kl."


MIRRORED = """
import models
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from models.recipes import build
from models.schedules import Linear
from worlds import vectors

world = vectors()

def after_training(strategy):
    with strategy.scope():
        model = build("beta_vae", world.spec, latent=2)
        model.terms[1].weight = Linear(0.0, 2.0, steps=4)
        model.compile(keras.optimizers.SGD(0.01), jit_compile=False)
    log_variance = model.encoder.moments.bias
    log_variance.assign(np.array([0, 0, -1000, -1000], "float32"))  # next to no noise: each replica draws its own
    kernel = model.encoder.moments.kernel
    kernel.assign(kernel.value * np.array([1, 1, 0, 0], "float32"))
    start = model.decoder.network.get_weights()
    data = tf.data.Dataset.from_tensor_slices(world.batch).batch(32, drop_remainder=True)
    history = model.fit(data, epochs=2, verbose=0, shuffle=False).history
    assert model.schedules_now() == {"weight/nll": 1.0, "weight/kl": 2.0}, model.schedules_now()
    moved = [now - then for now, then in zip(model.decoder.network.get_weights(), start, strict=True)]
    return np.concatenate([part.ravel() for part in moved]), history["distortion"][-1]

one, loss_of_one = after_training(tf.distribute.get_strategy())
two, loss_of_two = after_training(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
# A loss counted twice or halved would differ by half; the replicas' own noise makes a few percent.
assert np.linalg.norm(one - two) < 0.2 * np.linalg.norm(one)
np.testing.assert_allclose(loss_of_one, loss_of_two, rtol=1e-3)
print("agree")
"""


@pytest.mark.slow
def test_two_replicas_make_the_steps_of_one():
    root = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}", "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED], capture_output=True, text=True, env=environment, check=False, timeout=300
    )
    assert done.stdout.strip().endswith("agree"), done.stderr
