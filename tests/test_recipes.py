"""The catalogue, and one contract for every recipe on every kind of data."""

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
from contracts import CASES, GOLDEN, RECIPES, first_loss, gradients_of, loss_of, metrics_of, through_json, train
from scipy import stats
from worlds import WORLDS, digits, linear_gaussian, squares, table, vectors

from models import recipes
from models.autoencoder import Autoencoder
from models.errors import InputError
from models.factors import Bernoulli, DiagonalNormal, FixedScale, Gaussian, LearnedScale, Tabular
from models.networks import dense
from models.priors import StandardNormal
from models.recipes import records
from models.recipes.builder import check_needs
from models.terms import KL, NegativeLogLikelihood

# Keras reads its variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).parent.parent
LATENT = 3


@functools.cache
def built(recipe: str, world: str) -> Autoencoder:
    """One model per case, shared by the tests that leave it as it is."""
    return recipes.build(recipe, WORLDS[world]().spec, latent=LATENT, seed=1)


# The contract.


@pytest.mark.parametrize(("recipe", "world"), CASES)
def test_recipe_builds_distributions_of_the_shape_of_the_data(recipe, world):
    model, setting = built(recipe, world), WORLDS[world]()
    trace = model.trace(setting.take(5))
    assert model.latent_width == LATENT
    assert trace.z.shape == (5, LATENT)
    assert (trace.posterior.batch_shape, trace.posterior.event_shape) == ((5,), (LATENT,))
    assert (trace.likelihood.batch_shape, trace.likelihood.event_shape) == ((5,), setting.spec.event_shape)
    assert model.sample(4, seed=0).shape == (4, *setting.spec.event_shape)
    assert set(metrics_of(model, setting.take(5))) >= {"rate", "distortion", "elbo"}


@pytest.mark.parametrize(("recipe", "world"), CASES)
def test_recipe_is_the_same_after_saving(recipe, world, tmp_path):
    model, batch = built(recipe, world), WORLDS[world]().take(5)
    model.save(tmp_path / "model.keras")
    twin = keras.saving.load_model(tmp_path / "model.keras")
    assert through_json(twin.get_config()) == through_json(model.get_config())
    assert str(twin) == str(model)
    assert float(loss_of(twin, batch)) == float(loss_of(model, batch))


@pytest.mark.parametrize(("recipe", "world"), CASES)
def test_recipe_repeats_by_seed(recipe, world):
    again, other = (recipes.build(recipe, WORLDS[world]().spec, latent=LATENT, seed=seed) for seed in (1, 2))
    for ours, theirs in zip(again.get_weights(), built(recipe, world).get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert any(np.any(a != b) for a, b in zip(again.get_weights(), other.get_weights(), strict=True))
    batch = WORLDS[world]().take(5)
    assert np.all(other.trace(batch).z != again.trace(batch).z)


@pytest.mark.parametrize(("recipe", "world"), CASES)
def test_recipe_has_finite_gradients_for_every_variable(recipe, world):
    gradients = gradients_of(built(recipe, world), WORLDS[world]().take(32))
    assert all(gradient is not None and np.all(np.isfinite(gradient)) for gradient in gradients)


@pytest.mark.parametrize(("recipe", "world"), CASES)
def test_one_step_lowers_the_loss_of_a_recipe(recipe, world):
    model, batch = recipes.build(recipe, WORLDS[world]().spec, latent=LATENT, seed=1), WORLDS[world]().take(32)
    before = float(loss_of(model, batch))
    gradients = gradients_of(model, batch)
    keras.optimizers.Adam(1e-3).apply(gradients, model.trainable_variables)
    assert float(loss_of(model, batch)) < before


@pytest.mark.parametrize(("recipe", "world"), CASES)
def test_first_loss_is_the_golden_one(recipe, world):
    golden = json.loads(GOLDEN.read_text())
    assert first_loss(recipe, world) == pytest.approx(golden[recipe][world], rel=1e-4)


@pytest.mark.parametrize("recipe", RECIPES)
def test_exported_recipe_encodes_the_same_through_the_session_loader(recipe, tmp_path):
    model, x = built(recipe, "digits"), digits().take(5)["x"]
    archive = keras.export.ExportArchive()
    archive.track(model)

    def embed(images):
        return {"embedding": model.encode(images).mean(), "rate": model.rate(images)}

    archive.add_endpoint("serving_default", embed, [tf.TensorSpec((None, 8, 8, 1), tf.float32)])
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
    assert RECIPES == ["vae", "beta_vae"]


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
    assert (beta.name, beta.type, beta.default) == ("beta", "number, at least 0", 4.0)
    assert beta.meaning == "weight of the rate, in nats of distortion per nat of rate."
    assert recipes.find("vae").parameters == ()


@pytest.mark.parametrize("name", RECIPES)
def test_a_record_says_which_labels_its_parts_need(name):
    assert built(name, "digits").needs == () if recipes.find(name).labels == "none" else recipes.find(name).labels


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
            "factor_vae",
            {},
            "model.recipe: factor_vae is in the catalogue but has no recipe yet. Use one of: vae, beta_vae.",
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
        (table().spec, "`fader` needs a sensitive attribute. Set data.sensitive to one of: age, hours, job, sex."),
        (digits().spec, "`fader` needs a sensitive attribute. Set data.sensitive."),
    ],
)
def test_data_that_lack_what_a_recipe_needs_are_refused(spec, message):
    with pytest.raises(InputError) as error:
        check_needs("fader", ("label", "sensitive") if spec.label else ("sensitive",), spec)
    assert str(error.value) == message
    check_needs("vae", (), spec)


