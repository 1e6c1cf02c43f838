"""`metaprior monitor` against runs as TFX records them: which is compared with, what is written, what is run."""

import json
import shlex
import sys

import numpy as np
import pyarrow as pa
import pytest
import stores
import tensorflow as tf
from click.testing import CliRunner
from encoders import OTHER, SPACE, write_codes
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from components.drift.compare import Settings
from models.errors import InputError
from pipeline.cli.group import main
from pipeline.monitor import reference
from pipeline.monitor.watch import Hook, Monitor

FIRST, SECOND = "20260701-100000", "20260702-100000"


def codes(seed: int, *, by: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(200, 2)) + by


def rates(seed: int) -> pa.Array:
    return pa.array(np.random.default_rng(seed).normal(5.0, 1.0, 200), pa.float32())


def write_live(path, *, by: float = 0.0, space: str = SPACE):
    return write_codes(path, codes(1, by=by), space=space, rate=rates(1))


@pytest.fixture
def output(tmp_path):
    """Two runs of one pipeline that pushed versions 1, of another space, and 2."""
    output = tmp_path / "runs"
    store = stores.Recorder(output / "digits")
    for version, (run, space) in enumerate(((FIRST, OTHER), (SECOND, SPACE)), start=1):
        place = f"Embedder/embeddings/{version}"
        write_codes(store.root / place / "Split-test" / "embeddings-0.parquet", codes(0), space=space, rate=rates(0))
        write_codes(store.root / place / "Split-test" / "baselines-0.parquet", codes(9), space="vae-2-other")
        found, last = store.artifact("Embeddings", place), store.artifact("Embeddings", "Embedder/last")
        embedded = [("baseline_embeddings", last), ("embeddings", found)]
        store.step(run, "Embedder", stores.COMPLETE, (), embedded)
        folder = store.root / "serving" / "encoder" / str(version)
        folder.mkdir(parents=True)
        facts = {"pushed": 1, "pushed_destination": str(folder), "pushed_version": version}
        pushed = store.artifact("PushedModel", f"Pusher/{version}", **facts)
        store.step(run, "Pusher", stores.COMPLETE, embedded, [("pushed_model", pushed)])
    return output


def monitor(output, *arguments):
    command = ["monitor", *map(str, arguments), "--output", str(output), "--permutations", "300"]
    done = CliRunner().invoke(main, command, prog_name="metaprior")
    if done.exit_code not in (0, 1, 2) or not isinstance(done.exception, SystemExit | None):
        raise RuntimeError(done.output) from done.exception
    return done


def refusal(output, *arguments) -> str:
    done = monitor(output, *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    return done.stderr.removeprefix("metaprior: ").removesuffix("\n")


def test_what_is_served_is_compared_with_what_it_was_evaluated_on(output, tmp_path):
    done = monitor(output, write_live(tmp_path / "live.parquet"))
    line, where = done.output.splitlines()
    assert done.exit_code == 0
    assert line.startswith("no drift: MMD^2 ")
    assert line.endswith(f"; 200 live against 200 evaluated; {SPACE}")
    assert where == f"Record: {output}/digits/monitor/drift.json"
    record = json.loads((output / "digits" / "monitor" / "drift.json").read_text())
    assert record["reference"]["place"] == str(output / "digits/Embedder/embeddings/2/Split-test")
    assert record["drifted"] == []


def test_drift_is_an_exit_code_a_record_a_curve_and_a_metric(output, tmp_path):
    place = tmp_path / "watched"
    live = write_live(tmp_path / "live.parquet", by=1.0)
    done = monitor(output, live, "--folder", place, "--textfile", tmp_path / "node" / "drift.prom", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert found == json.loads((place / "drift.json").read_text()) | {"record": str(place / "drift.json")}
    assert found["drifted"] == ["codes", "dimensions"]
    board = EventAccumulator(str(place / "tensorboard")).Reload()
    curves = {
        tag: [tf.make_ndarray(event.tensor_proto).item() for event in board.Tensors(tag)]
        for tag in board.Tags()["tensors"]
    }
    assert curves["drift/detected"] == [1.0]
    assert curves["drift/mmd2"] == [pytest.approx(found["kernel"]["mmd2"])]
    lines = (tmp_path / "node" / "drift.prom").read_text().splitlines()
    assert f'metaprior_drift_detected{{space="{SPACE}"}} 1.0' in lines
    assert f'metaprior_drift_dimensions{{space="{SPACE}"}} 2.0' in lines
    assert f'metaprior_drift_rate_shift_nats{{space="{SPACE}"}} {found["rate"]["shift"]}' in lines


def test_of_a_log_of_several_versions_those_of_the_reference_are_looked_at(output, tmp_path):
    write_live(tmp_path / "log" / "1.parquet", by=3.0, space=OTHER)
    write_live(tmp_path / "log" / "2.parquet")
    assert monitor(output, tmp_path / "log").exit_code == 0
    assert monitor(output, tmp_path / "log", "--run", "digits").exit_code == 0
    assert monitor(output, tmp_path / "log", "--run", FIRST).exit_code == 1


def test_any_file_of_the_space_can_be_the_reference(output, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    live, other = write_live(tmp_path / "live.parquet"), write_live(tmp_path / "other.parquet", by=1.0)
    done = monitor(output, live, "--reference", other)
    assert (done.exit_code, done.output.splitlines()[1]) == (1, "Record: monitor/drift.json")
    assert refusal(output, live, "--reference", other, "--run", "digits") == (
        "--run and --reference: name one of them to compare with."
    )


def test_embeddings_of_another_space_are_refused(output, tmp_path):
    live = write_live(tmp_path / "live.parquet", space=OTHER)
    assert refusal(output, live) == (
        f"{live}: holds embeddings of {OTHER}, and the reference (run {SECOND}) is of {SPACE}: they cannot be "
        "compared. Name the run of these embeddings (--run), or embed them again with this encoder."
    )
    assert not (output / "digits" / "monitor").exists()


def test_a_version_of_unknown_origin_is_told(output, tmp_path):
    (output / "digits/serving/encoder/3").mkdir()
    assert refusal(output, write_live(tmp_path / "live.parquet")) == (
        f"{output}/digits/serving/encoder: its newest version was pushed by no run below {output}. Name what to "
        "compare with: --run or --reference."
    )


def test_a_record_that_cannot_be_written_is_told(output, tmp_path):
    (tmp_path / "file").write_text("")
    told = refusal(output, write_live(tmp_path / "live.parquet"), "--folder", tmp_path / "file")
    assert (
        told == f"{tmp_path}/file: cannot write there: File exists. Choose another with --folder, or make it writable."
    )


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "nothing-of-this-name x",
            "--on-drift: no such command: nothing-of-this-name. Check its path; no shell looks at it.",
        ),
        ("echo 'x", "--on-drift: not a command: No closing quotation. Received: echo 'x"),
        ("", "--on-drift: must be a command, such as 'metaprior run --config digits.yaml'."),
    ],
)
def test_a_command_that_cannot_be_run_is_told_before_anything_else(output, tmp_path, command, message):
    assert refusal(output, tmp_path / "none", "--on-drift", command) == message


