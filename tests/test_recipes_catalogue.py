"""The catalogue: its records, the checks of a model section, and what a recipe is composed of."""

import dataclasses
import doctest
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from contracts import (
    LATENT,
    RECIPES,
    SMALL,
    loss_of,
    small,
)
from worlds import digits, squares, table, vectors

from models import recipes
from models.errors import InputError
from models.factors import Bernoulli, FixedScale, Gaussian, LearnedScale, Tabular
from models.recipes.builder import check_needs

# Keras reads its variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).parent.parent


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
    assert small("vae", "squares").encoder.network.name == "convolutional_encoder"
    assert small("vae", "digits").encoder.network.name == "dense_encoder"
    assert recipes.build("vae", squares().spec, network="mlp").encoder.network.name == "dense_encoder"
    with pytest.raises(InputError, match="model.network: conv needs images, and the data is a table."):
        recipes.build("vae", table().spec, network="conv")


def test_beta_vae_with_beta_one_is_the_vae():
    model = recipes.build("beta_vae", digits().spec, latent=LATENT, seed=1, beta=1.0)
    assert float(loss_of(model, digits().take(32))) == float(loss_of(small("vae", "digits"), digits().take(32)))
    assert (str(model), str(small("beta_vae", "digits"))) == ("nll + kl", "nll + 4 * kl")


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
