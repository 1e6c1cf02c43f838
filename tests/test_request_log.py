"""The request log: what it holds, what it leaves out, and that a request never waits for it."""

import json
import shutil
import threading

import encoders
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from encoders import OTHER, SPACE
from tensorflow_serving.apis import prediction_log_pb2

from components.embedder import files
from serving.client import Client
from serving.metrics import Counter
from serving.options import Options
from serving.request_log import RequestLog
from serving.servable import RECORD, Servable
from serving.server import Server
from serving.status import ServingError

LIMIT = 1 << 20


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    """A version that answers in a space of its own and in the one it was aligned to."""
    path, module = tmp_path_factory.mktemp("encoder") / "3", encoders.Identity()
    tf.saved_model.save(module, str(path), signatures={"embed": module.embed, "embed_aligned": module.embed})
    (path / RECORD).parent.mkdir()
    (path / RECORD).write_text(json.dumps({"space": SPACE, "latent": 2, "aligned_to": {"space": OTHER}}))
    return path


@pytest.fixture(scope="module")
def servable(saved_model):
    return Servable(saved_model)


class Log(RequestLog):
    """A log with its own counter, that writes when it is full or closed."""

    def __init__(self, folder, **options):
        self.counter = Counter("/log", "model", "status")
        defaults = {"rate": 1.0, "max_bytes": LIMIT, "seconds": 3600.0, "counter": self.counter}
        super().__init__(folder, **(defaults | options))

    def counts(self) -> dict[str, int]:
        """The number of requests by what became of them."""
        lines = [line for line in self.counter.lines() if not line.startswith("#")]
        return {line.split('status="')[1].split('"')[0]: int(line.split()[-1]) for line in lines}


def answer(log, servable, rows, *, first=0.0, outputs=None, version=3, signature="embed"):
    codes = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2) + np.float32(first)
    given = {"embedding": codes, "stddev": codes, "rate": codes.sum(axis=1)} if outputs is None else outputs
    inputs = {"image_bytes": np.array([b"picture"] * rows, object)}
    log.record("encoder", version, servable, servable.signatures[signature], inputs, given)


def tables(folder):
    return [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]


def test_each_example_becomes_a_row_that_readers_of_embeddings_understand(tmp_path, servable):
    folder = tmp_path / "log"
    log = Log(folder)
    log.start()
    answer(log, servable, 2)
    answer(log, servable, 1, first=10)
    answer(log, servable, 1, outputs={"elbo": np.zeros(1, np.float32)})
    log.close()
    [table] = tables(folder)
    assert table["embedding"].to_pylist() == [[0, 1], [2, 3], [10, 11]]
    assert table["rate"].to_pylist() == [1, 5, 21]
    assert set(table["model"].to_pylist()) == {"encoder"}
    assert set(table["space"].to_pylist()) == {SPACE}
    assert len(set(table["id"].to_pylist())) == 3
    assert table["time"].is_valid().to_pylist() == [True] * 3
    found = files.read(folder)
    assert (found.space, found.latent, found.columns[:2]) == (SPACE, 2, ("id", "time"))
    assert log.counts() == {"OK": 3}
    assert not list(folder.glob("*.tfrecord"))


def test_whole_requests_are_written_as_tf_serving_writes_them(tmp_path, servable):
    log = Log(tmp_path / "log", predictions=True)
    log.start()
    answer(log, servable, 2)
    log.close()
    [path] = (tmp_path / "log").glob("*.tfrecord")
    [record] = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    found = prediction_log_pb2.PredictionLog.FromString(record)
    assert found.log_metadata.model_spec.name == "encoder"
    assert found.log_metadata.sampling_config.sampling_rate == 1.0
    assert found.predict_log.request.model_spec.version.value == 3
    assert found.predict_log.request.model_spec.signature_name == "embed"
    assert found.predict_log.request.inputs["image_bytes"].string_val == [b"picture", b"picture"]
    assert found.predict_log.response.outputs["stddev"].float_val == [0, 1, 2, 3]


