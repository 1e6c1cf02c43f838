"""Versions change while callers call: nobody notices, broken versions change nothing."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import requests
import serving_toy
from tensorflow.core.protobuf import saved_model_pb2

from serving.client import Client
from serving.server import Options, Server

X = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Two versions that differ, to be published under any number; odd numbers get the first."""
    base = tmp_path_factory.mktemp("prepared")
    return [serving_toy.write_small(base, value) for value in (1, 2)]


@pytest.fixture
def running(tmp_path, prepared):
    base = tmp_path / "toy"
    publish(prepared, base, 1)
    options = Options(
        model_name="toy",
        model_base_path=base,
        port="any",
        rest_api_port="any",
        file_system_poll_wait_seconds=0.02,
        max_num_load_retries=0,
    )
    with Server(options) as server:
        yield server, base


def publish(prepared, base, number, spoil=lambda path: None):
    base.mkdir(exist_ok=True)
    unfinished = base / f"tmp-{number}"
    shutil.copytree(prepared[(number - 1) % 2], unfinished)
    spoil(unfinished)
    unfinished.rename(base / str(number))


def tear(path):
    """What a copy that was cut off leaves."""
    file = next((path / "variables").glob("*.data*"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


SPOILERS = [
    lambda path: (path / "saved_model.pb").write_bytes(b"garbage"),
    lambda path: (path / "saved_model.pb").unlink(),
    lambda path: shutil.rmtree(path / "variables"),
    tear,
]


def edited(change):
    """Returns a spoiler that writes the graph anew."""

    def spoil(path):
        saved = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
        change(saved.meta_graphs[0])
        (path / "saved_model.pb").write_bytes(saved.SerializeToString())

    return spoil


def estrange(graph):
    # Every function: which stands first changes with what the process has traced before, and not all are called.
    for function in graph.graph_def.library.function:
        function.node_def.add(name="stranger", op="OfAnotherTensorFlow")


FOREIGN = {
    "an unknown operation": edited(lambda graph: graph.graph_def.node.add(name="stranger", op="OfAnotherTensorFlow")),
    "an unknown operation in a function": edited(estrange),
    "a producer that asks for a later TensorFlow": edited(
        lambda graph: setattr(graph.graph_def.versions, "min_consumer", 1 << 30)
    ),
}


class Callers:
    """Threads that call without a pause, by turns over gRPC and REST, and look at every answer."""

    def __init__(self, server, number):
        self._server, self._end, self.seen, self.answers = server, threading.Event(), set(), 0
        self._pool = ThreadPoolExecutor(number)
        self._calls = [self._pool.submit(self._call, index % 2 == 0) for index in range(number)]

    def _call(self, over_grpc):
        from serving import messages
        from serving.tensors import fill, to_array

        port = self._server.grpc_port if over_grpc else self._server.rest_port
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, requests.Session() as session:
            session.trust_env = False
            method = channel.unary_unary(
                "/tensorflow.serving.PredictionService/Predict",
                messages.PredictRequest.SerializeToString,
                messages.PredictResponse.FromString,
            )
            request = messages.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = "toy", "embed"
            fill(request.inputs["x"], X, content=True)
            body = {"signature_name": "embed", "inputs": X.tolist()}
            while not self._end.is_set():
                if over_grpc:
                    response = method(request, timeout=30)
                    version, y = response.model_spec.version.value, to_array(response.outputs["y"], limit=1 << 20)
                else:
                    answer = session.post(f"http://127.0.0.1:{port}/v1/models/toy:predict", json=body, timeout=30)
                    assert answer.status_code == 200, answer.text
                    version, y = int(answer.headers["metaprior-version"]), np.array(answer.json()["outputs"])
                # All rows of an answer come from the version that it names.
                np.testing.assert_array_equal(y, X / 2 + 1 + (version - 1) % 2)
                self.seen.add(version)
                self.answers += 1

    def finish(self):
        self._end.set()
        with self._pool:
            for call in self._calls:
                call.result(60)


def await_version(client, number):
    newest = 0
    while newest < number:
        newest = next((s.version for s in client.status() if s.state == "AVAILABLE"), 0)
    return newest


@pytest.mark.parametrize(
    ("swaps", "callers"), [(8, 8), pytest.param(100, 64, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
)
def test_no_answer_fails_or_mixes_versions_while_versions_change(running, prepared, swaps, callers):
    server, base = running
    crowd = Callers(server, callers)
    with Client(grpc_port=server.grpc_port, model="toy") as client:
        number = 1
        for swap in range(swaps):
            spoiled = swap % 4 == 3
            if spoiled:
                number += 1
                publish(prepared, base, number, SPOILERS[swap // 4 % 4])
            number += 1
            publish(prepared, base, number)
            assert await_version(client, number) == number
            for old in sorted(base.iterdir())[:-3]:
                shutil.rmtree(old, ignore_errors=True)
    crowd.finish()
    assert len(crowd.seen) > swaps / 2
    assert crowd.answers > 10 * callers


@pytest.mark.parametrize("spoil", [*SPOILERS, *(pytest.param(s, id=name) for name, s in FOREIGN.items())])
def test_a_broken_version_never_takes_over_and_its_status_says_why(running, prepared, spoil):
    server, base = running
    publish(prepared, base, 2, spoil)
    with Client(grpc_port=server.grpc_port, model="toy") as client:
        while not (broken := [s for s in client.status() if s.version == 2 and s.state == "END"]):
            pass
        assert broken[0].code != "OK"
        assert broken[0].message
        np.testing.assert_array_equal(client.predict(X, signature="embed")["y"], X / 2 + 1)
        publish(prepared, base, 3)
        assert await_version(client, 3) == 3
