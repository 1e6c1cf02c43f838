"""What `metaprior suggest` says about data: recipes that work on it, commands that can be typed, what is missing."""

import json
import re
import shlex
import subprocess
import sys

import pytest
from click.testing import CliRunner

from models import recipes
from models.errors import InputError
from models.recipes import wishes
from models.recipes.suggest import Facts
from models.recipes.wishes import WISHES, implied, lacking
from pipeline import loading, preflight, suggest
from pipeline.cli.group import main
from pipeline.cli.suggest import METAPRIORS

ROWS = "age,job,sex,income\n" + "".join(f"{20 + i},{'ab'[i % 2]},{'fm'[i // 2 % 2]},{i % 3}\n" for i in range(240))
CHOICES = [(name, choice) for name, wish in WISHES.items() for choice in wish.choices]
SMALL, LARGE = Facts(width=64, examples=1437, steps=2200), Facts(width=4096, examples=40_000, steps=62_500, batch=256)


@pytest.fixture
def people(tmp_path):
    (tmp_path / "people.csv").write_text(ROWS)
    return str(tmp_path / "people.csv")


def invoke(*arguments: str):
    return CliRunner().invoke(main, ["suggest", *arguments], prog_name="metaprior")


def advice(*arguments: str) -> dict:
    done = invoke(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.output)


def suggested(found: dict) -> list[str]:
    return [suggestion["recipe"] for suggestion in found["suggestions"]]


# The wishes.


def test_the_command_offers_the_wishes_that_there_are_rules_for():
    assert tuple(WISHES) == METAPRIORS
    assert wishes.GENERAL in WISHES


def test_every_working_recipe_is_suggested_for_something_and_no_other():
    working = {record.name for record in recipes.catalogue() if record.status == "works"}
    assert {choice.recipe for _, choice in CHOICES} == working


@pytest.mark.parametrize("facts", [SMALL, LARGE, Facts(width=4)], ids=["small", "large", "unknown"])
def test_starting_values_are_values_that_the_recipe_takes(facts):
    for _, choice in CHOICES:
        start = choice.start(facts)
        prefix = "model.parameters."
        parameters = {key.removeprefix(prefix): value for key, value in start.items() if key.startswith(prefix)}
        assert parameters.items() <= recipes.validate(choice.recipe, parameters).items()


def test_every_reason_is_a_sentence_that_goes_on_after_the_name():
    for _, choice in CHOICES:
        assert re.fullmatch(r"[a-z][^.]*\.", choice.why)


def test_values_of_papers_on_images_are_not_given_to_small_data():
    (beta_vae,) = (choice for choice in WISHES["disentanglement"].choices if choice.recipe == "beta_vae")
    assert beta_vae.start(LARGE) == {"model.parameters.beta": 4.0}
    assert beta_vae.start(SMALL)["model.parameters.beta"] < 4


def test_ramps_end_within_the_training():
    annealed = wishes.ANNEALED_VAE.start(SMALL)
    assert annealed["model.parameters.steps"] == SMALL.steps / 2
    assert "model.parameters.steps" not in wishes.ANNEALED_VAE.start(Facts(width=64))


def test_batches_grow_only_where_they_are_too_small_and_the_data_suffice():
    assert wishes.INFO_VAE.start(SMALL)["training.batch"] == 128
    assert "training.batch" not in wishes.INFO_VAE.start(LARGE)
    assert "training.batch" not in wishes.INFO_VAE.start(Facts(width=64, examples=100))


@pytest.mark.parametrize(
    ("roles", "wish"),
    [
        ((), "general"),
        (("label",), "general"),
        (("factors", "label"), "disentanglement"),
        (("sensitive", "factors"), "invariance"),
    ],
)
def test_the_data_speak_for_a_wish(roles, wish):
    assert implied(frozenset(roles)) == wish


def test_groups_recur_in_full_data_and_not_in_a_thin_sample_of_it():
    sizes = (3, 6, 40, 32, 32)
    assert Facts(width=4096, examples=737_280, factor_sizes=sizes).recurring
    assert not Facts(width=4096, examples=1000, factor_sizes=sizes).recurring


def test_recipes_wait_for_the_first_role_they_lack():
    choices = WISHES["invariance"].choices
    assert lacking(choices, SMALL) == {
        "label": ["vib", "information_dropout"],
        "sensitive": ["vfae", "hsic_vae", "fader"],
    }
    assert lacking(choices, Facts(width=4, roles=frozenset({"label", "sensitive"}))) == {}


def test_planned_models_are_those_of_the_catalogue():
    assert [record.name for record in WISHES["semi-supervised"].planned()] == ["pixelgan_ae", "m1", "m2", "m1_m2"]
    assert {record.name for record in WISHES["hierarchy"].planned()} >= {"ladder_vae", "vlaae", "vq_vae"}
    assert not WISHES["hierarchy"].served()
    assert WISHES["disentanglement"].served()
    assert WISHES["bottleneck"].served()


# The command.


