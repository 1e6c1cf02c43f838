"""The run configuration: what is read, what wins over what, and what it looks like."""

from pathlib import Path

import pytest

from models.errors import InputError
from pipeline import loading, reference
from pipeline.config import Config, Data

ROOT = Path(__file__).parent.parent
SOURCE = "a path or a built-in name (--data gives it, too)"


def test_data_must_be_given():
    with pytest.raises(InputError) as caught:
        loading.load()
    assert str(caught.value) == f"data.source: is missing. It must be {SOURCE}."


def test_flags_win_over_the_file_and_sets_over_flags(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("data: {source: digits}\ntraining: {epochs: 3, batch: 8}\nseed: 1")
    config = loading.load(
        path,
        data="sprites",
        sets=[("training.epochs", "5"), ("data.sprites.count", "7"), ("serving.path", "out/here")],
    )
    assert (config.data.source, config.data.sprites.count, config.name) == ("sprites", 7, "sprites")
    assert (config.training.epochs, config.training.batch, config.seed) == (5, 8, 1)
    assert config.serving.path == Path("out/here")


def test_a_set_value_is_yaml():
    sets = [("evaluation.labels", "[10, all]"), ("training.learning_rate", "1e-4"), ("training.xla", "on")]
    config = loading.load(data="digits", sets=[*sets, ("data.label", "")])
    assert config.evaluation.labels == (10, "all")
    assert (config.training.learning_rate, config.training.xla, config.data.label) == (1e-4, "on", None)


def test_a_set_value_that_is_not_yaml_is_told():
    with pytest.raises(InputError) as caught:
        loading.load(data="digits", sets=[("training.epochs", "[")])
    assert str(caught.value) == (
        "--set training.epochs=[, line 1, column 2: expected the node content, but found '<stream end>'."
    )


def test_another_recipe_leaves_the_files_parameters_behind(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("data: {source: digits}\nmodel: {recipe: beta_vae, latent: 3, parameters: {beta: 2.0}}")
    same = loading.load(path, model="beta_vae").model
    other = loading.load(path, model="vae").model
    assert same.parameters == {"beta": 2.0}
    assert (other.recipe, other.latent, other.parameters) == ("vae", 3, {})


def test_a_section_whose_lines_are_all_commented_out_is_its_default(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("data:\n  source: digits\n  images:\ntraining:\n  # epochs: 3\n")
    assert loading.load(path) == loading.load(data="digits")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("mnist", "mnist"),
        ("./photos", "photos"),
        ("../My Photos.v2/", "my-photos-v2"),
        ("../data/adult-train.csv", "adult-train"),
        ("Codes.NPZ", "codes"),
        ("日本", "run"),
    ],
)
def test_a_run_is_named_after_its_data(source, name):
    assert loading.load(data=source).name == name


def test_a_name_from_the_data_fits_its_own_rule():
    assert loading.load(data="x" * 200).name == "x" * 63


def test_a_configuration_survives_json():
    config = loading.load(data="x.csv", sets=[("data.schema", "s.pbtxt"), ("data.label", "income")])
    assert config.data.schema_path == Path("s.pbtxt")
    assert Config.model_validate_json(config.model_dump_json()) == config


def test_a_configuration_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Data(source="digits").label = "x"


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_configuration_is_valid(path):
    data = None if "source:" in path.read_text() else f"somewhere/{path.stem}"
    assert loading.load(path, data=data).name == path.stem


def test_the_reference_is_up_to_date():
    written = (ROOT / "docs" / "configuration.md").read_text()
    assert written == reference.markdown(), "run: metaprior config --markdown > docs/configuration.md"
