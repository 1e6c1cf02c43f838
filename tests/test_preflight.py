"""A recipe that needs what the data lack is refused before anything heavy starts."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from models import recipes
from models.errors import InputError
from models.features.spec import Column, FeatureSpec
from models.recipes import needs
from pipeline import loading, preflight

PEOPLE = "age,job,sex,income\n" + "".join(f"{20 + i},{'ab'[i % 2]},{'fm'[i // 2 % 2]},{i % 3}\n" for i in range(12))


@pytest.fixture
def people(tmp_path):
    (tmp_path / "people.csv").write_text(PEOPLE)
    return tmp_path / "people.csv"


@pytest.fixture
def arrays(tmp_path):
    np.savez(
        tmp_path / "arrays.npz",
        x=np.random.default_rng(0).normal(size=(6, 3)).astype("float32"),
        group=np.arange(6) % 2,
        site=np.array(list("aabbcc")),
        weight=np.linspace(0, 1, 6),
        names=np.array(list("abc")),
        other=np.zeros((6, 2)),
    )
    return tmp_path / "arrays.npz"


@pytest.fixture
def pictures(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("L", (8, 8), 7).save(tmp_path / name)
    return tmp_path


def refusal(data, recipe: str, **roles) -> str:
    sets = [(f"data.{role}", name) for role, name in roles.items()]
    with pytest.raises(InputError) as error:
        preflight.check(loading.load(data=str(data), model=recipe, sets=sets))
    return str(error.value)


def test_a_table_is_asked_for_a_column_that_has_no_role_yet(people):
    assert refusal(people, "fader", label="income") == (
        "model.recipe: `fader` needs a sensitive attribute. Set data.sensitive to one of: job, sex, age."
    )
    assert refusal(people, "vib", sensitive="sex") == (
        "model.recipe: `vib` needs a label. Set data.label to one of: job, age, income."
    )
    assert refusal(people, "dc_ign", label="income") == (
        "model.recipe: `dc_ign` needs ground-truth factors. Set data.factors to age."
    )


def test_an_npz_file_is_asked_for_an_array_with_one_value_an_example(arrays):
    assert refusal(arrays, "vfae") == (
        "model.recipe: `vfae` needs a sensitive attribute. Set data.sensitive to one of: group, site."
    )
    assert refusal(arrays, "vfae", label="group") == (
        "model.recipe: `vfae` needs a sensitive attribute. Set data.sensitive to site."
    )
    assert refusal(arrays, "dc_ign") == (
        "model.recipe: `dc_ign` needs ground-truth factors. Set data.factors to group."
    )


def test_data_that_cannot_have_a_role_are_not_asked_for_one(pictures):
    assert refusal("digits", "fader") == (
        "model.recipe: `fader` needs a sensitive attribute. digits has none; a table or an npz file can name one."
    )
    assert refusal(pictures, "dc_ign") == (
        f"model.recipe: `dc_ign` needs ground-truth factors. {pictures.name} has none; "
        "a table or an npz file can name them."
    )
    assert refusal(pictures, "vib") == (
        "model.recipe: `vib` needs a label. Put the images of each class into a subfolder of its own."
    )


@pytest.mark.parametrize(
    ("recipe", "data", "roles"),
    [
        ("vib", "digits", {}),
        ("vae", "digits", {}),
        ("dc_ign", "sprites", {}),
        ("Variational_Fair_Autoencoder", None, {}),
    ],
)
def test_data_that_have_what_a_recipe_needs_are_taken(recipe, data, roles, people):
    sets = [] if data else [("data.sensitive", "sex")]
    spec = preflight.check(loading.load(data=data or str(people), model=recipe, sets=sets)).spec
    assert not needs.missing(recipes.find(recipe).needs, spec)


def test_the_builder_says_the_same_of_a_table(people):
    config = loading.load(data=str(people), sets=[("data.label", "income")])
    spec = preflight.check(config).spec
    with pytest.raises(InputError) as error:
        needs.check_needs("fader", ("label", "sensitive"), spec)
    assert refusal(people, "fader", label="income") == f"model.recipe: {error.value}"


def test_the_first_missing_role_is_named_and_a_wide_table_is_not_listed():
    spec = FeatureSpec("table", (20,), columns=tuple(Column(f"c{i}", "categorical") for i in range(20)))
    with pytest.raises(InputError) as error:
        needs.check_needs("both", ("label", "sensitive"), spec)
    names = ", ".join(f"c{i}" for i in range(12))
    assert str(error.value) == f"`both` needs a label. Set data.label to one of: {names} and 8 more."
    needs.check_needs("neither", (), spec)


def test_a_run_is_refused_without_loading_the_stack(people):
    code = f"""
import sys
from pipeline.cli import main
try:
    main(["run", "--data", {str(people)!r}, "--model", "fader"])
except SystemExit as end:
    print(end.code, sorted({{"tensorflow", "keras", "tfx", "apache_beam"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "2 []\n"
    assert done.stderr.startswith("metaprior: model.recipe: `fader` needs a sensitive attribute. Set data.sensitive")


@pytest.mark.parametrize(
    ("recipe", "sets", "message"),
    [
        (
            "hfvae",
            [("model.parameters.groups", "11")],
            "model.parameters.groups: must be at most model.latent, 10. Received: 11.",
        ),
        (
            "dc_ign",
            [("model.parameters.extrinsic", "[scal]")],
            "model.parameters.extrinsic: there is no factor 'scal'. Did you mean scale?",
        ),
        (
            "dc_ign",
            [("model.latent", "5")],
            "model.latent: must be above the number of extrinsic factors, 5, each of which has a unit of its own. "
            "Received: 5.",
        ),
    ],
)
def test_units_that_do_not_fit_the_code_are_refused(recipe, sets, message):
    with pytest.raises(InputError) as error:
        preflight.check(loading.load(data="sprites", model=recipe, sets=sets))
    assert str(error.value) == message
