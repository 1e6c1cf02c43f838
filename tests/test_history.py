"""Past runs and lineage, read from stores written as TFX writes them."""

import json
from pathlib import Path

import pytest
import stores
from stores import COMPLETE, FAILED, RUNNING, Recorder, record

from models.errors import InputError
from pipeline import history, lock

output = stores.output


def refusal(function, *args) -> str:
    with pytest.raises(InputError) as caught:
        function(*args)
    return str(caught.value)


def test_runs_come_latest_first_with_their_state(output):
    found = history.runs(output)
    assert [(run.id, run.pipeline, run.state) for run in found] == [
        ("20260703-100000", "digits", "stopped"),
        ("20260702-100000", "digits", "failed"),
        ("20260701-100000", "digits", "done"),
    ]
    assert [(run.blessed, run.version) for run in found] == [(None, None), (None, None), (True, 3)]


def test_unfinished_runs_are_running_while_the_lock_is_held_under_which_they_began(tmp_path):
    store = record(tmp_path)
    with lock.locked(store.root):
        store.step("20260704-100000", "Trainer", COMPLETE)  # trials of a sweep, at once
        store.step("20260704-100001", "Trainer", RUNNING)
        store.step("20260704-100002", "Trainer", FAILED)
        store.step("20260704-100003", "Trainer", RUNNING)
        found = history.runs(tmp_path)
    states = {run.id: run.state for run in found}
    assert list(states.values()) == ["running", "failed", "running", "running", "stopped", "failed", "done"]
    assert [run.steps[-1].state for run in found if run.id in ("20260704-100001", "20260703-100000")] == [
        "running",
        "stopped",
    ]
    assert {run.state for run in history.runs(tmp_path)} == {"stopped", "failed", "done"}


def test_a_served_version_leads_back_to_its_data(output):
    run = history.find(output, "20260701")
    lineage = run.lineage()
    assert [(step.component, [a.type for a in step.inputs]) for step in lineage] == [
        ("Ingest", []),
        ("Trainer", ["Examples"]),
        ("RepresentationEvaluator", ["Model"]),
        ("Pusher", ["Model", "ModelBlessing"]),
    ]
    assert lineage[0].outputs[0].uri == str(output / "digits" / "Ingest/examples/1")


def test_a_run_without_a_version_shows_all_its_steps(output):
    steps = history.find(output, "20260702").lineage()
    assert [(step.component, step.state) for step in steps] == [("Ingest", "cached"), ("Trainer", "failed")]


def test_a_run_is_found_by_its_id_its_beginning_or_its_pipeline(output):
    assert history.find(output, "20260702-100000").id == "20260702-100000"
    assert history.find(output, "20260702").id == "20260702-100000"
    assert history.find(output, "digits").id == "20260703-100000"


def test_a_run_that_is_not_there_is_told(output, tmp_path):
    assert refusal(history.find, output, "digit") == f"digit: no such run below {output}. Did you mean digits?"
    assert refusal(history.find, output, "zzz") == (f"zzz: no such run below {output}. `metaprior runs` lists them.")
    assert refusal(history.find, output, "2026") == "2026: the beginning of 3 runs. Give more of the id."
    assert refusal(history.find, tmp_path, "x") == (f"no runs below {tmp_path}. Start one with `metaprior run`.")


def test_folders_are_found_for_serving_reporting_and_training(output, tmp_path):
    root = output / "digits"
    folder = root / "serving" / "encoder"
    assert history.serving(output) == history.Pushed(folder)
    assert refusal(history.serving, output, "20260701") == (
        f"20260701-100000: the version that this run pushed, 3, was removed since; {folder} has none."
    )
    assert history.report(output) == root / "RepresentationEvaluator/evaluation/4/report.html"
    assert history.training(output) == output
    assert history.training(output, "20260701") == root / "Trainer/model_run/3"
    assert refusal(history.serving, output, "20260702") == (
        "20260702-100000: this run pushed no encoder. `metaprior runs 20260702-100000` shows how it went."
    )
    assert refusal(history.serving, tmp_path) == (
        f"no encoder below {tmp_path} was pushed yet. Run `metaprior run`, or give --path."
    )
    assert refusal(history.report, output, "20260702") == (
        "no report of the run 20260702-100000: it is written when a run has been evaluated."
    )
    assert refusal(history.report, tmp_path) == (
        f"no report of a run below {tmp_path}: it is written when a run has been evaluated."
    )
    assert refusal(history.training, tmp_path) == (
        f"no training below {tmp_path} to show. Start one with `metaprior run`."
    )


