"""One pipeline's runs as ML Metadata keeps them; nothing is ever written.

TFX keeps one `pipeline_run` context a run, one execution a component that ran or was cached in it, and
the artifacts those read and wrote. A store can be read while a run is writing to it.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as proto

from components.evaluator.schema import EVALUATION_FILE, REPORT_FILE, Evaluation, read_evaluation
from models.errors import InputError
from pipeline import lock

EVALUATION, PUSHED, BLESSING = "RepresentationEvaluation", "PushedModel", "ModelBlessing"
MODEL_RUN, FRONTIER = "ModelRun", "Frontier"
TRIAL = "TrialEvaluator"
"""The last component of a sweep's trial."""
STATES = {
    proto.Execution.COMPLETE: "done",
    proto.Execution.CACHED: "cached",
    proto.Execution.FAILED: "failed",
    proto.Execution.CANCELED: "failed",
}


@dataclass(frozen=True)
class Artifact:
    """One artifact as a component saw it: `key` is the component's name for it."""

    id: int
    key: str
    type: str
    uri: str
    properties: dict[str, Any]


@dataclass(frozen=True)
class Origin:
    """The data a step read from outside: a path or a built-in name, and what changes with its content."""

    source: str
    fingerprint: str


@dataclass(frozen=True)
class Step:
    """One component's part in a run: `state` is done, cached, running, stopped or failed."""

    component: str
    state: str
    inputs: tuple[Artifact, ...]
    outputs: tuple[Artifact, ...]
    origin: Origin | None = None


@dataclass(frozen=True)
class Run:
    """One run.

    Args:
        id: the run's id.
        pipeline: name of the pipeline it is a run of.
        when: its start, in milliseconds since 1970.
        steps: what ran or was cached, in order.
        at_work: whether a process is at work on it now.
        evaluation: what was measured; None where it was not, or not by this version.
    """

    id: str
    pipeline: str
    when: int
    steps: tuple[Step, ...]
    at_work: bool
    evaluation: Evaluation | None

    @property
    def state(self) -> str:
        """How the run stands: running, stopped, failed or done."""
        states = {step.state for step in self.steps}
        if "failed" in states:
            return "failed"
        ended = self.artifact(PUSHED) or self.artifact(FRONTIER) or (self.trial and self.artifact(EVALUATION))
        if ended and states <= {"done", "cached"}:
            return "done"
        return "running" if self.at_work else "stopped"

    @property
    def trial(self) -> bool:
        """Whether it is a trial of a sweep, which is measured, and neither blessed nor pushed."""
        return any(step.component == TRIAL for step in self.steps)

    @property
    def version(self) -> int | None:
        """The version this run's encoder is served as, if it was pushed."""
        pushed = self.artifact(PUSHED)
        return pushed.properties.get("pushed_version") if pushed else None

    @property
    def blessed(self) -> bool | None:
        """The evaluation's verdict; None where there is none yet."""
        blessing = None if self.trial else self.artifact(BLESSING)
        return bool(blessing.properties.get("blessed")) if blessing else None

    @property
    def report(self) -> Path | None:
        """Path of the run's report, if it was written."""
        evaluation = self.artifact(EVALUATION)
        return Path(evaluation.uri, REPORT_FILE) if evaluation else None

    @property
    def serving(self) -> Path | None:
        """The folder of the served versions, if this run pushed one."""
        pushed = self.artifact(PUSHED)
        destination = pushed.properties.get("pushed_destination") if pushed else None
        return Path(destination).parent if destination else None

    def artifact(self, kind: str) -> Artifact | None:
        """Returns the output artifact of one type, if the run has one."""
        outputs = (output for step in self.steps for output in step.outputs)
        return next((output for output in outputs if output.type == kind), None)

    def lineage(self) -> tuple[Step, ...]:
        """Returns the steps the served version comes from, data first; all steps where nothing is served."""
        pushed = self.artifact(PUSHED)
        if pushed is None:
            return self.steps
        needed, found = {pushed.id}, []
        for step in reversed(self.steps):
            if needed & {output.id for output in step.outputs}:
                needed |= {source.id for source in step.inputs}
                found.append(step)
        return tuple(reversed(found))