def test_drift_runs_a_command_that_knows_the_record(output, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = "import os, shutil; shutil.copy(os.environ['METAPRIOR_DRIFT'], 'copied $HOME.json')"
    command = shlex.join([sys.executable, "-c", script])
    done = monitor(output, write_live(tmp_path / "live.parquet", by=1.0), "--on-drift", command)
    assert (done.exit_code, done.stderr) == (1, f"on drift: {command} ended with code 0\n")
    assert json.loads((tmp_path / "copied $HOME.json").read_text())["drifted"] == ["codes", "dimensions"]
    failing = shlex.join([sys.executable, "-c", "raise SystemExit(7)"])
    done = monitor(output, write_live(tmp_path / "live.parquet"), "--on-drift", failing)
    assert (done.exit_code, done.stderr) == (0, "")
    done = monitor(output, write_live(tmp_path / "live.parquet", by=1.0), "--on-drift", failing)
    assert (done.exit_code, done.stderr) == (1, f"on drift: {failing} ended with code 7\n")


def test_single_looks_run_the_command_once_for_each_drift(output, tmp_path):
    """As a timer does: the record in the folder is what one look knows of the last."""
    marks, hook = tmp_path / "marks", ["--on-drift"]
    hook.append(shlex.join([sys.executable, "-c", f"open({str(marks)!r}, 'a').write('x')"]))
    counts = []
    for by in (1.0, 1.0, 0.0, 1.0):
        monitor(output, write_live(tmp_path / "live.parquet", by=by), *hook)
        counts.append(len(marks.read_text()))
    assert counts == [1, 1, 1, 2]
    record = output / "digits" / "monitor" / "drift.json"
    for before in (record.read_text().replace(SPACE, OTHER), "{}"):  # of another encoder, or of no use
        record.write_text(before)
        monitor(output, tmp_path / "live.parquet", *hook)
        counts.append(len(marks.read_text()))
    assert counts[4:] == [3, 4]


def test_a_look_that_could_not_be_told_is_not_the_beginning(output, tmp_path):
    live, place = write_live(tmp_path / "live.parquet", by=1.0), tmp_path / "drift.prom"
    place.mkdir()
    hook = ["--textfile", place, "--on-drift", "true"]
    assert "cannot write there" in refusal(output, live, *hook)
    place.rmdir()
    assert "ended with code 0" in monitor(output, live, *hook).stderr


def test_a_sample_that_memory_would_not_hold_is_refused(output, tmp_path):
    done = monitor(output, tmp_path / "none", "--sample", 5001)
    assert done.exit_code == 2
    assert "5001 is not in the range 30<=x<=5000" in done.output


class EnoughError(Exception):
    """Ends a watch."""


def test_a_watch_runs_the_command_once_for_each_drift_and_outlives_refusals(output, tmp_path):
    live, marks = tmp_path / "live.parquet", tmp_path / "marks"
    hook = Hook.parse(shlex.join([sys.executable, "-c", f"open({str(marks)!r}, 'a').write('x')"]))
    told: list[object] = []
    turns = iter([None, 1.0, 1.0, 0.0, 1.0])

    def turn() -> None:
        by = next(turns, "end")
        if by == "end":
            raise EnoughError
        live.unlink(missing_ok=True)
        if isinstance(by, float):
            write_live(live, by=by)

    def tell(look) -> None:
        told.append(hook.after(look))
        turn()

    def refuse(error) -> None:
        told.append(str(error))
        turn()

    turn()
    watched = Monitor(
        live, lambda: reference.of_run(output, None), Settings(permutations=300), folder=tmp_path / "here"
    )
    with pytest.raises(EnoughError):
        watched.watch(1e-9, tell=tell, refuse=refuse)
    assert told == [f"{live}: no such file or folder. Check the path.", 0, None, None, 0]
    assert marks.read_text() == "xx"


def test_a_run_that_embedded_nothing_is_told(tmp_path):
    store = stores.Recorder(tmp_path / "runs" / "digits")
    store.step(FIRST, "Trainer", stores.FAILED)
    with pytest.raises(InputError) as caught:
        reference.of_run(tmp_path / "runs", FIRST)
    assert str(caught.value) == f"{FIRST}: this run embedded nothing. `metaprior runs {FIRST}` shows how it went."
