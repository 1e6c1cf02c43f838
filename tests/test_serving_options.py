"""What options do to a server that is told them, each seen from outside."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
import serving_toy
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving import assembly, settings
from serving.batching import Batcher
from serving.client import Client
from serving.configs import ModelConfig
from serving.servable import RECORD, Servable
from serving.server import Options, Server
from serving.status import Code, ServingError
from serving.warmup import FILE

X = np.array([[1.0, 2.0]] * 5, np.float32)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("options") / "toy"
    serving_toy.write(folder, 1)
    return folder


def options(base, **others):
    ports = {"port": "any", "rest_api_port": "any", "max_num_load_retries": 0, "model_name": "toy"}
    return Options.model_validate({"model_base_path": base} | ports | others)


@pytest.mark.parametrize("written", ["file://{}", "file:{}", "FILE://{}", "{}"])
def test_a_base_path_may_be_a_uri_of_this_file_system(base, written):
    (found,) = settings.wanted(options(written.format(base)))
    assert found.base_path == base


@pytest.mark.parametrize("uri", ["gs://bucket/toy", "s3://bucket/toy", "https://host/toy"])
def test_a_base_path_elsewhere_is_refused_as_in_a_configuration_file(base, tmp_path, uri):
    (tmp_path / "models").write_text(
        f'model_config_list {{ config {{ name: "toy" base_path: "{uri}" model_platform: "tensorflow" }} }}'
    )
    for given in ({"model_base_path": uri}, {"model_config_file": tmp_path / "models"}):
        with pytest.raises(ServingError) as caught:
            settings.wanted(options(base, **given))
        assert str(caught.value) == f"INVALID_ARGUMENT: Model toy: {uri} is not on a local file system; mount it."


def test_a_folder_with_a_colon_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy:1").mkdir()
    (found,) = settings.wanted(options("toy:1"))
    assert found.base_path == tmp_path / "toy:1"


def test_one_server_shows_its_limits_of_time_threads_and_parallelism(base):
    told = {"rest_api_timeout_in_ms": 300, "grpc_max_threads": 1}
    told |= {"tensorflow_intra_op_parallelism": 1, "tensorflow_inter_op_parallelism": 2}
    before = {thread.ident for thread in threading.enumerate()}
    with Server(options(base, **told)) as server:
        body = {"signature_name": "slow", "inputs": [100_000]}
        answer = requests.post(f"http://127.0.0.1:{server.rest_port}/v1/models/toy:predict", json=body, timeout=30)
        assert (answer.status_code, answer.json()) == (504, {"error": "Timed out waiting for notification"})
        with Client(grpc_port=server.grpc_port, model="toy") as client, ThreadPoolExecutor(4) as callers:
            list(callers.map(lambda _: client.predict([5], signature="slow"), range(8)))
        new = [thread.name for thread in threading.enumerate() if thread.ident not in before]
        assert len([name for name in new if name.startswith("grpc_")]) == 1
        with server.models.lease("toy") as (_, servable):
            config = servable._session._config
        assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == (1, 2)


class Counting(tf.Module):
    """Answers how often it has been run."""

    def __init__(self):
        super().__init__()
        self.runs = tf.Variable(0.0)

    @tf.function(input_signature=[serving_toy.spec([None], tf.float32, "x")])
    def count(self, x):
        return {"runs": tf.zeros_like(x) + self.runs.assign_add(1.0)}


@pytest.fixture(scope="module")
def counting(tmp_path_factory):
    """A model that counts, with two warm-up requests."""
    folder = tmp_path_factory.mktemp("counting") / "toy"
    module = Counting()
    tf.saved_model.save(module, str(folder / "1"), signatures=module.count)
    file = folder / "1" / FILE
    file.parent.mkdir(exist_ok=True)
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto([0.0]))
    with tf.io.TFRecordWriter(str(file)) as writer:
        writer.write(log.SerializeToString())
        writer.write(log.SerializeToString())
    return folder


# A version without warm-up is run once on zeros; the last run is the request's own.
@pytest.mark.parametrize(
    ("told", "runs"),
    [({}, 3), ({"num_request_iterations_for_warmup": 3}, 7), ({"enable_model_warmup": False}, 2)],
)
def test_warm_up_is_replayed_as_often_as_asked_or_not_at_all(counting, told, runs):
    with Server(options(counting, **told)) as server, Client(grpc_port=server.grpc_port, model="toy") as client:
        assert client.predict([0.0])["runs"].tolist() == [runs]


def test_a_run_has_no_more_rows_than_the_largest_batch_and_no_more_threads_than_told(tmp_path):
    path = serving_toy.write_small(tmp_path, 1)
    (path / RECORD).parent.mkdir(exist_ok=True)
    (path / RECORD).write_text('{"space": "5bace"}')  # only an encoder's rows may be parted
    told = options(tmp_path, max_batch_size=2, tensorflow_session_parallelism=3)
    servable, runs = Servable(path, threads=told.threads), []
    config = servable._session._config
    assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == (3, 3)
    batching = assembly.batching(told, None)
    batcher = Batcher(batching, observe=lambda rows, *_: runs.append(rows))
    answer = batcher.submit(servable, servable.signatures["embed"], {"x": X}, float("inf")).result(30)
    np.testing.assert_array_equal(answer["y"], X / 2 + 1)
    assert runs == [2, 2, 1]
    batcher.close()
    servable.close_when_idle(0)


@pytest.fixture
def two(tmp_path):
    """Two models with a version each, which no loader looks into."""
    for name in ("one", "two"):
        (tmp_path / name / "1").mkdir(parents=True)
    return [ModelConfig(name, tmp_path / name) for name in ("one", "two")]


class Fake:
    """Stands for a loaded version, where only the order of loads matters."""

    space = ""

    def acquire(self):
        """Nothing to keep open."""

    def release(self):
        """Nothing was kept open."""

    def close_when_idle(self, _):
        return True


@pytest.mark.parametrize(("threads", "at_a_time"), [(0, 1), (1, 1), (2, 2)])
def test_so_many_versions_are_loaded_at_a_time(base, two, threads, at_a_time):
    running, most, lock, both = 0, 0, threading.Lock(), threading.Barrier(2)

    def load(_):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if at_a_time == 2:
            both.wait(30)  # breaks unless the other one is loaded meanwhile
        with lock:
            running -= 1
        return Fake()

    models = assembly.models(options(base, num_load_threads=threads, file_system_poll_wait_seconds=0), load)
    models.reload(two)
    assert models.names == ["one", "two"]
    assert most == at_a_time
    models.stop(5)


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (2, 3)])
def test_a_load_is_repeated_as_often_and_as_soon_as_asked(base, two, retries, attempts):
    tried = []

    def load(path):
        tried.append(path)
        raise ServingError(Code.INTERNAL, "broken")

    told = {"max_num_load_retries": retries, "load_retry_interval_micros": 0, "file_system_poll_wait_seconds": 0.01}
    models = assembly.models(options(base, **told), load)
    with pytest.raises(ServingError, match="broken"):
        models.reload(two[:1])
    assert len(tried) == attempts  # with the default of a minute, not within this test's time
    models.stop(5)


def test_a_configuration_file_is_read_again(base, tmp_path):
    entry = 'config {{ name: "{}" base_path: "{}" model_platform: "tensorflow" }}'
    file = tmp_path / "models"
    file.write_text(f"model_config_list {{ {entry.format('toy', base)} }}")
    serving_toy.write_small(tmp_path / "more", 1)
    told = {"model_config_file": file, "model_config_file_poll_wait_seconds": 1}
    with Server(options(None, **told)) as server, Client(grpc_port=server.grpc_port, model="more") as client:
        file.write_text(
            f"model_config_list {{ {entry.format('toy', base)} {entry.format('more', tmp_path / 'more')} }}"
        )
        while not server.facts()["models"].get("more"):
            os.sched_yield()
        np.testing.assert_array_equal(client.predict(X, signature="embed")["y"], X / 2 + 1)
