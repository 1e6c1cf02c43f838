"""Batch embedding of what a person names: which array, how many, under which columns."""

import dataclasses
import shutil
from pathlib import Path

import artifacts
import keras
import numpy as np
import pyarrow.parquet as pq
import pytest
import samples
from click.testing import CliRunner
from sklearn.datasets import load_digits

from models.errors import InputError
from models.features.spec import FeatureSpec
from pipeline.cli.group import main
from pipeline.embed import matching_data

pytestmark = samples.STACK
exported = artifacts.exported

SPEC = FeatureSpec("image", (8, 8, 1), "uint8", label="digit", factors=("a", "b"), factor_sizes=(2, 2))
RECORD = {
    "spec": dataclasses.asdict(SPEC),
    "images": {"size": [8, 8], "channels": 1, "letterbox": False},
    "missing": ["?"],
}


@pytest.fixture(scope="module")
def serving(exported, tmp_path_factory) -> Path:
    """A serving folder with one version, of the digits' encoder."""
    folder = tmp_path_factory.mktemp("serving")
    shutil.copytree(exported["digits"].serving, folder / "1")
    return folder


def embed(source, target: Path, serving: Path, *options: str):
    command = ["embed", str(source), str(target), "--serving", str(serving), *options]
    return CliRunner().invoke(main, command, prog_name="metaprior")


def test_the_array_of_an_npz_file_is_chosen_by_its_name(serving, exported, tmp_path):
    images = np.round(load_digits().images[:30] * (255 / 16)).astype(np.uint8)
    np.savez(tmp_path / "two.npz", dark=images, light=255 - images, names=[f"scan {n}" for n in range(30)])
    target = tmp_path / "codes.parquet"
    done = embed(tmp_path / "two.npz", target, serving, "--array", "light", "--set", "data.id=names")
    assert (done.exit_code, done.output) == (0, f"30 embeddings written to {target}\n")
    table = pq.read_table(target)
    assert table.column("id").to_pylist() == [f"scan {n}" for n in range(30)]
    expected = exported["digits"].signatures.embed({"image": (255 - images)[..., None]})["embedding"]
    np.testing.assert_allclose(table.column("embedding").to_pylist(), expected, atol=1e-5)


def test_a_picture_that_cannot_be_decoded_is_told_in_a_line(serving, tmp_path):
    (tmp_path / "photos").mkdir()
    keras.utils.save_img(tmp_path / "photos" / "a.png", np.zeros([8, 8, 1]))
    (tmp_path / "photos" / "b.png").write_bytes((tmp_path / "photos" / "a.png").read_bytes()[:40])
    done = embed(tmp_path / "photos", tmp_path / "codes.parquet", serving)
    path = tmp_path / "photos" / "b.png"
    assert (done.exit_code, done.stderr) == (
        2,
        f"metaprior: {path}: cannot be decoded as an image. Replace it or take it out of the folder.\n",
    )


def test_as_many_sprites_are_embedded_as_are_asked_for(serving, tmp_path):
    target = tmp_path / "sprites.parquet"
    done = embed("sprites", target, serving, "--set", "data.sprites.count=20", "--seed", "3")
    assert (done.exit_code, done.output) == (0, f"20 embeddings written to {target}\n")
    drawn = np.random.default_rng(3).choice(737_280, 20, replace=False)
    assert sorted(map(int, pq.read_table(target).column("id").to_pylist())) == sorted(drawn.tolist())


def test_how_examples_are_made_comes_with_the_encoder():
    data = matching_data("digits", RECORD, [("data.label", "label")])
    assert (data.images.size, data.images.letterbox, data.missing) == ((8, 8), False, ("?",))
    assert (data.source, data.label) == ("digits", "label")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "data.aray",
            "x",
            "data.aray: is not for embedding, or comes with the encoder. Did you mean data.array?",
        ),
        (
            "training.epochs",
            "3",
            "training.epochs: is not for embedding, or comes with the encoder. Set one of data.array, data.kind, "
            "data.id, data.label, data.sensitive, data.factors, data.sprites.count.",
        ),
        ("data.sprites.count", "0", "data.sprites.count: must be a whole number of at least 1, or null. Received: 0."),
        ("data.array", "x", "data.array: is for npz files only, and the data is digits. Leave it out."),
        ("data.sensitive", "sex", "data.sensitive: the encoder was trained on data without. Leave it out."),
        ("data.factors", "[a]", "data.factors: name those that the encoder knows as a, b, in this order."),
    ],
)
def test_what_cannot_be_set_is_told_in_one_line(key, value, message):
    with pytest.raises(InputError) as caught:
        matching_data("digits", RECORD, [(key, value)])
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--array", "lihgt"], "data.array: no array named 'lihgt' in two.npz. Did you mean light?"),
        ([], "two.npz: cannot tell which array holds the examples. Set data.array to one of: dark (3, 8, 8), light "),
        (
            ["--array", "dark", "--set", "data.id=nmes"],
            "data.id: no array named 'nmes' in two.npz. Choose one of: dark, light, wide.",
        ),
        (
            ["--array", "wide"],
            "two.npz: holds uint8 images of 9x8x1, but the model was trained on uint8 images of 8x8x1. ",
        ),
    ],
)
def test_an_array_that_cannot_be_embedded_is_told(serving, tmp_path, options, message):
    small, wide = np.zeros((3, 8, 8), np.uint8), np.zeros((3, 9, 8), np.uint8)
    np.savez(tmp_path / "two.npz", dark=small, light=small, wide=wide)
    done = embed(tmp_path / "two.npz", tmp_path / "codes.parquet", serving, *options)
    assert done.exit_code == 2
    assert message in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["two.npz"]
