"""The main job, whole: from scans to a served encoder, as a person runs it."""

import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import requests
import sklearn
import tenacity
from conftest import METAPRIOR, digits_folder, metaprior
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as proto

from components.pusher.versions import versions

COMPONENTS = [
    "Ingest",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "ValidationGate",
    "Transform",
    "Trainer",
    "Embedder",
    "Aligner",
    "RepresentationEvaluator",
    "ServingCheck",
    "Pusher",
]


def states(output: str) -> dict[str, str]:
    """Component to its last state, from the plain lines."""
    found = {}
    for line in output.splitlines():
        match = re.match(r"\s*(\w+)\s+(cached|done|failed)", line)
        if match:
            found[match[1]] = match[2]
    return found


def record(root):
    """The record of the newest pushed version."""
    folder = root / "serving" / "encoder"
    return json.loads((folder / str(versions(folder)[-1]) / "assets.extra" / "metaprior.json").read_text())


def test_a_run_ends_with_a_blessed_pushed_encoder(finished):
    assert states(finished.output) == dict.fromkeys(COMPONENTS, "done")
    assert "Blessed: all 2 bounds are met." in finished.output
    assert versions(finished.root / "serving" / "encoder") == [1]
    assert record(finished.root)["recipe"] == "beta_vae"
    [report] = finished.root.glob("RepresentationEvaluator/evaluation/*/report.html")
    assert re.search(r" UTC in run \d{8}-\d{6}</p>", report.read_text())


def test_a_run_prints_the_probe_beside_the_baselines(finished):
    line = next(line for line in finished.output.splitlines() if "Linear probe" in line)
    for name in ("raw", "PCA", "random"):
        assert name in line


def test_the_same_run_again_is_cached_throughout(finished):
    again = metaprior(finished.folder, "run", "--config", "digits.yaml")
    assert again.code == 0, again.output
    assert states(again.output) == dict.fromkeys(COMPONENTS, "cached")
    assert versions(finished.root / "serving" / "encoder") == [1]


