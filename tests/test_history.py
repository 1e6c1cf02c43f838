"""Past runs and lineage, read from stores written as TFX writes them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as proto

from components.evaluator.schema import BoundRecord, DataFacts, Evaluation, Metric, write_evaluation
from models.errors import InputError
from pipeline import history, lock
from pipeline.cli.group import main

COMPLETE, CACHED = proto.Execution.COMPLETE, proto.Execution.CACHED
RUNNING, FAILED = proto.Execution.RUNNING, proto.Execution.FAILED


class Recorder:
    """Writes one pipeline's store: types, contexts, executions, events, artifacts."""

    def __init__(self, root: Path):
        root.mkdir(parents=True)
        self.root = root
        connection = proto.ConnectionConfig()
        connection.sqlite.filename_uri = str(root / "metadata.sqlite")
        connection.sqlite.connection_mode = proto.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self.store = metadata_store.MetadataStore(connection)

    def context(self, kind: str, name: str) -> proto.Context:
        found = self.store.get_context_by_type_and_name(kind, name)
        if found:
            return found
        type_id = self.store.put_context_type(proto.ContextType(name=kind))
        context = proto.Context(type_id=type_id, name=name)
        [context.id] = self.store.put_contexts([context])
        return context

    def artifact(self, kind: str, place: str, **properties) -> proto.Artifact:
        known = proto.ArtifactType(name=kind)
        artifact = proto.Artifact(type_id=self.store.put_artifact_type(known), uri=str(self.root / place))
        for name, value in properties.items():
            field = "int_value" if isinstance(value, int) else "string_value"
            setattr(artifact.custom_properties[name], field, value)
        [artifact.id] = self.store.put_artifacts([artifact])
        return artifact

    def step(self, run: str, component: str, state, inputs=(), outputs=()) -> None:
        known = proto.ExecutionType(name=f"components.{component.lower()}.{component}")
        execution = proto.Execution(type_id=self.store.put_execution_type(known), last_known_state=state)
        linked = [
            (artifact, proto.Event(type=kind, path=proto.Event.Path(steps=[proto.Event.Path.Step(key=key)])))
            for kind, group in ((proto.Event.INPUT, inputs), (proto.Event.OUTPUT, outputs))
            for key, artifact in group
        ]
        contexts = [self.context("pipeline_run", run), self.context("node", f"{self.root.name}.{component}")]
        self.store.put_execution(execution, linked, contexts)


def evaluation(root: Path, place: str) -> None:
    metrics = (
        Metric("rate", "encoder", 6.5, "nats", None, "test", 180, 5),
        Metric("elbo", "encoder", -24.75, "nats", None, "test", 180, 5),
        Metric("probe/linear/all", "encoder", 0.93, "accuracy", None, "test", 180, 5),
        Metric("probe/linear/all", "pca", 0.9, "accuracy", None, "test", 180, 5),
    )
    write_evaluation(
        Evaluation(
            schema=1,
            space="beta_vae-10-0123456789ab",
            recipe="beta_vae",
            parameters={"beta": 4.0},
            objective="nll + 4 * kl",
            latent=10,
            data=DataFacts("digits", "image", {"train": 1437, "eval": 180, "test": 180}),
            metrics=metrics,
            bounds=(BoundRecord("elbo", "min", -30.0, -24.75, None, ok=True, reason="-24.75 is at least -30"),),
            blessed=True,
        ),
        root / place,
    )
    (root / place / "report.html").write_text("<html></html>")


def record(output: Path) -> Recorder:
    """Three runs of `digits`: one whole, one cached but for a new training that failed, one cut off."""
    store = Recorder(output / "digits")
    examples = store.artifact("Examples", "Ingest/examples/1")
    statistics = store.artifact("ExampleStatistics", "StatisticsGen/statistics/2")
    model = store.artifact("Model", "Trainer/model/3")
    model_run = store.artifact("ModelRun", "Trainer/model_run/3")
    measured = store.artifact("RepresentationEvaluation", "RepresentationEvaluator/evaluation/4")
    blessing = store.artifact("ModelBlessing", "RepresentationEvaluator/blessing/4", blessed=1)
    folder = str(store.root / "serving" / "encoder" / "3")
    pushed = store.artifact("PushedModel", "Pusher/pushed/5", pushed=1, pushed_destination=folder, pushed_version=3)
    evaluation(store.root, "RepresentationEvaluator/evaluation/4")
    verdict = [("evaluation", measured), ("blessing", blessing)]
    trained = [("model", model), ("model_run", model_run)]
    store.step("20260701-100000", "Ingest", COMPLETE, (), [("examples", examples)])
    store.step("20260701-100000", "StatisticsGen", COMPLETE, [("examples", examples)], [("statistics", statistics)])
    store.step("20260701-100000", "Trainer", COMPLETE, [("examples", examples)], trained)
    store.step("20260701-100000", "RepresentationEvaluator", COMPLETE, [("model", model)], verdict)
    store.step(
        "20260701-100000",
        "Pusher",
        COMPLETE,
        [("model", model), ("blessing", blessing)],
        [("pushed_model", pushed)],
    )
    store.step("20260702-100000", "Ingest", CACHED, (), [("examples", examples)])
    store.step("20260702-100000", "Trainer", FAILED, [("examples", examples)])
    store.step("20260703-100000", "Ingest", CACHED, (), [("examples", examples)])
    store.step("20260703-100000", "Trainer", RUNNING, [("examples", examples)])
    return store


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("history") / "runs"
    record(folder)
    return folder


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


