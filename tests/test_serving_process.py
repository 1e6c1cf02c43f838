"""The server's life: its command line, its ports, its end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading

import grpc
import pytest
import requests
import serving_toy
from click.testing import CliRunner
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from pipeline.cli.group import main
from serving.client import Client
from serving.process import print_facts
from serving.server import READY, Options, Server
from serving.server import main as server_main
from serving.status import ServingError


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("process")
    serving_toy.write(folder / "toy", 1)
    return folder


def options(base):
    return Options(model_name="toy", model_base_path=base / "toy", port="any", rest_api_port="any")


def as_usual(**more: str) -> dict[str, str]:
    """The environment of a user who has asked for nothing of the libraries."""
    asked = {"TF_CPP_MIN_LOG_LEVEL", "GRPC_VERBOSITY"}
    return {name: value for name, value in os.environ.items() if name not in asked} | more


def test_a_taken_port_is_told_and_nothing_is_left_running(base):
    with Server(options(base)) as first:
        _refuse_ports_of(first, base)
    assert not {"batching 0", "rest"} & {thread.name for thread in threading.enumerate()}


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


def test_the_batching_threads_have_the_name_that_their_parameters_give_them_in_metrics_too(base, tmp_path):
    (tmp_path / "batching").write_text('thread_pool_name { value: "encoders" } num_batch_threads { value: 2 }')
    given = {"enable_batching": True, "batching_parameters_file": tmp_path / "batching", "enable_metrics": True}
    with Server(options(base).model_copy(update=given)) as server:
        with Client(rest_port=server.rest_port, model="toy") as client:
            client.predict([1], signature="slow")
        names = {thread.name for thread in threading.enumerate()}
        assert {"encoders 0", "encoders 1"} <= names
        assert "batching 0" not in names
        metrics = requests.get(f"http://127.0.0.1:{server.rest_port}/monitoring/prometheus/metrics", timeout=30).text
    assert ':batching_session:queuing_latency_count{thread_pool_name="encoders"}' in metrics
    assert 'thread_pool_name="batching"' not in metrics


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
        [sys.executable, "-m", "serving.server", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=as_usual(),
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
        # Its own lines only: nothing of the libraries, and each load once.
        said = process.stderr.read().splitlines()
        assert [line for line in said if not re.match(r"\d{4}-\d\d-\d\d [\d:,]+ (INFO|WARNING) ", line)] == []
        assert len([line for line in said if "is available" in line or "Restoring" in line]) == 1
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("host", "shown"),
    [("0.0.0.0", "localhost"), ("::", "localhost"), ("::1", "[::1]"), ("10.0.0.1", "10.0.0.1"), ("models", "models")],
)
def test_addresses_can_be_pasted(base, tmp_path, capsys, host, shown):
    encrypted = {"rest_api_ssl": True, "ssl_config_file": tmp_path / "ssl"}
    facts = {"host": host, "grpc_port": 1, "rest_port": 2, "models": {"toy": [1]}}
    print_facts(facts, options(base).model_copy(update={"host": host} | encrypted))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == [f"grpc {shown}:1", f"rest https://{shown}:2/v1/models/toy"]
    assert json.loads(lines[3].removeprefix(READY)) == facts


def test_a_server_that_cannot_start_ends_with_one_and_the_command_with_two(base, tmp_path, capsys):
    flags = ["--model_name=toy", f"--model_base_path={tmp_path / 'none'}", "--port=any"]
    assert server_main(flags) == 1
    assert capsys.readouterr().err.startswith("Failed to start server. Error: NOT_FOUND: Could not find base path ")
    done = CliRunner().invoke(main, ["serve", *flags])
    assert (done.exit_code, done.stderr.startswith("metaprior: NOT_FOUND: Could not find base path ")) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(main, ["serve", "--path", str(base / "toy"), "--port", str(port)])
    assert (done.exit_code, done.stderr.startswith(f"metaprior: port {port} on 127.0.0.1 cannot be used")) == (2, True)
    assert server_main(["--modl_name=toy"]) == CliRunner().invoke(main, ["serve", "--hst=x"]).exit_code == 2


@pytest.mark.parametrize(("asked", "lines"), [({}, 0), ({"GRPC_VERBOSITY": "info"}, 1)])
def test_a_handshake_that_fails_leaves_no_line_unless_the_user_wants_it(tmp_path, asked, lines):
    code = f"""
        from pathlib import Path
        from serving import process
        process.hush()
        from serving_stub import certificates, grpc_stub
        from serving.client import Client, Unreachable
        with grpc_stub(certificates=certificates(Path({str(tmp_path)!r}))) as (port, _):
            with Client(grpc_port=port, attempts=1) as client:
                try:
                    client.status()
                except Unreachable:
                    print("refused")
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    environment = as_usual(PYTHONPATH="tests") | asked
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "refused\n"
    assert done.stderr.count("Handshake failed") == lines
    assert lines or not done.stderr


def test_folders_that_hold_no_model_are_one_line(tmp_path):
    for number in range(10):
        (tmp_path / str(number)).mkdir()
    done = CliRunner().invoke(main, ["serve", "--path", str(tmp_path)])
    assert done.exit_code == 2
    assert done.stderr == (
        f"metaprior: {tmp_path}: none of its numbered folders holds a saved_model.pb. `metaprior run` pushes such "
        "versions; give the folder that holds them.\n"
    )


def _stop_during_requests(process, facts):
    """Sends SIGTERM while a slow request runs on each protocol, and checks that both are answered."""
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
        assert next(watch).status == HealthCheckResponse.NOT_SERVING
        assert list(watch) == []
    for caller in callers:
        caller.join(60)
    assert answers == [[300], [300]]