def start(folder):
    command = [str(METAPRIOR), "run", "--config", "digits.yaml"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def worker_of(root) -> int:
    return int((root / ".lock").read_text())


def test_a_training_killed_with_signal_nine_resumes_to_the_same_weights(finished, tmp_path):
    folder = digits_folder(tmp_path)
    root = folder / "runs" / "digits"
    running = start(folder)
    checkpoints = root / "checkpoints"
    # The first word of the Trainer comes before its first checkpoint; only then is the disk watched. A
    # checkpoint is whole once the file `checkpoint` names it.
    next(line for line in running.stdout if line.startswith("Trainer: "))
    while running.poll() is None and not any(checkpoints.glob("*/checkpoint")):
        os.sched_yield()
    os.kill(worker_of(root), signal.SIGKILL)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "was killed (signal 9); run the same command again to resume" in output

    again = metaprior(folder, "run", "--config", "digits.yaml")
    assert again.code == 0, again.output
    before_training = COMPONENTS[: COMPONENTS.index("Trainer")]
    assert all(states(again.output)[name] == "cached" for name in before_training)
    assert states(again.output)["Trainer"] == "done"
    log = folder / again.output.strip().rpartition("Log: ")[2]
    assert re.search(r"resuming at step [1-9]", log.read_text())
    # The space id holds a digest of the weights.
    assert record(root)["space"] == record(finished.root)["space"]
    assert not any(checkpoints.glob("*/checkpoint"))


def test_a_second_run_at_once_is_refused(finished):
    from pipeline.lock import locked

    with locked(finished.root):
        second = metaprior(finished.folder, "run", "--config", "digits.yaml")
    assert second.code == 2
    assert second.output == (
        f"metaprior: {finished.root}: another run (process {os.getpid()}) is at work here. "
        "Wait for it, or give this run a name of its own: --set name=NAME.\n"
    )


def test_a_refused_encoder_is_not_pushed_and_the_bound_is_named(finished):
    # A copy of the finished run's folder at the same place inside another would miss the cache, so this
    # run goes on in the shared folder and leaves what is served there as it was.
    run = metaprior(finished.folder, "run", "--config", "digits.yaml", "--set", "evaluation.bless={rate: {max: 0.001}}")
    assert run.code == 0, run.output
    after = states(run.output)
    assert (after["Trainer"], after["Embedder"], after["RepresentationEvaluator"]) == ("cached", "cached", "done")
    assert "Refused: 1 of 1 bound not met." in run.output
    assert re.search(r"not met: rate is [\d.]+.*, above the maximum 0.001", run.output)
    assert "Not pushed: only a blessed encoder is." in run.output
    assert versions(finished.root / "serving" / "encoder") == [1]


def embeddings(folder) -> dict[str, np.ndarray]:
    tables = [pq.read_table(path) for path in sorted(folder.rglob("embeddings-*.parquet"))]
    return {row["id"]: np.asarray(row["embedding"]) for table in tables for row in table.to_pylist()}


def test_batch_embedding_agrees_with_the_run_on_every_example(finished, tmp_path):
    target = tmp_path / "digits.parquet"
    run = metaprior(finished.folder, "embed", "digits", str(target))
    assert run.code == 0, run.output
    assert run.output == f"1,797 embeddings written to {target}\n"
    table = pq.read_table(target)
    assert json.loads(table.schema.metadata[b"metaprior"])["space"] == record(finished.root)["space"]
    (folder,) = finished.root.glob("Embedder/embeddings/*")
    expected = embeddings(folder)
    assert len(expected) == table.num_rows == 1797
    for row in table.to_pylist():
        np.testing.assert_allclose(row["embedding"], expected[row["id"]], atol=1e-5)


def store_of(root):
    """What ML Metadata keeps of a pipeline, read past the product."""
    connection = proto.ConnectionConfig()
    connection.sqlite.filename_uri = str(root / "metadata.sqlite")
    connection.sqlite.connection_mode = proto.SqliteMetadataSourceConfig.READONLY
    return metadata_store.MetadataStore(connection)


def walked(store, run: str) -> dict[str, tuple[set[int], set[int]]]:
    """Component to the ids it read and wrote: from a run's pushed version back to what read nothing."""
    context = store.get_context_by_type_and_name("pipeline_run", run)
    executions = [execution.id for execution in store.get_executions_by_context(context.id)]
    read, wrote = ({execution: set() for execution in executions} for _ in range(2))
    for event in store.get_events_by_execution_ids(executions):
        if event.type in (proto.Event.INPUT, proto.Event.OUTPUT):  # a resolver's events are of other types
            (read if event.type == proto.Event.INPUT else wrote)[event.execution_id].add(event.artifact_id)
    pushed = {artifact.id for artifact in store.get_artifacts_by_type("PushedModel")}
    found, wanted = {}, set.union(*wrote.values()) & pushed
    while wanted:
        artifact = wanted.pop()
        [execution] = [execution for execution in executions if artifact in wrote[execution]]
        [node] = [c.name for c in store.get_contexts_by_execution(execution) if c.type == "node"]
        found[node.removeprefix("digits.")] = read[execution], wrote[execution]
        wanted |= read[execution]
    return found


def shown(finished) -> dict:
    """What the command tells of the run that the suite shares."""
    run = re.search(r"^run (\S+):", finished.output, re.MULTILINE)[1]
    done = metaprior(finished.folder, "runs", run, "--json")
    assert done.code == 0, done.output
    return json.loads(done.output)


def test_the_lineage_of_a_served_version_is_what_ml_metadata_holds(finished):
    one, store = shown(finished), store_of(finished.root)
    told = {
        step["component"]: tuple({artifact["id"] for artifact in step[side]} for side in ("inputs", "outputs"))
        for step in one["lineage"]
    }
    assert told == walked(store, one["run"])
    assert set(COMPONENTS) - set(told) == {"ExampleValidator", "ValidationGate"}  # what is served has nothing of theirs
    before: set[int] = set()
    for read, wrote in told.values():
        assert read <= before
        before |= wrote

    outputs = {artifact["id"]: artifact for step in one["lineage"] for artifact in step["outputs"]}
    kept = store.get_artifacts_by_id(list(outputs))
    assert {a.id: (a.type, a.uri) for a in kept} == {i: (a["type"], a["uri"]) for i, a in outputs.items()}
    types = "Examples Schema TransformGraph Model RepresentationEvaluation ModelBlessing InfraBlessing PushedModel"
    assert set(types.split()) <= {artifact.type for artifact in kept}


def test_the_lineage_leads_from_the_data_to_the_version_that_is_served(finished):
    one, store = shown(finished), store_of(finished.root)
    assert one["lineage"][0]["origin"] == {"source": "digits", "fingerprint": f"scikit-learn {sklearn.__version__}"}
    assert [step["component"] for step in one["lineage"] if "origin" in step] == ["Ingest"]
    outputs = [artifact["id"] for step in one["lineage"] for artifact in step["outputs"]]
    kept = {artifact.type: artifact for artifact in store.get_artifacts_by_id(outputs)}
    pushed = kept["PushedModel"].custom_properties
    # What is blessed is what was trained; what is served is that model as the Aligner handed it on.
    [trainer] = [step for step in one["lineage"] if step["component"] == "Trainer"]
    [trained] = [artifact["id"] for artifact in trainer["outputs"] if artifact["type"] == "Model"]
    assert kept["ModelBlessing"].custom_properties["current_model_id"].int_value == trained
    assert pushed["pushed_version"].int_value == one["version"] == 1
    served = Path(pushed["pushed_destination"].string_value)
    assert served == finished.root / "serving" / "encoder" / "1"
    space = json.loads((served / "assets.extra" / "metaprior.json").read_text())["space"]
    assert kept["RepresentationEvaluation"].properties["space"].string_value == one["space"] == space
    assert (served / "saved_model.pb").read_bytes() == (
        Path(kept["Model"].uri) / "Format-Serving" / "saved_model.pb"
    ).read_bytes()


def test_the_runs_are_listed_with_their_version(finished):
    listing = metaprior(finished.folder, "runs", "--json")
    assert listing.code == 0, listing.output
    assert [row["version"] for row in json.loads(listing.output)][-1] == 1


@pytest.fixture
def served(finished):
    """A server of the finished run's encoder, on free ports."""
    folder = finished.root / "serving" / "encoder"
    command = [str(METAPRIOR.with_name("python")), "-m", "serving.server", "--port=any", "--rest_api_port=any"]
    command += ["--model_name=encoder", f"--model_base_path={folder}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = next(line for line in process.stdout if line.startswith("ready "))
    yield json.loads(line.removeprefix("ready "))
    process.terminate()
    process.communicate(timeout=60)


def test_the_served_encoder_answers_what_batch_embedding_wrote(finished, served):
    from sklearn.datasets import load_digits

    from serving.client import Client

    (folder,) = finished.root.glob("Embedder/embeddings/*")
    expected = embeddings(folder)
    images = np.rint(load_digits().images[:4, :, :, None] * (255 / 16)).astype(np.uint8)
    ids = sorted(expected, key=lambda name: (len(name), name))[:4]
    for client in (Client(rest_port=served["rest_port"]), Client(grpc_port=served["grpc_port"])):
        answer = client.predict({"image": images}, signature="embed")
        np.testing.assert_allclose(answer["embedding"], [expected[name] for name in ids], atol=1e-5)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_tensorboard_shows_every_part_of_the_objective(finished):
    port = free_port()
    command = [str(METAPRIOR), "tensorboard", "digits", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=finished.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines = iter(process.stdout.readline, "")
    first = next(lines)
    assert re.search(r"/digits/Trainer/model_run/\d+: ", first)
    assert first.endswith(f": http://127.0.0.1:{port} (Ctrl-C stops it)\n"), first
    assert any("Press CTRL+C to quit" in line for line in lines)
    tags = retried(f"http://127.0.0.1:{port}/data/plugin/scalars/tags")
    wanted = {"rate", "distortion", "elbo", "term/nll", "term/kl", "weight/kl", "learning_rate", "gradient_norm"}
    assert wanted | {"examples_per_second"} <= set(tags["train"])
    images = retried(f"http://127.0.0.1:{port}/data/plugin/images/tags")
    assert set(images["eval"]) == {"reconstructions", "samples", "traversals"}
    assert retried(f"http://127.0.0.1:{port}/data/plugin/projector/runs") == ["eval"]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def retried(url: str):
    """The JSON at a URL, once it is not empty: TensorBoard reads its files in the background."""
    attempt = tenacity.retry(
        retry=tenacity.retry_if_result(lambda found: not found),
        wait=tenacity.wait_fixed(0.5),
        stop=tenacity.stop_after_delay(60),
    )
    return attempt(lambda: requests.get(url, timeout=10).json())()