def test_the_catalogue_is_read_without_the_heavy_libraries():
    code = (
        "import sys; from models import recipes; recipes.validate('beta_vae', {'beta': 2}); recipes.catalogue();"
        "print(sorted({'tensorflow', 'keras', 'numpy', 'tensorflow_probability'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"


# Acceptance: each recipe is what it says.


VARIANCES, NOISE = (4.0, 2.0, 1.0, 0.3, 0.1), 0.2


def linear_model(beta: float) -> Autoencoder:
    """Linear encoder, linear decoder, noise of fixed variance: the case with a known optimum."""
    keras.utils.set_random_seed(0)
    width = len(VARIANCES)
    model = Autoencoder(
        encoder=DiagonalNormal(dense.encoder((width,), hidden=()), latent=width),
        prior=StandardNormal(width),
        decoder=Gaussian(dense.decoder((width,), hidden=()), FixedScale(NOISE**0.5)),
        terms=[NegativeLogLikelihood(), KL(weight=beta)],
    )
    model.build({"x": (None, width)})
    return model


@functools.cache
def on_linear_data(beta: float) -> tuple[dict[str, float], np.ndarray]:
    """Metrics of the trained linear model, and its codes' variances."""
    x, _ = linear_gaussian(VARIANCES)
    model = linear_model(beta)
    train(model, x, steps=3000, batch=256, rate=2e-2)
    return metrics_of(model, {"x": np.tile(x, (10, 1))}), np.var(model.encode(x).mean(), axis=0)


@pytest.mark.parametrize(("beta", "active"), [(1.0, 4), (3.0, 3), (8.0, 2)])
def test_a_linear_beta_vae_fills_the_water_of_rate_distortion_theory(beta, active):
    _, variances = linear_gaussian(VARIANCES)
    reached, code_variances = on_linear_data(beta)
    level = np.minimum(variances, beta * NOISE)
    rate = 0.5 * np.log(variances / level).sum()
    distortion = level.sum() / (2 * NOISE) + len(variances) / 2 * np.log(2 * np.pi * NOISE)
    assert reached["rate"] == pytest.approx(rate, abs=0.1)
    assert reached["distortion"] == pytest.approx(distortion, abs=0.1)
    assert np.sum(code_variances > 0.01) == active


def test_a_linear_vae_reaches_the_exact_likelihood_of_probabilistic_pca():
    x, variances = linear_gaussian(VARIANCES)
    basis = np.linalg.eigh(x.T @ x / len(x))[1][:, ::-1]
    covariance = np.diag(np.maximum(variances, NOISE))
    exact = stats.multivariate_normal(np.zeros(len(VARIANCES)), covariance).logpdf(x @ basis).mean()
    assert on_linear_data(1.0)[0]["elbo"] == pytest.approx(exact, abs=0.05)


def on_digits(beta: float, *, steps: int, rate: float) -> tuple[dict[str, float], int]:
    """Metrics and active units of a beta-VAE 64-128-8 on the training digits."""
    keras.utils.set_random_seed(0)
    x = digits().batch["x"][500:]
    model = Autoencoder(
        encoder=DiagonalNormal(dense.encoder((8, 8, 1), hidden=(128,)), latent=8),
        prior=StandardNormal(8),
        decoder=Bernoulli(dense.decoder((8, 8, 1), hidden=(128,))),
        terms=[NegativeLogLikelihood(), KL(weight=beta)],
    )
    model.build({"x": (None, 8, 8, 1)})
    return train(model, x, steps=steps, rate=rate), int(np.sum(np.var(model.encode(x).mean(), axis=0) > 0.01))


def test_beta_trades_distortion_for_rate_on_digits():
    sweep = [on_digits(beta, steps=700, rate=3e-3)[0] for beta in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert np.all(np.diff([point["rate"] for point in sweep]) < 0)
    assert np.all(np.diff([point["distortion"] for point in sweep]) > 0)
    assert sweep[0]["rate"] > 15.0
    assert sweep[-1]["rate"] < 0.2


def test_a_vae_on_digits_reaches_its_lower_bound():
    reached, active = on_digits(1.0, steps=3000, rate=1e-3)
    assert -reached["elbo"] <= 24.8
    assert 2.5 <= reached["rate"] <= 5.0
    assert active >= 5
