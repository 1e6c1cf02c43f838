"""`metaprior embed` and `backfill`, killed: the same command goes on, or says why it starts anew."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import artifacts
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import samples
from click.testing import CliRunner
from sklearn.datasets import load_digits

from pipeline.cli.group import main
from pipeline.parts import beside

pytestmark = samples.STACK
exported = artifacts.exported

ROOT = Path(__file__).parents[1]
ROWS, PART = 17_000, 8192
OLD = "vae-2-00000000000a"
KILLED = """
import os, signal, sys

def audit(event, arguments):
    if event == "os.rename" and "00000-0000003.part" in str(arguments):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(audit)
from pipeline.cli.group import main
main(sys.argv[1:])
"""
"""The command, killed when its third part is written, but not there yet."""


@dataclass(frozen=True)
class World:
    """Data, a serving folder, the file that an undisturbed command writes, and what a killed one left."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "scans.npz"

    @property
    def serving(self) -> Path:
        return self.folder / "serving"

    @property
    def whole(self) -> bytes:
        return (self.folder / "whole.parquet").read_bytes()

    def arguments(self, target: Path, *options: str) -> list[str]:
        return ["embed", str(self.data), str(target), "--serving", str(self.serving), *options]

    def embed(self, target: Path, *options: str) -> list[str]:
        done = CliRunner().invoke(main, self.arguments(target, *options), prog_name="metaprior")
        assert done.exit_code == 0, done.output
        return done.output.splitlines()

    def left(self, target: Path) -> Path:
        """Lays what the killed command left beside another file that is to be written."""
        shutil.copytree(self.folder / ".killed.parquet.partial", target.parent / f".{target.name}.partial")
        return target


@pytest.fixture(scope="module")
def world(exported, tmp_path_factory) -> World:
    world = World(tmp_path_factory.mktemp("world"))
    shutil.copytree(exported["digits"].serving, world.serving / "1")
    images = np.round(load_digits().images * (255 / 16)).astype(np.uint8)
    rows = np.random.default_rng(0).integers(0, len(images), ROWS)
    np.savez(world.data, images=images[rows], names=[f"scan {n}" for n in range(ROWS)])
    world.embed(world.folder / "whole.parquet")
    command = [sys.executable, "-c", KILLED, *world.arguments(world.folder / "killed.parquet")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    assert not (world.folder / "killed.parquet").exists()
    return world


def only(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_killed_command_goes_on_to_the_same_bytes(world, tmp_path):
    target = world.left(tmp_path / "codes.parquet")
    assert world.embed(target) == [
        f"{target}: going on after {2 * PART:,} of {ROWS:,} rows.",
        f"{ROWS:,} embeddings written to {target}",
    ]
    assert target.read_bytes() == world.whole
    assert only(tmp_path) == ["codes.parquet"]


def test_other_options_start_anew(world, tmp_path):
    target = world.left(tmp_path / "codes.parquet")
    assert world.embed(target, "--set", "data.id=names") == [
        f"{target}: starting anew, because the options changed since it was begun.",
        f"{ROWS:,} embeddings written to {target}",
    ]
    assert pq.read_table(target).column("id")[-1].as_py() == f"scan {ROWS - 1}"
    assert only(tmp_path) == ["codes.parquet"]


def test_another_input_and_another_encoder_start_anew(world, tmp_path):
    target = world.left(tmp_path / "codes.parquet")
    before, newer = world.data.stat(), world.serving / "2"
    shutil.copytree(world.serving / "1", newer)
    os.utime(world.data, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    try:
        said = world.embed(target)
    finally:
        os.utime(world.data, ns=(before.st_atime_ns, before.st_mtime_ns))
        shutil.rmtree(newer)
    assert said[0] == f"{target}: starting anew, because the input and the encoder changed since it was begun."
    assert target.read_bytes() == world.whole


def test_a_second_command_is_refused_in_one_line(world, tmp_path):
    target = world.left(tmp_path / "codes.parquet")
    before = only(tmp_path / ".codes.parquet.partial")
    with beside(target):
        done = CliRunner().invoke(main, world.arguments(target), prog_name="metaprior")
    assert (done.exit_code, done.output) == (
        2,
        f"metaprior: {target}: process {os.getpid()} is writing it. Wait for it, or name another file.\n",
    )
    assert only(tmp_path / ".codes.parquet.partial") == before


def test_backfill_goes_on_where_embed_was_killed(world, tmp_path):
    """Both embed all of the data; which of it is wanted is asked at the end."""
    target, old = world.left(tmp_path / "new.parquet"), tmp_path / "old.parquet"
    codes = pa.array([[0.0, 1.0]] * 3, pa.list_(pa.float32()))
    facts = {"metaprior": json.dumps({"space": OLD, "latent": 2})}
    pq.write_table(pa.table({"id": ["7", "16999", "12"], "embedding": codes}).replace_schema_metadata(facts), old)
    command = ["backfill", str(old), "--data", str(world.data), "--out", str(target), "--serving", str(world.serving)]
    done = CliRunner().invoke(main, command, prog_name="metaprior")
    assert done.output.splitlines()[0] == f"{target}: going on after {2 * PART:,} of {ROWS:,} rows."
    assert pq.read_table(target).equals(pq.read_table(world.folder / "whole.parquet").take([7, 12, 16999]))
    assert only(tmp_path) == ["new.parquet", "old.parquet"]
