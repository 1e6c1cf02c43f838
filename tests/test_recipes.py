"""The catalogue, and one contract for every recipe on every kind of data."""

import dataclasses
import doctest
import functools
import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts import (
    CASES,
    GOLDEN,
    LATENT,
    RECIPES,
    SMALL,
    first_loss,
    gradients_of,
    loss_of,
    metrics_of,
    small,
    through_json,
)
from worlds import WORLDS, digits, squares, table, vectors

from models import recipes
from models.autoencoder import Autoencoder
from models.checkpoints import Checkpoints, State
from models.errors import InputError
from models.factors import Bernoulli, FixedScale, Gaussian, LearnedScale, Tabular
from models.recipes import records
from models.recipes.builder import check_needs
from models.terms import MMD
from models.trace import Trace

# Keras reads its variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).parent.parent


@functools.cache
def built(recipe: str, world: str) -> Autoencoder:
    """One model per case, shared by the tests that leave it as it is."""
    return small(recipe, world)


# The contract.


@pytest.mark.parametrize(("recipe", "world"), CASES)
def test_recipe_builds_distributions_of_the_shape_of_the_data(recipe, world):
    model, setting = built(recipe, world), WORLDS[world]()
    trace = model.trace(setting.take(5))
    labels = model.decoder.target == "label"
    assert model.latent_width == LATENT
    assert trace.z.shape == (5, LATENT)
    assert (trace.posterior.batch_shape, trace.posterior.event_shape) == ((5,), (LATENT,))
    assert trace.likelihood.batch_shape == (5,)
    assert trace.likelihood.event_shape == (() if labels else setting.spec.event_shape)
    assert model.sample(4, seed=0).shape == (4, *((len(setting.spec.classes),) if labels else setting.spec.event_shape))
    assert set(metrics_of(model, setting.take(5))) >= {"rate", "distortion", "elbo", "objective"}


@pytest.mark.parametrize(("recipe", "world"), CASES)
def test_recipe_is_the_same_after_saving(recipe, world, tmp_path):
    model, batch = built(recipe, world), WORLDS[world]().take(5)
    model.save(tmp_path / "model.keras")
    twin = keras.saving.load_model(tmp_path / "model.keras")
    assert through_json(twin.get_config()) == through_json(model.get_config())
    assert str(twin) == str(model)
    assert float(loss_of(twin, batch)) == float(loss_of(model, batch))
    assert len(twin.trainable_variables) == len(model.trainable_variables)


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_repeats_by_seed(recipe):
    again, other = (small(recipe, "vectors", seed=seed) for seed in (1, 2))
    for ours, theirs in zip(again.get_weights(), built(recipe, "vectors").get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert any(np.any(a != b) for a, b in zip(again.get_weights(), other.get_weights(), strict=True))
    if again.trace(vectors().take(5)).posterior.stddev().numpy().any():
        assert np.all(other.trace(vectors().take(5)).z != again.trace(vectors().take(5)).z)


@pytest.mark.parametrize(("recipe", "world"), CASES)
def test_one_step_along_finite_gradients_lowers_the_loss_of_a_recipe(recipe, world):
    model, batch = built(recipe, world), WORLDS[world]().take(32)
    start, before = model.get_weights(), float(loss_of(model, batch))
    gradients = gradients_of(model, batch)
    assert all(gradient is not None and np.all(np.isfinite(gradient)) for gradient in gradients)
    keras.optimizers.Adam(1e-3).apply(gradients, model.trainable_variables)
    after = float(loss_of(model, batch))
    model.set_weights(start)
    assert after < before


@pytest.mark.parametrize(("recipe", "world"), CASES)
def test_first_loss_is_the_golden_one(recipe, world):
    golden = json.loads(GOLDEN.read_text())
    assert first_loss(built(recipe, world), world) == pytest.approx(golden[recipe][world], rel=1e-4)


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_computes_densities_in_full_precision_under_mixed_precision(recipe):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small(recipe, "digits")
    finally:
        keras.config.set_dtype_policy(before)
    trace = model.trace(digits().take(32))
    assert (trace.x.dtype, trace.z.dtype, trace.rate.dtype, trace.distortion.dtype) == (tf.float32,) * 4
    assert model.encoder.network.layers[-1].compute_dtype == "bfloat16"
    full = float(loss_of(built(recipe, "digits"), digits().take(32)))
    assert float(loss_of(model, digits().take(32))) == pytest.approx(full, rel=0.03)
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients_of(model, digits().take(32)))