class Store:
    """One pipeline's store, opened for reading.

    Args:
        path: the SQLite file.

    Raises:
        InputError: if it is not such a store.
    """

    def __init__(self, path: Path):
        self._root = path.parent
        connection = proto.ConnectionConfig()
        connection.sqlite.filename_uri = str(path)
        connection.sqlite.connection_mode = proto.SqliteMetadataSourceConfig.READONLY
        try:
            self._store = metadata_store.MetadataStore(connection)
        except RuntimeError as error:
            raise InputError(
                f"{path}: not a readable ML Metadata store. If a first run is just starting, try again in a "
                "moment; otherwise remove the file, and with it the record of this pipeline's runs."
            ) from error

    def runs(self) -> Iterator[Run]:
        """Yields the store's runs; those can be at work that are younger than the work: several trials of a sweep."""
        contexts = sorted(self._store.get_contexts_by_type("pipeline_run"), key=lambda found: found.id)
        began = lock.since(self._root)
        for context in contexts:
            at_work = began is not None and context.create_time_since_epoch >= int(1000 * began)
            steps = tuple(self._steps(context.id, "running" if at_work else "stopped"))
            yield Run(
                id=context.name,
                pipeline=self._root.name,
                when=context.create_time_since_epoch,
                steps=steps,
                at_work=at_work,
                evaluation=_evaluation(steps),
            )

    def _steps(self, context: int, unfinished: str) -> Iterator[Step]:
        executions = sorted(self._store.get_executions_by_context(context), key=lambda found: found.id)
        events = self._store.get_events_by_execution_ids([execution.id for execution in executions])
        artifacts = {
            artifact.id: artifact
            for artifact in self._store.get_artifacts_by_id(list({event.artifact_id for event in events}))
        }
        for execution in executions:
            mine = [event for event in events if event.execution_id == execution.id]
            yield Step(
                component=self._component(execution.id),
                state=STATES.get(execution.last_known_state, unfinished),
                inputs=tuple(_artifact(e, artifacts) for e in mine if e.type == proto.Event.INPUT),
                outputs=tuple(_artifact(e, artifacts) for e in mine if e.type == proto.Event.OUTPUT),
                origin=_origin(execution),
            )

    def _component(self, execution: int) -> str:
        contexts = self._store.get_contexts_by_execution(execution)
        return next(c.name for c in contexts if c.type == "node").split(".", 1)[1]


def _artifact(event: proto.Event, artifacts: dict[int, proto.Artifact]) -> Artifact:
    artifact = artifacts[event.artifact_id]
    key = next((step.key for step in event.path.steps if step.key), "")
    return Artifact(
        id=artifact.id,
        key=key,
        type=artifact.type,
        uri=artifact.uri,
        properties={name: _plain(value) for name, value in artifact.custom_properties.items()},
    )


def _origin(execution: proto.Execution) -> Origin | None:
    """Returns where the data came from, by the query that Ingest left as its only split's pattern."""
    if "input_config" not in execution.custom_properties:
        return None
    config = json.loads(execution.custom_properties["input_config"].string_value)
    query = json.loads(config["splits"][0]["pattern"])
    return Origin(source=query["data"]["source"], fingerprint=query["fingerprint"])


def _plain(value: proto.Value) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind in ("int_value", "double_value", "string_value", "bool_value") else None


def _evaluation(steps: tuple[Step, ...]) -> Evaluation | None:
    outputs = (output for step in steps for output in step.outputs if output.type == EVALUATION)
    for output in outputs:
        with contextlib.suppress(InputError):  # another version's format: the run is listed without numbers
            return read_evaluation(Path(output.uri, EVALUATION_FILE))
    return None
