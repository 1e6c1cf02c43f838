"""Embedding again what a file of an older space holds."""

import json
import shutil
from pathlib import Path

import artifacts
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import samples
from click.testing import CliRunner
from sklearn.datasets import load_digits

from pipeline.backfill import said_of_data
from pipeline.cli.group import main
from pipeline.loading import load

pytestmark = samples.STACK
exported = artifacts.exported
OLD = "vae-2-00000000000a"


@pytest.fixture(scope="module")
def serving(exported, tmp_path_factory) -> Path:
    """A serving folder whose newest version is the digits' encoder, aligned to the older space."""
    folder = tmp_path_factory.mktemp("serving")
    shutil.copytree(exported["digits"].serving, folder / "2")
    path = folder / "2" / "assets.extra" / "metaprior.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"aligned_to": {"space": OLD}}))
    return folder


@pytest.fixture
def images(tmp_path) -> np.ndarray:
    """Forty digits in a file, each with a name."""
    found = np.round(load_digits().images[:40] * (255 / 16)).astype(np.uint8)
    np.savez(tmp_path / "scans.npz", images=found, names=[f"scan {n}" for n in range(40)])
    return found


def keep(folder: Path, ids: list[str | None], space: str = OLD) -> Path:
    """Writes vectors of a space, as someone would keep them."""
    codes = pa.array([[0.0, 1.0]] * len(ids), pa.list_(pa.float32()))
    facts = {"metaprior": json.dumps({"space": space, "latent": 2})}
    table = pa.table({"id": pa.array(ids, pa.string()), "embedding": codes}).replace_schema_metadata(facts)
    pq.write_table(table, folder / "old.parquet")
    return folder / "old.parquet"


def backfill(old: Path, serving: Path, *options: str, out: str = "new.parquet"):
    data = ["--data", str(old.with_name("scans.npz")), "--set", "data.id=names"]
    command = ["backfill", str(old), "--out", str(old.with_name(out)), "--serving", str(serving)]
    return CliRunner().invoke(main, [*command, *data, *options], prog_name="metaprior")


def test_what_the_file_holds_is_embedded_again_and_nothing_else(exported, serving, images, tmp_path):
    old = keep(tmp_path, ["scan 7", "scan 31", "scan 2"])
    done = backfill(old, serving)
    space = json.loads((serving / "2" / "assets.extra" / "metaprior.json").read_text())["space"]
    assert (done.exit_code, done.output.splitlines()) == (
        0,
        [
            f"3 embeddings of {OLD} embedded again in {tmp_path / 'new.parquet'}: now of {space}",
            "The encoder answers in the old space, too: signature embed_aligned.",
        ],
    )
    table = pq.read_table(tmp_path / "new.parquet")
    assert json.loads(table.schema.metadata[b"metaprior"])["space"] == space
    found = dict(zip(table.column("id").to_pylist(), table.column("embedding").to_pylist(), strict=True))
    assert set(found) == {"scan 7", "scan 31", "scan 2"}
    expected = exported["digits"].signatures.embed({"image": images[[7, 31, 2], ..., None]})["embedding"]
    np.testing.assert_allclose([found[f"scan {n}"] for n in (7, 31, 2)], expected, atol=1e-5)

    again = backfill(tmp_path / "new.parquet", serving, out="newer.parquet")
    assert (again.exit_code, again.stderr) == (
        2,
        f"metaprior: {tmp_path / 'new.parquet'}: is of the newest encoder's space already, {space}. "
        "Nothing is left to embed.\n",
    )


@pytest.mark.parametrize(
    ("ids", "out", "message"),
    [
        (
            ["scan 1", "scan 40", "scan 99"],
            "new.parquet",
            "{folder}/scans.npz: has no example of 2 of the 3 ids that are wanted, such as 'scan 40'. "
            "Name the data, and with data.id the ids, that they are of.",
        ),
        (
            ["scan 1", "scan 1"],
            "new.parquet",
            "{folder}/old.parquet: holds the example 'scan 1' twice. "
            "Embed the data with an id (data.id) that names each once.",
        ),
        (
            ["scan 1", None],
            "new.parquet",
            "{folder}/old.parquet: holds an example without an id. "
            "Embed the data with an id (data.id) that names each once.",
        ),
        ([], "new.parquet", "{folder}/old.parquet: holds no embeddings. There is nothing to embed."),
        (
            ["scan 1"],
            "old.parquet",
            "{folder}/old.parquet: holds the embeddings that are to be replaced. Name another file.",
        ),
    ],
)
def test_what_cannot_be_embedded_again_is_told_and_nothing_is_left(serving, images, tmp_path, ids, out, message):
    old = keep(tmp_path, ids)
    content = old.read_bytes()
    done = backfill(old, serving, out=out)
    assert (done.exit_code, done.stderr) == (2, f"metaprior: {message.format(folder=tmp_path)}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.parquet", "scans.npz"]
    assert old.read_bytes() == content


def test_the_command_needs_data_and_a_file_to_write():
    for arguments, message in (
        (["--out", "x.parquet"], "give --data PATH or --config FILE. See metaprior backfill --help."),
        (["--out", "x.csv", "--data", "digits"], "x.csv: must end in .parquet."),
    ):
        done = CliRunner().invoke(main, ["backfill", "old.parquet", *arguments], prog_name="metaprior")
        assert (done.exit_code, done.stderr) == (2, f"metaprior: {message}\n")


def test_a_configuration_says_how_its_data_is_read(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("data: {source: scans.npz, array: images, id: names, splits: {eval: 2}}\nmodel: {recipe: vae}\n")
    assert dict(said_of_data(load(path))) == {"data.array": '"images"', "data.id": '"names"'}
    assert dict(said_of_data(load(data="digits"))) == {}
