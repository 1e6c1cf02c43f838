"""Disks that are full and folders that are read-only, for real: one line, and the same command works afterwards."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import samples
from conftest import digits_folder, largest_file, metaprior

from components.pusher.versions import push, writing
from models.errors import InputError
from pipeline import launch, loading, lock, paths
from pipeline.embed import embed_file

pytestmark = [*samples.STACK, pytest.mark.slow]  # whole runs on small file systems

ELSEWHERE = "Choose another folder: --set output=FOLDER, or"
ROOT = Path(__file__).parents[1]


def run(folder: Path, output: Path, *more: str):
    return metaprior(folder, "run", "--config", "digits.yaml", "--set", f"output={output}", *more)


def embed(finished, target: Path, **more) -> int:
    serving = finished.root / "serving" / "encoder"
    return embed_file("digits", target, serving=serving, beam_args=("--runner=FnApiRunner",), **more)


def refusal(config) -> str:
    with pytest.raises(InputError) as caught:
        launch.Worker(config)
    return str(caught.value)


def test_a_run_into_a_read_only_folder_is_refused_before_it_starts(disk, tmp_path):
    disk.set("ro")
    done = run(digits_folder(tmp_path), disk.folder / "runs")
    assert done.output == (
        f"metaprior: output: cannot write {disk.folder}/runs/digits: Read-only file system. {ELSEWHERE} "
        "make it writable.\n"
    )
    assert done.code == 2


def test_a_run_onto_a_full_disk_is_refused_before_it_starts(disk, tmp_path):
    disk.set("size=64k")
    filler = disk.fill()
    done = run(digits_folder(tmp_path), disk.folder / "runs")
    assert done.output == (
        f"metaprior: output: cannot write {disk.folder}/runs/digits: No space left on device. {ELSEWHERE} "
        "free some space.\n"
    )
    assert done.code == 2
    filler.unlink()
    lock.check(disk.folder / "runs" / "digits")


def test_a_limit_on_files_refuses_a_run_before_it_starts(tmp_path):
    config = loading.load(data="digits", sets=[("output", str(tmp_path))])
    remedy = f"File too large. {ELSEWHERE} raise the limit."
    with largest_file(0):
        assert refusal(config) == f"output: cannot write {paths.root(config)}: {remedy}"
    with largest_file(100):  # enough for the lock, not for the configuration
        assert refusal(config) == f"output: cannot write {paths.logs(config)}: {remedy}"
    lock.check(paths.root(config))


def test_a_worker_whose_log_is_full_still_says_why_it_failed(tmp_path):
    config = loading.load(data="digits", sets=[("output", str(tmp_path))])
    settings = tmp_path / "settings.json"
    settings.write_text(config.model_dump_json())
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "pipeline.worker", str(settings), str(writing)]
    with Path("/dev/full").open("wb") as full, lock.locked(paths.root(config)):
        done = subprocess.run(
            command, stdout=full, stderr=full, pass_fds=[writing], cwd=ROOT, start_new_session=True, check=False
        )
    os.close(writing)
    with os.fdopen(reading) as told:
        [event] = [json.loads(line) for line in told]
    assert event["reason"].startswith(f"{paths.root(config)}: another run (process {os.getpid()}) is at work here.")
    assert done.returncode == 2


FEW = ("--set", "training.epochs=2", "--set", "evaluation.labels=[all]")
"""A run that is as short as a whole one can be."""


def test_a_disk_that_fills_during_training_stops_the_run_and_room_resumes_it(disk, tmp_path):
    folder = digits_folder(tmp_path)
    disk.set("size=1m")
    done = run(folder, disk.folder / "runs", *FEW)
    root = disk.folder / "runs" / "digits"
    [checkpoints] = (root / "checkpoints").iterdir()
    [log] = (root / "logs").glob("*.log")
    assert done.output.partition("\n\n")[2] == (
        f"Trainer failed: checkpoints: cannot write to {checkpoints}: No space left on device. Free some space or "
        "make the folder writable; then the same command resumes the training from its last whole checkpoint.\n"
        f"Log: {log.relative_to(folder)}\n"
    )
    assert done.output.count("failed") == 1
    assert "Traceback" not in done.output
    assert done.code == 2

    disk.set("size=64m")
    again = run(folder, disk.folder / "runs", *FEW)
    assert again.code == 0, again.output
    assert "Transform cached" in again.output
    assert "Trainer done" in again.output
    assert (root / "serving" / "encoder" / "1" / "saved_model.pb").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("size", ["12k", "160k", "600k", "3700k", "5500k", "7900k"])
def test_wherever_the_disk_fills_a_line_says_so_and_room_mends_it(disk, tmp_path, size):
    folder = digits_folder(tmp_path)
    disk.set(f"size={size}")
    done = run(folder, disk.folder / "runs", *FEW)
    assert done.code == 2, done.output
    said, log = done.output.partition("\n\n")[2].splitlines()
    assert re.fullmatch(r"\w+ failed: .*(the disk is full|No space left on device)\. .*ree some space.*", said)
    assert log.startswith("Log: ")

    disk.set("size=64m")
    again = run(folder, disk.folder / "runs", *FEW)
    assert again.code == 0, again.output
    assert "Pushed: version 1 in " in again.output


def test_a_push_onto_a_full_disk_leaves_no_version_and_works_once_there_is_room(disk, tmp_path):
    model, folder = tmp_path / "model", disk.folder / "encoder"
    model.mkdir()
    (model / "saved_model.pb").write_bytes(bytes(100_000))
    disk.set("size=64k")
    with pytest.raises(InputError) as caught, writing(folder):
        push(model, folder)
    assert str(caught.value) == (
        f"serving.path: cannot write {folder}: No space left on device. Choose another folder or free some space."
    )
    assert [entry.name for entry in folder.iterdir()] == [".lock"]
    disk.set("size=1m")
    with writing(folder):
        assert push(model, folder) == 1


def test_embedding_onto_a_full_disk_leaves_nothing_and_works_once_there_is_room(finished, disk):
    disk.set("size=16k")
    target = disk.folder / "digits.parquet"
    done = metaprior(finished.folder, "embed", "digits", str(target))
    assert done.output == (
        f"metaprior: {target}: cannot write there: the disk is full. Choose another path, or free some space.\n"
    )
    assert done.code == 2
    assert list(disk.folder.iterdir()) == []
    disk.set("size=1m")
    assert embed(finished, target) == pq.read_metadata(target).num_rows == 1797


def test_what_was_embedded_before_a_disk_was_full_is_not_embedded_again(finished, disk):
    disk.set("size=160k")
    target, said = disk.folder / "digits.parquet", []
    with pytest.raises(InputError, match="the disk is full. Choose another path, or free some space."):
        embed(finished, target, batches=1)
    parts = sorted(path.name for path in (disk.folder / ".digits.parquet.partial").iterdir())
    assert parts[:3] == [".lock", "00000-0000001.part", "00000-0000002.part"]
    assert parts[-1] == "identity.json"  # and nothing half written
    disk.set("size=1m")
    assert embed(finished, target, batches=1, say=said.append) == 1797
    assert said == [f"{target}: going on after {256 * (len(parts) - 2):,} of 1,797 rows."]
    assert list(disk.folder.iterdir()) == [target]


def test_embedding_into_a_read_only_folder_is_refused(finished, disk):
    disk.set("ro")
    target = disk.folder / "digits.parquet"
    with pytest.raises(InputError) as caught:
        embed(finished, target)
    assert str(caught.value) == f"{target}: cannot write there: Read-only file system. Choose another path."


def test_embedding_under_a_limit_on_files_leaves_nothing(finished, tmp_path):
    target = tmp_path / "codes" / "digits.parquet"
    with largest_file(2**14):
        done = metaprior(finished.folder, "embed", "digits", str(target))
    assert done.output == (
        f"metaprior: {target}: cannot write there: the shell (ulimit -f) or the file system allows no larger file. "
        "Choose another path, or raise the limit.\n"
    )
    assert done.code == 2
    assert list(target.parent.iterdir()) == []