def push(store: Recorder, run: str, version: int) -> Path:
    """Records a run that pushed a version, and returns the version's folder."""
    folder = store.root / "serving" / f"encoder-{version}" / str(version)
    properties = {"pushed": 1, "pushed_destination": str(folder), "pushed_version": version}
    pushed = store.artifact("PushedModel", f"Pusher/pushed/{run}", **properties)
    store.step(run, "Pusher", COMPLETE, (), [("pushed_model", pushed)])
    folder.mkdir(parents=True)
    return folder


def test_a_pipelines_name_finds_its_latest_run_that_has_what_is_asked_for(tmp_path):
    root = record(tmp_path).root
    assert history.serving(tmp_path, "digits") == history.Pushed(root / "serving" / "encoder")
    assert history.report(tmp_path, "digits") == root / "RepresentationEvaluator/evaluation/4/report.html"
    assert history.training(tmp_path, "digits") == root / "Trainer/model_run/3"


def test_a_removed_version_is_passed_over_for_one_that_is_there(tmp_path):
    store = record(tmp_path)
    older, newer = (push(store, f"2026070{day}-100000", day) for day in (4, 5))
    for name in ("digits", None):
        assert history.serving(tmp_path, name) == history.Pushed(newer.parent)
    assert history.serving(tmp_path, "20260704") == history.Pushed(older.parent, 4)
    newer.rmdir()
    for name in ("digits", None):
        assert history.serving(tmp_path, name) == history.Pushed(older.parent)
    assert "was removed since" in refusal(history.serving, tmp_path, "20260705")


def test_a_pipeline_none_of_whose_runs_has_what_is_asked_for_is_told(tmp_path):
    store = Recorder(tmp_path / "empty")
    store.step("20260701-100000", "Ingest", FAILED)
    assert refusal(history.serving, tmp_path, "empty") == (
        "empty: none of its runs pushed an encoder. `metaprior runs empty` shows the latest."
    )
    assert refusal(history.report, tmp_path, "empty") == (
        "no report of a run of empty: it is written when a run has been evaluated."
    )
    assert refusal(history.training, tmp_path, "empty") == (
        f"no training below {tmp_path} to show. Start one with `metaprior run`."
    )


def test_a_file_that_is_no_store_is_told(tmp_path):
    path = tmp_path / "broken" / "metadata.sqlite"
    path.parent.mkdir()
    path.write_text("not a database, however long this text may be" * 50)
    assert refusal(history.runs, tmp_path) == (
        f"{path}: not a readable ML Metadata store. If a first run is just starting, try again in a moment; "
        "otherwise remove the file, and with it the record of this pipeline's runs."
    )


def test_reading_changes_nothing(output):
    path = output / "digits" / "metadata.sqlite"
    before = path.read_bytes(), path.stat().st_mtime_ns
    history.runs(output)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_store_is_read_while_it_is_written(tmp_path):
    store = record(tmp_path)
    assert len(history.runs(tmp_path)) == 3
    store.step("20260704-100000", "Ingest", RUNNING)
    assert [run.state for run in history.runs(tmp_path)] == ["stopped", "stopped", "failed", "done"]


def test_an_evaluation_of_another_format_leaves_the_run_without_numbers(tmp_path):
    store = record(tmp_path)
    path = store.root / "RepresentationEvaluator/evaluation/4/evaluation.json"
    path.write_text(json.dumps({"schema": 99}))
    assert history.find(tmp_path, "20260701").evaluation is None