def test_a_request_is_logged_with_the_probability_of_the_rate(tmp_path, servable):
    draws = iter([0.0, 0.25, 0.2499, 0.9, 0.1])
    log = Log(tmp_path / "log", rate=0.25, draw=lambda: next(draws))
    log.start()
    for first in range(5):
        answer(log, servable, 1, first=first)
    log.close()
    [table] = tables(tmp_path / "log")
    assert [code[0] for code in table["embedding"].to_pylist()] == [0, 2, 4]


def test_what_the_disk_is_too_slow_for_is_left_out_and_counted(tmp_path, servable):
    log = Log(tmp_path / "log", capacity=4096)
    for first in range(100):  # nothing is written before the start: the slowest disk there is
        answer(log, servable, 1, first=first)
    dropped = log.counts()["RESOURCE_EXHAUSTED"]
    assert 0 < dropped < 100
    log.start()
    log.close()
    [table] = tables(tmp_path / "log")
    assert [code[0] for code in table["embedding"].to_pylist()] == list(range(100 - dropped))
    assert log.counts() == {"OK": 100 - dropped, "RESOURCE_EXHAUSTED": dropped}


def test_what_was_logged_is_in_a_file_when_enough_came_together(tmp_path, servable):
    log = Log(tmp_path / "log", capacity=64 << 10)
    log.start()
    written = threading.Event()
    while not written.is_set():
        answer(log, servable, 100)
        if list((tmp_path / "log").glob("*.parquet")):
            written.set()
    log.close()
    assert sum(len(table) for table in tables(tmp_path / "log")) == 100 * log.counts()["OK"]


def test_the_oldest_files_make_room_for_new_ones(tmp_path, servable):
    folder = tmp_path / "log"
    last = 0
    for round in range(6):
        log = Log(folder, max_bytes=64 << 10)
        log.start()
        rng = np.random.default_rng(round)
        codes = rng.normal(size=(2000, 2)).astype(np.float32)
        answer(log, servable, 2000, outputs={"embedding": codes})
        log.close()
        last = float(codes[0, 0])
        assert sum(path.stat().st_size for path in folder.glob("*.parquet")) <= 64 << 10
    kept = [table["embedding"][0].as_py()[0] for table in tables(folder)]
    assert 0 < len(kept) < 6
    assert last in kept


def test_a_file_beyond_the_bound_is_left_out_and_counted(tmp_path, servable, caplog):
    log = Log(tmp_path / "log", max_bytes=1024)  # Parquet's own bytes are more
    log.start()
    answer(log, servable, 1)
    log.close()
    assert log.counts() == {"DATA_LOSS": 1}
    assert "is beyond request_log_max_bytes" in caplog.text
    assert [path.name for path in (tmp_path / "log").iterdir()] == [".lock"]


def test_a_disk_that_fails_costs_the_log_and_nothing_else(tmp_path, servable, caplog):
    log = Log(tmp_path / "log", predictions=True)
    log.start()
    shutil.rmtree(tmp_path / "log")
    answer(log, servable, 1)
    log.close()
    assert log.counts() == {"DATA_LOSS": 1}
    assert f"request log: {tmp_path}/log cannot be written: " in caplog.text


def test_each_file_is_of_the_space_that_the_signature_answers_in(tmp_path, servable):
    log = Log(tmp_path / "log")
    log.start()
    for signature in ("embed", "embed_aligned", "embed"):
        answer(log, servable, 1, signature=signature)
    log.close()
    found = {table["space"][0].as_py(): table["signature"].to_pylist() for table in tables(tmp_path / "log")}
    assert found == {SPACE: ["embed"] * 2, OTHER: ["embed_aligned"]}
    assert {space: read.latent for space, read in files.read_all(tmp_path / "log").items()} == {SPACE: 2, OTHER: 2}


