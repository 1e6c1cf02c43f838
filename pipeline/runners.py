"""Runs a pipeline in this process, one component after another, and says what happens."""

import contextlib
import fcntl
import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils, tfx_runner
from tfx.orchestration.portable.mlmd import execution_lib
from tfx.proto.orchestration import pipeline_pb2

from components.artifacts import RUN

Emit = Callable[..., None]
CACHED = metadata_store_pb2.Execution.CACHED


class Metadata(metadata.Metadata):
    """ML Metadata for several processes: whoever uses the store holds a lock, which lies beside it.

    TFX registers types, contexts and executions by looking first and writing then, and SQLite takes one writer
    at a time; while a component computes, the store is free.

    Args:
        connection: of a SQLite store.
    """

    def __init__(self, connection: metadata_store_pb2.ConnectionConfig):
        super().__init__(connection)
        store = Path(connection.sqlite.filename_uri)
        self._lock = store.with_name(f".{store.name}.lock")
        self._file: IO[bytes] | None = None
        self._entered = 0

    def __enter__(self) -> "Metadata":
        with contextlib.ExitStack() as undo:
            self._take()
            undo.callback(self._release)
            super().__enter__()
            undo.pop_all()
        return self

    def __exit__(self, *raised) -> None:
        try:
            super().__exit__(*raised)
        finally:
            self._release()

    def _take(self) -> None:
        """Waits for the lock; takes it once, for TFX enters again what it is in."""
        if self._file is None:
            self._file = self._lock.open("ab")
            fcntl.flock(self._file, fcntl.LOCK_EX)
        self._entered += 1

    def _release(self) -> None:
        self._entered -= 1
        if self._file and not self._entered:
            self._file.close()
            self._file = None


class LocalRunner(tfx_runner.IrBasedRunner):
    """TFX's LocalDagRunner with events: which component started, was cached, is done, failed.

    Args:
        emit: called as `emit(event, **fields)` for every event.
        run: id of the run; no other run of the pipeline may have it.
    """

    def __init__(self, emit: Emit, *, run: str):
        self._emit = emit
        self.run_id = run
        self.outputs: dict[str, Mapping[str, Sequence[Any]]] = {}

    def run_with_ir(self, pipeline: pipeline_pb2.Pipeline, run_options=None, **kwargs) -> None:
        """Runs every node of a compiled pipeline; leaves the output artifacts by component in `outputs`.

        Raises:
            Exception: whatever a component raised, after the event `failed`.
        """
        del run_options, kwargs
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: self.run_id}
        )
        os.environ[RUN] = self.run_id
        nodes = [node.pipeline_node for node in pipeline.nodes]
        shown = [n.node_info.id for n in nodes if not _is_resolver(n)]
        self._emit("run", run=self.run_id, components=shown)
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        connection = getattr(
            deployment.metadata_connection_config,
            deployment.metadata_connection_config.WhichOneof("connection_config"),
        )
        for node in nodes:
            self._run_node(node, pipeline=pipeline, deployment=deployment, connection=connection)

    def _run_node(self, node, *, pipeline, deployment, connection) -> None:
        name = node.node_info.id
        component = launcher.Launcher(
            pipeline_node=node,
            mlmd_connection=Metadata(connection),
            pipeline_info=pipeline.pipeline_info,
            pipeline_runtime_spec=pipeline.runtime_spec,
            executor_spec=runner_utils.extract_executor_spec(deployment, name),
            custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
        )
        if _is_resolver(node):
            component.launch()
            return
        self._emit("start", component=name, time=time.time())
        execution = component.launch()
        if execution is None or execution.execution_id is None:
            raise RuntimeError(f"{name} did not run: an input it needs is missing.")
        with Metadata(connection) as handle:
            # As ML Metadata has them: the launcher's own copies lack what the executor set, or the cache found.
            self.outputs[name] = execution_lib.get_output_artifacts(handle, execution.execution_id)
            (record,) = handle.store.get_executions_by_id([execution.execution_id])
        cached = record.last_known_state == CACHED or _unchanged(self.outputs[name])
        self._emit("cached" if cached else "done", component=name, time=time.time())


def _unchanged(outputs: Mapping[str, Sequence[Any]]) -> bool:
    """Returns whether a component that looks in every run found nothing to do."""
    return any(a.get_int_custom_property("unchanged") for a in itertools.chain.from_iterable(outputs.values()))


def _is_resolver(node) -> bool:
    return node.node_info.type.name.endswith("Resolver")