def test_an_unfinished_run_is_running_while_its_lock_is_held(output):
    with lock.locked(output / "digits"):
        found = history.runs(output)
    assert [run.state for run in found] == ["running", "failed", "done"]
    assert found[0].steps[-1].state == "running"


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
    assert history.serving(output) == root / "serving" / "encoder"
    assert history.serving(output, "20260701") == root / "serving" / "encoder"
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
    assert history.serving(tmp_path, "digits") == root / "serving" / "encoder"
    assert history.report(tmp_path, "digits") == root / "RepresentationEvaluator/evaluation/4/report.html"
    assert history.training(tmp_path, "digits") == root / "Trainer/model_run/3"


def test_a_removed_version_is_passed_over_for_one_that_is_there(tmp_path):
    store = record(tmp_path)
    older, newer = (push(store, f"2026070{day}-100000", day) for day in (4, 5))
    for name in ("digits", None):
        assert history.serving(tmp_path, name) == newer.parent
    newer.rmdir()
    for name in ("digits", None):
        assert history.serving(tmp_path, name) == older.parent
    assert history.serving(tmp_path, "20260705") == newer.parent


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


def test_the_command_lists_runs_and_shows_one(output, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    listed = CliRunner().invoke(main, ["runs", "--output", str(output)]).output.splitlines()
    assert listed[0].split() == ["run", "of", "state", "model", "ELBO", "probe", "blessed", "version"]
    assert listed[3].split() == [
        "20260701-100000",
        "digits",
        "done",
        "beta_vae(beta=4.0)",
        "-24.75",
        "0.930",
        "yes",
        "3",
    ]
    assert listed[4] == "ELBO in nats per example; probe: accuracy of a linear probe with the most labels."
    shown = CliRunner().invoke(main, ["runs", "20260701", "--output", str(output)]).output
    assert "digits (1,437 train, 180 eval, 180 test)" in shown
    assert "beta_vae(beta=4.0), latent 10, minimizes nll + 4 * kl" in shown
    assert (
        "Version 3 comes from\n"
        "  Ingest (done)\n"
        f"    #1 Examples: {output}/digits/Ingest/examples/1\n"
        "  Trainer (done) from #1\n"
    ) in shown


def test_the_command_speaks_json_with_stable_keys(output):
    listed = json.loads(CliRunner().invoke(main, ["runs", "--json", "--output", str(output)]).output)
    keys = "run pipeline when state model parameters latent space data metrics blessed version serving report"
    assert [list(run) for run in listed] == [keys.split()] * 3
    assert listed[2]["metrics"] == {"rate": 6.5, "elbo": -24.75, "probe/linear/all": 0.93}
    assert (listed[2]["model"], listed[2]["version"], listed[0]["model"]) == ("beta_vae", 3, None)
    one = json.loads(CliRunner().invoke(main, ["runs", "20260701", "--json", "--output", str(output)]).output)
    assert [step["component"] for step in one["lineage"]] == [
        "Ingest",
        "Trainer",
        "RepresentationEvaluator",
        "Pusher",
    ]
    assert one["lineage"][0] == {
        "component": "Ingest",
        "state": "done",
        "inputs": [],
        "outputs": [{"id": 1, "key": "examples", "type": "Examples", "uri": str(output / "digits/Ingest/examples/1")}],
    }


def test_the_command_says_so_where_there_are_no_runs(tmp_path):
    done = CliRunner().invoke(main, ["runs", "--output", str(tmp_path)])
    assert (done.exit_code, " ".join(done.output.split())) == (
        0,
        f"No runs below {tmp_path} yet. Start one with: metaprior run --data digits",
    )
    assert CliRunner().invoke(main, ["runs", "--json", "--output", str(tmp_path)]).output == "[]\n"


def test_the_report_verb_prints_a_path(output):
    done = CliRunner().invoke(main, ["report", "--output", str(output)])
    assert done.output.strip() == str(output / "digits/RepresentationEvaluator/evaluation/4/report.html")