@pytest.mark.parametrize("wish", METAPRIORS)
@pytest.mark.parametrize("data", ["digits", "sprites", "people"])
def test_every_command_passes_every_check_of_a_run(data, wish, people):
    roles = ["--set", "data.sensitive=sex", "--set", "data.label=income", "--set", "data.factors=[age]"]
    source = [people, *roles] if data == "people" else [data]
    found = advice("--data", *source, "--metaprior", wish)
    assert len(found["suggestions"]) <= 3
    for suggestion in found["suggestions"]:
        program, verb, *flags = shlex.split(suggestion["command"])
        assert (program.endswith("metaprior"), verb) == (True, "run")
        given = dict.fromkeys(["--data", "--model"])
        sets = []
        for flag, value in zip(flags[::2], flags[1::2], strict=True):
            if flag == "--set":
                sets.append(tuple(value.split("=", 1)))
            else:
                given[flag] = value
        config = loading.load(data=given["--data"], model=given["--model"], sets=sets)
        preflight.check(config)
        assert config.model.recipe == suggestion["recipe"]
        assert suggestion["why"].startswith(f"{suggestion['recipe']} ")


def test_the_roles_of_a_table_decide(people):
    plain = advice("--data", people)
    assert (plain["metaprior"], suggested(plain)) == ("general", ["beta_vae", "info_vae", "vae"])
    assert plain["lacking"] == [
        "vib, information_dropout need a label. Set data.label to one of: job, sex, age, income.",
        "vfae, hsic_vae, fader need a sensitive attribute. Set data.sensitive to one of: job, sex, age, income.",
        "dc_ign needs ground-truth factors. Set data.factors to some of: age, income.",
    ]
    fair = advice("--data", people, "--set", "data.sensitive=sex")
    assert (fair["metaprior"], suggested(fair)) == ("invariance", ["vfae", "hsic_vae", "fader"])
    assert fair["because"] == "as the data has a sensitive attribute"
    robust = advice("--data", people, "--set", "data.label=income", "--metaprior", "invariance")
    assert suggested(robust) == ["vib", "information_dropout"]
    assert robust["lacking"] == [
        "vfae, hsic_vae, fader need a sensitive attribute. Set data.sensitive to one of: job, sex, age."
    ]


def test_where_nothing_can_be_done_the_data_are_asked_for(people):
    text = invoke("--data", people, "--metaprior", "invariance").output
    assert "There is nothing to suggest for this data.\n" in text
    assert "metaprior run" not in text


def test_a_recipe_that_would_learn_nothing_is_not_suggested():
    full, thin = (advice("--data", "sprites", *more) for more in ([], ["--set", "data.sprites.count=1000"]))
    assert suggested(full) == ["beta_tcvae", "dc_ign", "dip_vae_i"]
    assert suggested(thin) == ["beta_tcvae", "dip_vae_i", "factor_vae"]
    assert "dc_ign would learn nothing: in so few examples, hardly two agree in all factors but one." in thin["lacking"]


def test_it_says_so_where_the_right_models_are_planned():
    text = " ".join(invoke("--data", "digits", "--metaprior", "hierarchy").output.split())
    assert "No working recipe is made for this yet; planned are vlae, pixel_vae, ladder_vae, vlaae, vq_vae." in text
    assert "--model annealed_vae" in text
    assert "--model ladder_vae" not in text
    sequences = " ".join(invoke("--data", "digits", "--metaprior", "sequences").output.split())
    assert "Sequences cannot be given as data yet" in sequences
    assert "metaprior run" not in sequences


def test_the_flags_of_the_data_are_repeated_and_those_of_a_recipe_are_not(tmp_path):
    (tmp_path / "my run.yaml").write_text("data: {source: digits}\nmodel: {recipe: vae}\n")
    sets = ["--set", "training.epochs=3", "--set", "model.parameters.beta=2", "--set", "model.recipe=beta_vae"]
    command = advice("--config", str(tmp_path / "my run.yaml"), *sets)["suggestions"][-1]["command"]
    assert command.endswith(f" run --config '{tmp_path}/my run.yaml' --set training.epochs=3 --model vae")


def test_facts_are_counted_from_the_training_split():
    config = loading.load(data="digits", sets=[("training.epochs", "10"), ("data.splits.train", "2")])
    facts = suggest.facts_of(config, preflight.look(config))
    examples = round(1797 * 2 / 4)
    assert (facts.width, facts.examples, facts.steps) == (64, examples, examples // 64 * 10)
    assert facts.roles == {"label"}


def test_wrong_input_is_refused_like_a_run(people):
    assert invoke("--data", "x").stderr.startswith("metaprior: data.source: no such file or folder: x.")
    assert invoke().stderr == "metaprior: give --config FILE or --data PATH. See metaprior suggest --help.\n"
    assert "data.label: no column 'sx'" in invoke("--data", people, "--set", "data.label=sx").stderr
    with pytest.raises(InputError, match=r"^data\.images: is for image folders only"):
        preflight.look(loading.load(data="digits", sets=[("data.images.channels", "1")]))


def test_it_loads_nothing_heavy():
    code = """
import sys
from pipeline.cli import main
try:
    main(["suggest", "--data", "digits"])
finally:
    print(sorted({"tensorflow", "keras", "tfx", "apache_beam", "sklearn", "pandas"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--model beta_vae" in done.stdout
