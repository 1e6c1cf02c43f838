"""The end of a server whose runs do not end: callers are told in time, the log is written, the process goes."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time

import grpc
import pytest
import requests
import serving_toy
import tensorflow as tf
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from serving.client import Client
from serving.server import READY, Options, Server
from serving.status import Code, ServingError

GRACE = 1
AGES = [1 << 62]  # rounds: centuries
SPEC = [tf.TensorSpec([None], tf.int64, name="rounds")]


def count(rounds):
    """As many rounds as the first of them says."""
    _, end = tf.while_loop(
        lambda i, x: i < rounds[0], lambda i, x: (i + 1, tf.sin(x)), (tf.constant(0, tf.int64), tf.constant(1.0))
    )
    return {"rounds": rounds + tf.cast(tf.math.is_nan(end), tf.int64)}


class Endless(tf.Module):
    """A loop that TensorFlow can cancel, and one that XLA has made a single operation of, which it cannot."""

    def __init__(self):
        super().__init__()
        self.endless = tf.function(count, input_signature=SPEC)
        self.stuck = tf.function(count, input_signature=SPEC, jit_compile=True)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shutdown") / "endless"
    model = Endless()
    signatures = {"serving_default": model.endless, "stuck": model.stuck}
    serving_toy._publish(folder, "1", lambda path: tf.saved_model.save(model, path, signatures=signatures))
    return folder


def options(base, **given):
    common = {"model_name": "endless", "model_base_path": base, "port": "any", "rest_api_port": "any"}
    common |= {"enable_grpc_healthcheck_service": True, "xla_cpu_compilation_enabled": True}
    return Options(**(common | given))


class Callers:
    """Those who ask a server for what will not end, each on a thread."""

    def __init__(self, grpc_port, rest_port):
        self.ports = {"grpc": {"grpc_port": grpc_port}, "rest": {"rest_port": rest_port}}
        self._codes, self._threads = {}, []

    def ask(self, protocol, signature):
        """Asks, by one of the two protocols."""

        def ask():
            with Client(**self.ports[protocol], model="endless", attempts=1, timeout=120) as client:
                try:
                    client.predict(AGES, signature=signature)
                except ServingError as error:
                    self._codes[protocol] = error.code, error.message

        self._threads.append(threading.Thread(target=ask))
        self._threads[-1].start()

    def wait_until_asked(self, number):
        """Waits until so many requests are in the server."""
        url = f"http://127.0.0.1:{self.ports['rest']['rest_port']}/monitoring/prometheus/metrics"
        while f"metaprior_requests_in_flight {number}.0" not in requests.get(url, timeout=30).text:
            time.sleep(0.05)  # polls, the condition decides

    def codes(self):
        """Returns what became of the requests, by protocol."""
        for thread in self._threads:
            thread.join(60)
        return self._codes


class Process(Callers):
    """A server as a process, and its callers."""

    def __init__(self, base, *arguments):
        common = ["--model_name=endless", f"--model_base_path={base}", "--port=any", "--rest_api_port=any"]
        common += ["--enable_grpc_healthcheck_service", "--xla_cpu_compilation_enabled", *arguments]
        command = [sys.executable, "-m", "serving.server", *common]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        ready = next(line for line in self.process.stdout if line.startswith(READY))
        facts = json.loads(ready.removeprefix(READY))
        super().__init__(facts["grpc_port"], facts["rest_port"])


@contextlib.contextmanager
def running(base, *arguments):
    started = Process(base, "--enable_metrics", f"--shutdown_grace_seconds={GRACE}", *arguments)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


def test_runs_that_can_be_cancelled_are_and_their_callers_are_told(base):
    with Server(options(base, shutdown_grace_seconds=GRACE, enable_metrics=True)) as server:
        callers = Callers(server.grpc_port, server.rest_port)
        for number, protocol in enumerate(("grpc", "rest"), 1):  # the second waits for the first
            callers.ask(protocol, "serving_default")
            callers.wait_until_asked(number)
        begun = time.monotonic()
    seconds = time.monotonic() - begun
    ending = Code.UNAVAILABLE, "The server is shutting down."
    assert callers.codes() == {"grpc": ending, "rest": ending}
    assert GRACE * 0.9 < seconds < GRACE + 8  # a busy machine takes its time
    assert server.has_ended


@pytest.mark.parametrize("protocol", ["grpc", pytest.param("rest", marks=pytest.mark.slow)])
def test_a_run_that_nothing_can_end_does_not_keep_the_process(base, protocol, tmp_path):
    with running(base, f"--request_log_folder={tmp_path}", "--request_log_predictions") as server:
        with Client(**server.ports["grpc"], model="endless") as client:
            assert client.predict([3], signature="stuck")["rounds"].tolist() == [3]
        server.ask(protocol, "stuck")
        server.wait_until_asked(1)
        server.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert server.process.wait(120) == 0
        assert time.monotonic() - begun < GRACE + 8
        assert server.codes()[protocol][0] is Code.UNAVAILABLE
        assert server.process.stdout.read() == "stopped\n"
    assert [path.suffix for path in tmp_path.glob("endless*")] == [".tfrecord"]


ENDING = """
import threading
from serving import ending
ending.await_signals({seconds})
try:
    print("ready", flush=True)
    threading.Event().wait()
finally:
    print("ending", flush=True)
    threading.Event().wait()
"""


@pytest.mark.parametrize(("seconds", "again", "expected"), [(3600, True, -signal.SIGTERM), (0, False, 0)])
def test_a_process_that_cannot_come_to_its_end_is_ended_by_a_second_signal_or_by_its_time(seconds, again, expected):
    command = [sys.executable, "-c", ENDING.format(seconds=seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in ("ready\n", "ending\n"):
            assert process.stdout.readline() == line
            if line == "ready\n" or again:
                process.send_signal(signal.SIGTERM)
        assert process.wait(60) == expected


@pytest.mark.slow
def test_the_health_changes_first_and_a_second_signal_ends_the_process_at_once(base):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(base, "--shutdown_delay_seconds=3600"))
        address = f"127.0.0.1:{server.ports['grpc']['grpc_port']}"
        watch = HealthStub(stack.enter_context(grpc.insecure_channel(address))).Watch(HealthCheckRequest(), timeout=60)
        assert next(watch).status == HealthCheckResponse.SERVING
        server.process.send_signal(signal.SIGTERM)
        assert next(watch).status == HealthCheckResponse.NOT_SERVING
        with Client(**server.ports["rest"], model="endless") as client:  # which is still there
            assert client.predict([3], signature="serving_default")["rounds"].tolist() == [3]
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(60) == -signal.SIGINT


def test_who_watches_the_health_is_told_and_not_waited_for(base):
    with Server(options(base, shutdown_grace_seconds=60)) as server:
        channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
        watch = HealthStub(channel).Watch(HealthCheckRequest(service="ModelService"))
        assert next(watch).status == HealthCheckResponse.SERVING
        begun = time.monotonic()
    assert time.monotonic() - begun < 20
    assert server.has_ended
    assert [answer.status for answer in watch] == [HealthCheckResponse.NOT_SERVING]
    channel.close()
