"""More requests than there may be: the rest is refused at once and counted, and the busy server tells how it does."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import requests
import serving_toy
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from serving.client import Client
from serving.errors import Exhausted
from serving.messages import PredictRequest
from serving.server import Options, Server
from serving.tensors import fill

MOST = 4
ROUNDS = {"rounds": np.int32([4000])}  # some seconds


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("overload") / "toy"
    serving_toy.write(base, 1)
    options = Options(
        model_name="toy",
        model_base_path=base,
        port="any",
        rest_api_port="any",
        max_requests=MOST,
        enable_grpc_healthcheck_service=True,
        enable_metrics=True,
    )
    with Server(options) as running:
        yield running


def metric(server, name):
    text = requests.get(f"http://127.0.0.1:{server.rest_port}/monitoring/prometheus/metrics", timeout=60).text
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


def predict(channel):
    return channel.unary_unary("/tensorflow.serving.PredictionService/Predict")


def slow_request():
    request = PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "toy", "slow"
    fill(request.inputs["rounds"], ROUNDS["rounds"], content=True)
    return request.SerializeToString()


def test_over_grpc_the_rest_is_refused_and_counted_and_health_is_told_meanwhile(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        running = [predict(channel).future(slow_request(), timeout=60) for _ in range(MOST)]
        assert serving_toy.eventually(lambda: metric(server, "metaprior_requests_in_flight") == MOST)
        before = metric(server, 'metaprior_rejected_requests_total{reason="resource_exhausted"}')
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as caught:
                predict(channel)(slow_request(), timeout=60)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert caught.value.details() == "More than 4 requests at a time."
            assert {"retry-after": "1", "grpc-retry-pushback-ms": "1000"}.items() <= dict(
                caught.value.trailing_metadata()
            ).items()
        after = metric(server, 'metaprior_rejected_requests_total{reason="resource_exhausted"}')
        assert HealthStub(channel).Check(HealthCheckRequest(), timeout=60).status == 1
        with Client(grpc_port=server.grpc_port, model="toy", attempts=1) as client:
            assert client.status()[0].state == "AVAILABLE"
            with pytest.raises(Exhausted):
                client.predict({"x": np.ones((1, 2), np.float32)})
        assert not any(future.done() for future in running)
        assert after == before + 3
        for future in running:
            future.result()
        with Client(grpc_port=server.grpc_port, model="toy", attempts=1) as client:
            client.predict({"x": np.ones((1, 2), np.float32)})


def test_over_rest_the_rest_is_refused_and_counted_and_the_state_is_told_meanwhile(server):
    url = f"http://127.0.0.1:{server.rest_port}/v1/models/toy"
    body = {"signature_name": "slow", "inputs": ROUNDS["rounds"].tolist()}
    with ThreadPoolExecutor(MOST) as pool:
        running = [pool.submit(requests.post, f"{url}:predict", json=body, timeout=60) for _ in range(MOST)]
        assert serving_toy.eventually(lambda: metric(server, "metaprior_requests_in_flight") == MOST)
        before = metric(server, 'metaprior_rejected_requests_total{reason="unavailable"}')
        refused = requests.post(f"{url}:predict", json=body, timeout=60)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert refused.json() == {"error": "More than 4 requests at a time."}
        assert metric(server, 'metaprior_rejected_requests_total{reason="unavailable"}') == before + 1
        assert requests.get(url, timeout=60).status_code == 200
        assert not any(future.done() for future in running)
        assert [future.result().status_code for future in running] == [200] * MOST
    assert requests.post(f"{url}:predict", json={"instances": [[1.0, 2.0]]}, timeout=60).status_code == 200