def test_an_answer_that_cannot_be_written_costs_its_own_file_only(tmp_path, servable, caplog):
    log = Log(tmp_path / "log")
    log.start()
    rates = np.array([b"not a number"], object)
    answer(log, servable, 1, version=2, outputs={"embedding": np.zeros((1, 2), np.float32), "rate": rates})
    answer(log, servable, 1)
    log.close()
    assert log.counts() == {"DATA_LOSS": 1, "OK": 1}
    assert [table["version"].to_pylist() for table in tables(tmp_path / "log")] == [[3]]
    assert "request log: 1 requests to encoder cannot be written" in caplog.text


def test_files_that_are_not_the_logs_own_stay(tmp_path, servable):
    folder = tmp_path / "log"
    folder.mkdir()
    others = ["archive.parquet", "encoder-3-embeddings.parquet", "train.tfrecord", ".notes.tmp", ".codes.parquet.tmp"]
    for name in others:
        (folder / name).write_bytes(bytes(64 << 10))
    bound = LIMIT
    for _ in range(3):
        log = Log(folder, max_bytes=bound)
        log.start()
        answer(log, servable, 10)
        log.close()
        assert log.counts() == {"OK": 1}
        [first, *_] = folder.glob("*-embeddings-*.parquet")
        bound = first.stat().st_blocks * 512 * 3 // 2  # two are beyond it
    kept = {path.name for path in folder.iterdir()} - {".lock"}
    assert kept.issuperset(others)
    assert len(kept) == len(others) + 1


def test_a_folder_belongs_to_one_server_and_what_a_killed_one_left_goes(tmp_path, servable):
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / ".a%2Fb-3-embeddings-20260701T100000Z-17f000001.parquet.tmp").write_bytes(b"half")
    log = Log(folder)
    assert not list(folder.glob(".*.tmp"))
    with pytest.raises(ServingError) as caught:
        Log(folder)
    assert caught.value.message == (
        f"request_log_folder {folder} is another server's. Give each server a folder of its own."
    )
    log.close()
    Log(folder).close()


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ServingError) as caught:
        Log(tmp_path / "file")
    assert caught.value.message == (
        f"request_log_folder {tmp_path}/file cannot be written: File exists. Choose another, or make it writable."
    )


def test_after_the_end_nothing_is_logged(tmp_path, servable):
    log = Log(tmp_path / "log")
    log.start()
    log.close()
    answer(log, servable, 1)
    assert log.counts() == {"RESOURCE_EXHAUSTED": 1}
    assert not tables(tmp_path / "log")


@pytest.mark.parametrize("record", [None, b"[]", b"\xff"])
def test_a_model_that_is_no_encoder_of_ours_is_logged_without_a_space(tmp_path, saved_model, record):
    path = shutil.copytree(saved_model, tmp_path / "model")
    (path / RECORD).unlink()
    if record is not None:
        (path / RECORD).write_bytes(record)
    log = Log(tmp_path / "log")
    log.start()
    answer(log, Servable(path), 1)
    log.close()
    [table] = tables(tmp_path / "log")
    assert table["space"].to_pylist() == [None]


def test_a_server_logs_what_it_answers_over_both_protocols(tmp_path):
    """Over gRPC and REST, and neither what it refuses nor what embeds nothing."""
    encoders.write_encoder(tmp_path / "toy", 1)
    options = {"model_name": "toy", "model_base_path": tmp_path / "toy", "port": "any", "rest_api_port": "any"}
    with Server(Options.model_validate(options | {"request_log_folder": tmp_path / "log"})) as server:
        for address in ({"grpc_port": server.grpc_port}, {"rest_port": server.rest_port}):
            with Client(model="toy", **address) as client:
                client.embed([[1.0, 2.0], [3.0, 4.0]])
                client.predict([[1.0, 2.0]], signature="double")
                with pytest.raises(ServingError):
                    client.predict([[1.0, 2.0, 3.0]], signature="embed")
    [table] = tables(tmp_path / "log")
    assert table["embedding"].to_pylist() == [[1, 2], [3, 4]] * 2
    assert table["signature"].to_pylist() == ["embed"] * 4
    assert set(table["space"].to_pylist()) == {SPACE}
