"""The `sweep` section: what it unfolds to, and what is refused in which words."""

import pytest

from models.errors import InputError
from pipeline import loading
from pipeline.sweep import fit, grid


def config(**sweep):
    sections = {"data": {"source": "digits"}, "training": {"epochs": 60}, "sweep": sweep}
    return loading.validate(sections)


def refusal(**sweep) -> str:
    with pytest.raises(InputError) as caught:
        grid.check(config(**sweep))
    return str(caught.value)


VAE = {"recipes": {"vae": {}}}


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ({"recipe": {}}, "sweep.recipe: unknown key. Did you mean sweep.recipes?"),
        ({"halving": {"epoch": 3}}, "sweep.halving.epoch: unknown key. Did you mean sweep.halving.epochs?"),
        (
            {"halving": {"factor": 1}},
            "sweep.halving.factor: must be a whole number from 2 to 10. Received: 1.",
        ),
        ({"seeds": 0}, "sweep.seeds: must be a whole number from 1 to 100. Received: 0."),
        ({"minutes": 0}, "sweep.minutes: must be a number greater than 0. Received: 0."),
        ({"latent": 5}, "sweep.latent: must be a list of values, each a whole number from 1 to 4096. Received: 5. "
         "Write it in brackets: [5]."),
        (
            {},
            "sweep.recipes: must name at least one recipe, such as {vae: {}, beta_vae: {beta: [1, 4]}}. Received: {}.",
        ),
        ({"recipes": {"bta_vae": {}}}, "sweep.recipes.bta_vae: there is no recipe 'bta_vae'. Did you mean beta_vae?"),
        (
            {"recipes": {"beta_vae": {"bta": [1]}}},
            "sweep.recipes.beta_vae.bta: `beta_vae` has no such parameter. Did you mean beta?",
        ),
        (
            {"recipes": {"beta_vae": {"beta": [1, -1]}}},
            "sweep.recipes.beta_vae.beta: must be greater than or equal to 0. Received: -1.",
        ),
        (
            {"recipes": {"beta_vae": {"beta": []}}},
            "sweep.recipes.beta_vae.beta: must hold at least one value. Received: [].",
        ),
        (
            {"recipes": {"beta_vae": {"beta": [1, 1]}}},
            "sweep.recipes.beta_vae.beta: must not repeat. Received: [1, 1].",
        ),
        (
            {"recipes": {"vae": {}, "VAE": {}}},
            "sweep.recipes.VAE: is vae under another name. Put its parameters there.",
        ),
        (VAE | {"latent": [5, 5]}, "sweep.latent: must not repeat. Received: [5, 5]."),
        (
            VAE | {"halving": {"epochs": 60}},
            "sweep.halving.epochs: must be below training.epochs (60). Received: 60.",
        ),
        (
            VAE | {"usefulness": "probe/linear/99"},
            "sweep.usefulness: no such metric. Did you mean probe/linear/10? Received: probe/linear/99.",
        ),
        (
            VAE | {"usefulness": "rate"},
            "sweep.usefulness: rate is an axis of the frontier already. Name a probe or another metric.",
        ),
    ],
)  # fmt: skip
def test_a_wrong_section_gets_one_line(sweep, message):
    assert refusal(**sweep) == message


def test_the_first_recipe_comes_first_and_lists_are_alternatives():
    found = grid.arms(config(recipes={"vae": {}, "beta_vae": {"beta": [0.5, 4]}}, latent=[5, 10]))
    assert [arm.name for arm in found] == [
        "vae, latent 5",
        "vae, latent 10",
        "beta_vae, beta 0.5, latent 5",
        "beta_vae, beta 0.5, latent 10",
        "beta_vae, beta 4, latent 5",
        "beta_vae, beta 4, latent 10",
    ]


@pytest.mark.parametrize(
    ("halving", "rungs"),
    [({}, [60]), ({"epochs": 5}, [5, 15, 45, 60]), ({"epochs": 15, "factor": 2}, [15, 30, 60])],
)
def test_rungs_end_with_the_whole_training(halving, rungs):
    assert grid.rungs(config(**VAE, halving=halving)) == rungs


def test_a_trial_is_an_ordinary_run_of_its_configuration():
    whole = config(recipes={"beta_vae": {"beta": [4]}}, latent=[3])
    [arm] = grid.arms(whole)
    run = grid.run_of(whole, grid.Trial(arm, seed=7, rung=0, epochs=5))
    assert run.model.model_dump() == whole.model.model_dump() | {
        "recipe": "beta_vae",
        "parameters": {"beta": 4},
        "latent": 3,
    }
    assert (run.seed, run.training.epochs) == (7, 5)
    assert (run.data, run.name, run.evaluation) == (whole.data, whole.name, whole.evaluation)


def test_usefulness_is_by_default_the_linear_probe_with_the_most_labels():
    assert grid.usefulness(config(**VAE)) == "probe/linear/all"


def test_a_configuration_that_the_data_does_not_suit_is_named():
    with pytest.raises(InputError) as caught:
        fit.check(config(recipes={"vae": {}, "vfae": {}}))
    assert str(caught.value).startswith("sweep.recipes: vfae, latent 10: model.recipe: `vfae` needs a sensitive ")


def test_a_probe_without_a_label_is_refused(tmp_path):
    import numpy as np

    np.savez(tmp_path / "x.npz", x=np.zeros((9, 3), np.float32))
    whole = loading.validate({"data": {"source": str(tmp_path / "x.npz")}, "sweep": VAE})
    with pytest.raises(InputError) as caught:
        fit.check(whole)
    assert str(caught.value) == (
        f"sweep.usefulness: probe/linear/all needs a label, and {tmp_path / 'x.npz'} has none. Name one with "
        "data.label, or another metric, such as active_units."
    )
