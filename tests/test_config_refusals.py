"""What is refused in a run configuration, and in which words."""

from pathlib import Path

import pytest

from models.errors import InputError
from pipeline import loading, preflight

SOURCE = "a path or a built-in name (--data gives it, too)"
NAME = "a name of at most 63 small letters, digits, - and _, beginning with a letter or digit"
SECTIONS = "name, seed, output, data, model, training, evaluation, serving, sweep, choose, beam"


def refusal(text: str, tmp_path: Path, **flags) -> str:
    """The message for a configuration file, with the file's own path written as FILE."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        loading.load(path, **flags)
    return str(caught.value).replace(str(path), "FILE")


ONE_KEY = [
    ("training: {epoch: 3}", "training.epoch: unknown key. Did you mean training.epochs?"),
    ("training: {epochs: 0}", "training.epochs: must be a whole number of at least 1. Received: 0."),
    ("training: {epochs: 1.5}", "training.epochs: must be a whole number of at least 1. Received: 1.5."),
    ("training: {epochs: '5'}", 'training.epochs: must be a whole number of at least 1. Received: "5".'),
    (
        "training: {learning_rate: 2}",
        "training.learning_rate: must be a number greater than 0 and at most 1. Received: 2.",
    ),
    (
        "training: {learning_rate: .nan}",
        "training.learning_rate: must be a number greater than 0 and at most 1. Received: NaN.",
    ),
    ("epochs: 3", "epochs: unknown key. Did you mean training.epochs?"),
    ("zzz: 3", f"zzz: unknown key. The keys here are {SECTIONS}."),
    ("1: 3", f"1: unknown key. The keys here are {SECTIONS}."),
    ("name: A b", f'name: must be {NAME}. Received: "A b".'),
    ("seed: -1", "seed: must be a whole number from 0 to 2147483647. Received: -1."),
    (
        "model: mnist",
        'model: must be a section with the keys recipe, latent, network, likelihood, parameters. Received: "mnist".',
    ),
    ("model: {network: cnn}", 'model.network: must be one of auto, mlp, conv. Received: "cnn".'),
    ("data: {source: 5}", f"data.source: must be {SOURCE}. Received: 5."),
    ("data: {source: ''}", f'data.source: must be {SOURCE}. Received: "".'),
    (
        "data: {source: x, label: 5}",
        "data.label: must be text, or null. Received: 5. Put it in quotes.",
    ),
    (
        "data: {source: x, factors: age}",
        'data.factors: must be a list of values, each text. Received: "age". Write it in brackets: [age].',
    ),
    (
        "data: {source: x, images: {size: [28]}}",
        "data.images.size: must be a list of 2 values, each a whole number of at least 1, or null. Received: [28].",
    ),
    (
        "data: {source: x, images: {channels: 2}}",
        "data.images.channels: must be 1 or 3, or null. Received: 2.",
    ),
    (
        "evaluation: {labels: [0, some]}",
        'evaluation.labels: must be a list of values, each a whole number of at least 1 or all. Received: [0, "some"].',
    ),
    (
        "evaluation: {bless: {elbo: 4}}",
        "evaluation.bless.elbo: must be a section with the keys min, max, drop, rise. Received: 4.",
    ),
    (
        "evaluation: {bless: {elbo: {mn: 4}}}",
        "evaluation.bless.elbo.mn: unknown key. Did you mean evaluation.bless.elbo.min?",
    ),
    ("beam: [x]", 'beam: must be a list of values, each a flag that begins with --. Received: ["x"].'),
]
SEVERAL_KEYS = [
    (
        "evaluation: {labels: [100, 10, all]}",
        "evaluation.labels: must rise, without repeats, and end with all. Write [10, 100, all].",
    ),
    (
        "evaluation: {labels: []}",
        "evaluation.labels: must hold at least one budget, such as [100, all]. Received: [].",
    ),
    (
        "evaluation: {bless: {elbow: {min: 3}}}",
        "evaluation.bless.elbow: no such metric. Did you mean elbo?",
    ),
    (
        "evaluation: {labels: [10], bless: {zzz: {min: 3}}}",
        "evaluation.bless.zzz: no such metric. docs/metrics.md lists them.",
    ),
    (
        "evaluation: {bless: {probe/linear/50: {min: 0.5}}}",
        "evaluation.bless.probe/linear/50: no such metric. Did you mean probe/linear/10?",
    ),
    (
        "evaluation: {bless: {elbo: {}}}",
        "evaluation.bless.elbo: needs at least one of min, max, drop, rise.",
    ),
    (
        "evaluation: {bless: {elbo: {min: 3, max: 1}}}",
        "evaluation.bless.elbo: min must be at most max. Received: min=3, max=1.",
    ),
    (
        "data: {kind: table, columns: {numeric: [a, b], ignore: [a]}}",
        "data.columns.ignore: a is in data.columns.numeric, too. Keep one.",
    ),
    (
        "data: {kind: table, label: a, id: a}",
        "data.id: a is data.label already. Give each its own column.",
    ),
]
NOT_YAML = [
    ("a: [1,", "FILE, line 1, column 7: expected the node content, but found '<stream end>'."),
    ("a: b: c", "FILE, line 1, column 5: mapping values are not allowed here."),
    (
        "training:\n  epochs: 3\n  epochs: 4",
        "FILE, line 3, column 3: the key epochs stands here and in line 2; keep one.",
    ),
    ("- x", "FILE: must hold keys and values, such as `name: digits`."),
    (
        "x: !!python/object:os.system {}",
        "FILE, line 1, column 4: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/object:os.system'.",
    ),
]


@pytest.mark.parametrize(("text", "message"), ONE_KEY)
def test_a_wrong_key_or_value_is_told_in_one_line(text, message, tmp_path):
    flags = {} if "source" in text else {"data": "digits"}
    assert refusal(text, tmp_path, **flags) == message


@pytest.mark.parametrize(("text", "message"), SEVERAL_KEYS)
def test_keys_that_contradict_each_other_are_told(text, message, tmp_path):
    assert refusal(text, tmp_path, data="digits") == message


@pytest.mark.parametrize(("text", "message"), NOT_YAML)
def test_what_is_not_yaml_is_told_with_its_place(text, message, tmp_path):
    assert refusal(text, tmp_path) == message


UNSUITED = [
    (("data.array", "x"), "data.array: is for npz files only, and the data is digits. Leave it out."),
    (
        ("data.sprites.count", "4"),
        "data.sprites: is for the built-in sprites only, and the data is digits. Leave it out.",
    ),
    (
        ("data.columns.numeric", "[a]"),
        "data.columns: is for tables (csv, parquet) only, and the data is digits. Leave it out.",
    ),
    (
        ("data.images.letterbox", "false"),
        "data.images: is for image folders only, and the data is digits. Leave it out.",
    ),
    (
        ("model.network", "conv"),
        "model.network: conv needs images of at least 16 x 16 pixels. Received: 8 x 8. Use mlp or auto, or "
        "enlarge the images with data.images.size.",
    ),
]


@pytest.mark.parametrize(("key", "message"), UNSUITED)
def test_what_the_data_cannot_have_is_told_before_the_run(key, message):
    with pytest.raises(InputError) as caught:
        preflight.check(loading.load(data="digits", sets=[key]))
    assert str(caught.value) == message


def test_a_bound_on_a_probe_needs_a_label(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    config = loading.load(data=str(path), sets=[("evaluation.bless", "{probe/linear/all: {min: 0.5}}")])
    with pytest.raises(InputError) as caught:
        preflight.check(config)
    assert str(caught.value) == (
        f"evaluation.bless.probe/linear/all: a probe needs a label, and {path} has none. Name one with "
        "data.label, or leave the bound out."
    )


def test_data_is_described_in_words(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b,c\n1,2,x\n3,4,y\n")
    table = preflight.check(loading.load(data=str(path), sets=[("data.label", "c")]))
    assert preflight.in_words(table) == "rows.csv: 2 rows of 2 columns, labeled by c"
    digits = preflight.check(loading.load(data="digits"))
    assert preflight.in_words(digits) == "digits: 1,797 images of 8 x 8 x 1, labeled by label"


def test_every_problem_gets_a_line_of_its_own(tmp_path):
    text = "training: {epochs: 0, batch: x}\nevaluation: {seed: 3}"
    assert refusal(text, tmp_path, data="digits").splitlines() == [
        "training.epochs: must be a whole number of at least 1. Received: 0.",
        'training.batch: must be a whole number of at least 1. Received: "x".',
        "evaluation.seed: unknown key. Did you mean evaluation.seeds?",
    ]


def test_a_long_value_is_shown_in_part(tmp_path):
    message = refusal(f"training: {{epochs: {'9' * 90}x}}", tmp_path, data="digits")
    assert message == f'training.epochs: must be a whole number of at least 1. Received: "{"9" * 56}....'


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(InputError) as missing:
        loading.load("nowhere.yaml")
    assert str(missing.value) == ("nowhere.yaml: no such configuration file. Check the path; `configs/` has examples.")
    with pytest.raises(InputError) as folder:
        loading.load(tmp_path)
    assert str(folder.value) == f"{tmp_path}: cannot be read: Is a directory."
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError) as undecodable:
        loading.load(binary)
    assert str(undecodable.value) == f"{binary}: not a text file in UTF-8. Give a YAML file."
