"""Stores of past runs, written as TFX writes them."""

from pathlib import Path

import pytest
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as proto

from components.evaluator.schema import BoundRecord, DataFacts, Evaluation, Metric, write_evaluation

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


def evaluation(folder: Path) -> Path:
    """Writes a blessed model's evaluation of the digits, and its report; returns the path of the first."""
    metrics = (
        Metric("rate", "encoder", 6.5, "nats", None, "test", 180, 5),
        Metric("elbo", "encoder", -24.75, "nats", None, "test", 180, 5),
        Metric("probe/linear/all", "encoder", 0.93, "accuracy", None, "test", 180, 5),
        Metric("probe/linear/all", "pca", 0.9, "accuracy", None, "test", 180, 5),
    )
    path = write_evaluation(
        Evaluation(
            schema=2,
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
        folder,
    )
    (folder / "report.html").write_text("<html></html>")
    return path


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
    evaluation(store.root / "RepresentationEvaluator/evaluation/4")
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
