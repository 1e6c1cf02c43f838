"""The server's life: its command line, its ports, its end."""

import json
import signal
import subprocess
import sys
import threading

import grpc
import pytest
import requests
import serving_toy
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from serving.client import Client
from serving.server import READY, Options, Server
from serving.status import ServingError


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("process")
    serving_toy.write(folder / "toy", 1)
    return folder


def options(base):
    return Options(model_name="toy", model_base_path=base / "toy", port="any", rest_api_port="any")


def test_a_taken_port_is_told_and_nothing_is_left_running(base):
    with Server(options(base)) as first:
        _refuse_ports_of(first, base)
    assert not {"batching", "rest"} & {thread.name for thread in threading.enumerate()}


def _refuse_ports_of(first, base):
    taken = options(base).model_copy(update={"port": first.grpc_port})
    with pytest.raises(ServingError) as caught, Server(taken):
        pass
    address = f"127.0.0.1:{first.grpc_port}"
    assert str(caught.value) == f"UNAVAILABLE: gRPC cannot listen on {address}. Free the port or choose another."
    taken = options(base).model_copy(update={"rest_api_port": first.rest_port})
    message = rf"^UNAVAILABLE: REST cannot listen on 127.0.0.1:{first.rest_port}: .* Free the port or choose another.$"
    with pytest.raises(ServingError, match=message), Server(taken):
        pass


def test_other_origins_may_call_only_when_asked(base):
    with Server(options(base).model_copy(update={"rest_api_enable_cors_support": True})) as server:
        url = f"http://127.0.0.1:{server.rest_port}/v1/models/toy"
        answers = [requests.get(url, timeout=30), requests.options(url, headers={"Origin": "http://x"}, timeout=30)]
    for answer in answers:
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Allow-Methods"] == "POST, GET"
        assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type"


def test_case_83_the_process_reports_its_ports_and_drains_on_sigterm(base):
    arguments = ["--model_name=toy", f"--model_base_path={base / 'toy'}", "--port=any", "--rest_api_port=any"]
    arguments += ["--enable_grpc_healthcheck_service", "--shutdown_delay_seconds=0.1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.server", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        lines = []
        while not (lines and lines[-1].startswith(READY)):
            lines.append(next(process.stdout))
        facts = json.loads(lines[-1].removeprefix(READY))
        assert (facts["host"], facts["models"]) == ("127.0.0.1", {"toy": [1]})
        assert lines[:-1] == [
            f"waiting for a version of toy in {base / 'toy'}\n",
            "model toy version 1\n",
            f"grpc 127.0.0.1:{facts['grpc_port']}\n",
            f"rest http://127.0.0.1:{facts['rest_port']}/v1/models/toy\n",
        ]
        _stop_during_requests(process, facts)
        assert process.wait(60) == 0
        assert process.stdout.read() == "stopped\n"
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def _stop_during_requests(process, facts):
    """Sends SIGTERM, twice, while a slow request runs on each protocol, and checks that both are answered."""
    answers = []

    def call(**port):
        with Client(**port, model="toy", attempts=1) as client:
            client.predict([1], signature="slow")
            started.wait()
            answers.append(client.predict([300], signature="slow")["rounds"].tolist())

    started = threading.Barrier(3)
    ports = [{"rest_port": facts["rest_port"]}, {"grpc_port": facts["grpc_port"]}]
    callers = [threading.Thread(target=call, kwargs=port) for port in ports]
    for caller in callers:
        caller.start()
    started.wait()
    with Client(rest_port=facts["rest_port"], model="toy", attempts=1) as client:
        client.predict([200], signature="slow")  # queued behind at least one of them
    with grpc.insecure_channel(f"127.0.0.1:{facts['grpc_port']}") as channel:
        watch = HealthStub(channel).Watch(HealthCheckRequest(service="PredictionService"), timeout=60)
        assert next(watch).status == HealthCheckResponse.SERVING
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        assert next(watch).status == HealthCheckResponse.NOT_SERVING
        watch.cancel()  # who watches counts as a request
    for caller in callers:
        caller.join(60)
    assert answers == [[300], [300]]