@pytest.mark.parametrize("recipe", RECIPES)
def test_compiled_by_xla_or_not_a_recipe_charges_the_same(recipe):
    model, batch = built(recipe, "vectors"), vectors().take(32)
    z = tf.constant(model.trace(batch).z)

    def charges(beside, code):
        context = model.context(beside, seed=tf.constant([1, 2]))
        posterior, prior = model.encode(beside["x"], context), model.prior(context=context)
        likelihood = model.decode(code, context)
        trace = Trace(x=beside["x"], posterior=posterior, z=code, prior=prior, likelihood=likelihood, context=context)
        # XLA draws other numbers from the same seed, so what draws codes from the prior is left out.
        return [tf.reduce_mean(term.estimate(trace)) for term in model.terms if not isinstance(term, MMD)]

    tensors = {key: tf.constant(value) for key, value in batch.items()}
    plain, compiled = (tf.function(charges, jit_compile=jit)(tensors, z) for jit in (False, True))
    np.testing.assert_allclose(plain, compiled, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_resumed_recipe_ends_with_the_weights_of_an_uninterrupted_one(recipe, tmp_path):
    batches = [{key: value[start : start + 16] for key, value in vectors().batch.items()} for start in (0, 16, 32, 48)]
    straight, halted = Run(recipe, tmp_path), Run(recipe, tmp_path)
    straight.go(batches)
    halted.go(batches[:2])
    halted.checkpoints.save()
    resumed = Run(recipe, tmp_path)
    assert resumed.checkpoints.restore()
    resumed.go(batches[2:])
    for ours, theirs in zip(resumed.model.get_weights(), straight.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


class Run:
    """A model with its checkpoints, and its steps one by one."""

    def __init__(self, recipe: str, folder: Path):
        self.model = small(recipe, "vectors")
        self.model.compile(keras.optimizers.Adam(1e-2))
        self.model.optimizer.build(self.model.trainable_variables)
        self.checkpoints = Checkpoints(str(folder), model=self.model, best=[], state=State())

    def go(self, batches) -> None:
        for batch in batches:
            with tf.GradientTape() as tape:
                self.model(batch, training=True)
                loss = tf.add_n(self.model.losses)
            weights = [variable.value for variable in self.model.trainable_variables]
            self.model.optimizer.apply(tape.gradient(loss, weights), self.model.trainable_variables)


@pytest.mark.parametrize("recipe", RECIPES)
def test_exported_recipe_encodes_the_same_through_the_session_loader(recipe, tmp_path):
    model, x = built(recipe, "vectors"), vectors().take(5)["x"]
    archive = keras.export.ExportArchive()
    archive.track(model)

    def embed(images):
        return {"embedding": model.encode(images).mean(), "rate": model.rate(images)}

    archive.add_endpoint("serving_default", embed, [tf.TensorSpec((None, 12), tf.float32)])
    archive.write_out(str(tmp_path / "saved"), verbose=False)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(tmp_path / "saved"))
        signature = loaded.signature_def["serving_default"]
        (name,) = (tensor.name for tensor in signature.inputs.values())
        outputs = {key: tensor.name for key, tensor in signature.outputs.items()}
        answer = session.run(outputs, {name: x})
    np.testing.assert_allclose(answer["embedding"], model.encode(x).mean(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(answer["rate"], model.rate(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_is_a_short_composition(recipe):
    lines, _ = inspect.getsourcelines(records.function(recipe))
    body = "".join(lines).rsplit('"""', 1)[1]
    assert len(body.strip().splitlines()) <= 15
    assert not {" if ", " for ", " while "} & set(body.split("\n"))


# What the recipes are composed of, by the kind of data.


@pytest.mark.parametrize(
    ("spec", "choices", "head", "scale"),
    [
        (digits().spec, {}, Bernoulli, None),
        (digits().spec, {"likelihood": "gaussian"}, Gaussian, FixedScale),
        (digits().spec, {"likelihood": "gaussian_learned"}, Gaussian, LearnedScale),
        (vectors().spec, {}, Gaussian, FixedScale),
        (table().spec, {}, Tabular, LearnedScale),
        (table().spec, {"likelihood": "gaussian"}, Tabular, FixedScale),
    ],
)
def test_the_likelihood_follows_from_the_data_and_the_choice(spec, choices, head, scale):
    decoder = recipes.build("vae", spec, **choices).decoder
    assert type(decoder) is head
    assert scale is None or type(decoder.scale) is scale


def test_the_network_follows_from_the_data_and_the_choice():
    assert built("vae", "squares").encoder.network.name == "convolutional_encoder"
    assert built("vae", "digits").encoder.network.name == "dense_encoder"
    assert recipes.build("vae", squares().spec, network="mlp").encoder.network.name == "dense_encoder"
    with pytest.raises(InputError, match="model.network: conv needs images, and the data is a table."):
        recipes.build("vae", table().spec, network="conv")


def test_beta_vae_with_beta_one_is_the_vae():
    model = recipes.build("beta_vae", digits().spec, latent=LATENT, seed=1, beta=1.0)
    assert float(loss_of(model, digits().take(32))) == float(loss_of(built("vae", "digits"), digits().take(32)))
    assert (str(model), str(built("beta_vae", "digits"))) == ("nll + kl", "nll + 4 * kl")


def test_building_leaves_the_random_state_of_the_process_alone():
    import random

    random.seed(5)
    expected = random.random()
    random.seed(5)
    recipes.build("vae", vectors().spec)
    assert random.random() == expected


@pytest.mark.parametrize("name", ["schedules", "autoencoder", "factors.normal", "priors.normal"])
def test_examples_in_docstrings_run(name):
    done = doctest.testmod(importlib.import_module(f"models.{name}"))
    assert done.attempted > 0
    assert done.failed == 0


# The catalogue.


def test_the_catalogue_holds_the_models_of_the_survey():
    names = [record.name for record in recipes.catalogue()]
    assert len(names) == len(set(names)) == 35
    assert names[:4] == ["vae", "beta_vae", "annealed_vae", "target_rate"]
    assert len(RECIPES) == 16


def test_names_and_aliases_are_unambiguous():
    words = [word for record in recipes.catalogue() for word in (record.name, *record.aliases)]
    assert len(words) == len(set(words))
    assert words == [word.lower().replace("-", "_") for word in words]


@pytest.mark.parametrize("record", recipes.catalogue(), ids=lambda record: record.name)
def test_every_record_fills_the_columns_of_the_survey(record):
    columns = (record.title, record.metaprior, record.mechanism, record.labels, record.objective, record.reference)
    assert all(columns)
    assert all(text.isascii() for text in columns)
    assert record.status == "planned" or (record.summary and record.use and record.limits)


def test_a_record_is_read_off_the_recipe():
    record = recipes.find("beta_vae")
    assert record.objective == "E_q(z|x)[-log p(x|z)] + beta * KL(q(z|x) || p(z))"
    assert record.r1 == "(beta - 1) * KL(q(z|x) || p(z))"
    (beta,) = record.parameters
    assert (beta.name, beta.type, beta.default) == ("beta", "number, at least 0, or a schedule", 4.0)
    assert beta.meaning == "weight of the rate, in nats of distortion per nat of rate."
    assert recipes.find("vae").parameters == ()


@pytest.mark.parametrize("name", RECIPES)
def test_a_record_says_which_labels_its_parts_need(name):
    optional = {"hsic_vae": "sensitive", "vfae": "label"}.get(name)
    spec = dataclasses.replace(vectors().spec, **({optional: None} if optional else {}))
    assert recipes.build(name, spec, latent=LATENT, **SMALL.get(name, {})).needs == recipes.find(name).needs
    assert (recipes.find(name).labels == "none") == (recipes.find(name).needs == ()) or name == "hsic_vae"


def test_aliases_lead_to_the_model():
    assert recipes.find("Beta-VAE").name == recipes.find("betavae").name == "beta_vae"
    assert recipes.find("LVAE").name == "ladder_vae"
    assert recipes.find("vlae").note == "Others call the variational ladder autoencoder VLAE: here it is vlaae."


def test_parameters_are_completed_by_the_defaults_of_the_paper():
    assert recipes.validate("beta_vae", {}) == {"beta": 4.0}
    assert recipes.validate("beta_vae", {"beta": 2}) == {"beta": 2.0}
    assert recipes.validate("vae", {}) == {}


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("beta_va", {}, "model.recipe: there is no recipe 'beta_va'. Did you mean beta_vae?"),
        ("transformer", {}, "model.recipe: there is no recipe 'transformer'. `metaprior models` lists them all."),
        (
            "ladder_vae",
            {},
            f"model.recipe: ladder_vae is in the catalogue but has no recipe yet. Use one of: {', '.join(RECIPES)}.",
        ),
        (
            "beta_vae",
            {"bta": 4.0},
            "model.parameters.bta: `beta_vae` has no such parameter. Did you mean beta?",
        ),
        (
            "vae",
            {"beta": 4.0},
            "model.parameters.beta: `vae` has no such parameter. Its parameters: none.",
        ),
        (
            "beta_vae",
            {"beta": "four"},
            "model.parameters.beta: must be a valid number. Received: 'four'.",
        ),
        ("beta_vae", {"beta": True}, "model.parameters.beta: must be a valid number. Received: True."),
        (
            "beta_vae",
            {"beta": float("nan")},
            "model.parameters.beta: must be a finite number. Received: nan.",
        ),
        (
            "beta_vae",
            {"beta": -1.0, "warmup": 3},
            "model.parameters.beta: must be greater than or equal to 0. Received: -1.0.\n"
            "model.parameters.warmup: `beta_vae` has no such parameter. Its parameters: beta.",
        ),
    ],
)
def test_a_wrong_model_section_is_refused(name, parameters, message):
    with pytest.raises(InputError) as error:
        recipes.validate(name, parameters)
    assert str(error.value) == message
    with pytest.raises(InputError) as error:
        recipes.build(name, digits().spec, **parameters)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (table().spec, "`fader` needs a sensitive attribute. Set data.sensitive to one of: job, sex, age, hours."),
        (digits().spec, "`fader` needs a sensitive attribute. Set data.sensitive."),
    ],
)
def test_data_that_lack_what_a_recipe_needs_are_refused(spec, message):
    bare = dataclasses.replace(spec, sensitive=None)
    with pytest.raises(InputError) as error:
        recipes.build("fader", bare)
    assert str(error.value) == message
    check_needs("vae", (), bare)


def test_the_catalogue_is_read_without_the_heavy_libraries():
    code = (
        "import sys; from models import recipes; recipes.validate('beta_vae', {'beta': 2}); recipes.catalogue();"
        "print(sorted({'tensorflow', 'keras', 'numpy', 'tensorflow_probability'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"
