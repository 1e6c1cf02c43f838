"""Several workers behind one port: the same answers, one configuration, one sum of metrics, one life."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
import pytest
import requests
import serving_toy
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2, model_service_pb2_grpc

from serving.client import Client
from serving.process import READY
from serving.reserved import Reserved
from serving.status import ServingError

REQUESTS = ':tensorflow:serving:request_count{model_name="toy",status="OK"}'
ROWS = [[0.1, 0.7], [1e-7, 3e7]]


@dataclass(frozen=True)
class Running:
    """A server of two workers."""

    process: subprocess.Popen
    facts: dict
    lines: list[str]
    base: Path

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def told(self, part: str) -> str:
        """Waits for a line of the log that has this in it."""
        return next(line for line in self.process.stderr if part in line)

    def ask(self, model: str, rows) -> bytes:
        """Returns the answer over a connection of its own."""
        url = f"http://127.0.0.1:{self.facts['rest_port']}/v1/models/{model}:predict"
        body = {"signature_name": "embed", "instances": rows}
        answer = requests.post(url, json=body, timeout=60, headers={"Connection": "close"})
        return answer.content if answer.ok else answer.json()["error"].encode()

    def metrics(self) -> dict[str, float]:
        url = f"http://127.0.0.1:{self.facts['rest_port']}/monitoring/prometheus/metrics"
        lines = requests.get(url, timeout=60, headers={"Connection": "close"}).text.splitlines()
        parts = [line.rpartition(" ") for line in lines if not line.startswith("#")]
        assert len({key for key, _, _ in parts}) == len(parts)
        return {key: float(value) for key, _, value in parts}

    def reload(self, **models: str) -> None:
        """Has the server serve models from folders below the base."""
        request = model_management_pb2.ReloadConfigRequest()
        for name, folder in models.items():
            path = str(self.base / folder)
            request.config.model_config_list.config.add(name=name, base_path=path, model_platform="tensorflow")
        with grpc.insecure_channel(f"127.0.0.1:{self.facts['grpc_port']}") as channel:
            model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=60)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    serving_toy.write_small(folder / "toy", 1)
    (folder / "empty").mkdir()
    return folder


def start(base: Path, model: str) -> subprocess.Popen:
    flags = [f"--model_name={model}", f"--model_base_path={base / model}", "--port=any", "--rest_api_port=any"]
    flags += ["--workers=2", "--enable_metrics", "--max_num_load_retries=0"]
    return subprocess.Popen(
        [sys.executable, "-m", "serving.server", *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@contextlib.contextmanager
def serving(base: Path) -> Iterator[Running]:
    """A server of two workers; ends with 0, and nothing of it is left."""
    process = start(base, "toy")
    try:
        lines = []
        while not (lines and lines[-1].startswith(READY)):
            lines.append(next(process.stdout))
        running = Running(process, json.loads(lines[-1].removeprefix(READY)), lines, base)
        yield running
        if process.poll() is None:
            workers = running.workers()
            process.terminate()
            assert process.wait(60) == 0
            assert process.stdout.read() == "stopped\n"
            assert not [worker for worker in workers if worker.is_running()]
            assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def running(base) -> Iterator[Running]:
    with serving(base) as found:
        yield found


def test_the_start_says_how_many_serve(running):
    port, rest_port = running.facts["grpc_port"], running.facts["rest_port"]
    assert running.facts == {
        "host": "127.0.0.1",
        "grpc_port": port,
        "rest_port": rest_port,
        "models": {"toy": [1]},
        "workers": 2,
    }
    assert running.lines[:-1] == [
        f"waiting for a version of toy in {running.base / 'toy'}\n",
        "model toy version 1\n",
        "workers 2\n",
        f"grpc 127.0.0.1:{port}\n",
        f"rest http://127.0.0.1:{rest_port}/v1/models/toy\n",
    ]
    assert len(running.workers()) == 2
    for protocol, taken in (("gRPC", port), ("REST", rest_port)):
        with pytest.raises(ServingError, match="Address already in use"):
            Reserved(protocol, "127.0.0.1", taken)


def test_both_answer_alike_and_their_counts_add_up(running):
    before = running.metrics()
    assert len({running.ask("toy", ROWS) for _ in range(64)}) == 1
    with Client(grpc_port=running.facts["grpc_port"], model="toy") as client:
        assert client.predict(ROWS, signature="embed")["y"].shape == (2, 2)
    after = running.metrics()
    shares = [f'metaprior_worker_requests_total{{worker="{n}"}}' for n in (0, 1)]
    grown = [after[share] - before.get(share, 0) for share in shares]
    assert min(grown) > 0  # by chance once in 2^63
    assert sum(grown) == after[REQUESTS] - before.get(REQUESTS, 0) == 65
    assert (after["metaprior_workers"], after["metaprior_queue_depth"]) == (2, 0)
    assert after['metaprior_model_version_info{model_name="toy",space="",version="1"}'] == 1
    assert after["metaprior_process_resident_memory_bytes"] > sum(w.memory_info().rss for w in running.workers()) / 2


def test_a_reload_reaches_both_and_a_refused_one_neither(running):
    running.reload(toy="toy", other="toy")
    assert len({running.ask("other", ROWS) for _ in range(32)} | {running.ask("toy", ROWS)}) == 1
    with pytest.raises(grpc.RpcError) as caught:
        running.reload(other="toy", third="nowhere")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert len({running.ask("toy", ROWS) for _ in range(32)}) == 1
    assert {running.ask("third", ROWS) for _ in range(8)} == {b"Servable not found for request: Latest(third)"}
    running.reload(toy="toy")
    assert {running.ask("other", ROWS) for _ in range(32)} == {b"Servable not found for request: Latest(other)"}


def test_reloads_do_not_wait_for_one_another(running):
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(running.reload, toy="toy", other="toy", late="empty")
        while running.ask("other", ROWS).startswith(b"Servable not found"):
            assert not first.done()
        running.reload(toy="toy")
        assert first.exception(60).code() is grpc.StatusCode.ABORTED
    assert {running.ask("other", ROWS) for _ in range(32)} == {b"Servable not found for request: Latest(other)"}


@pytest.mark.slow
def test_a_killed_worker_costs_its_own_calls_and_comes_back_to_where_the_others_are(base):
    with serving(base) as running:
        running.reload(toy="toy", other="toy")
        ended, codes, answers = threading.Event(), Counter(), Counter()

        def persistent():
            with Client(rest_port=running.facts["rest_port"], model="other", timeout=120, attempts=None) as client:
                while not ended.is_set():
                    answers[client.predict(ROWS, signature="embed")["y"].tobytes()] += 1

        def once(number):
            options = [("grpc.use_local_subchannel_pool", 1), ("number", number)]
            with grpc.insecure_channel(f"127.0.0.1:{running.facts['grpc_port']}", options) as channel:
                stub = model_service_pb2_grpc.ModelServiceStub(channel)
                asked = get_model_status_pb2.GetModelStatusRequest()
                asked.model_spec.name = "other"
                while not ended.is_set():
                    try:
                        stub.GetModelStatus(asked, timeout=60)
                        codes["OK"] += 1
                    except grpc.RpcError as error:
                        codes[error.code().name] += 1

        callers = [threading.Thread(target=persistent) for _ in range(2)]
        callers += [threading.Thread(target=once, args=(number,)) for number in range(2)]
        for caller in callers:
            caller.start()
        for _ in range(20):
            running.ask("other", ROWS)
        victim, survivor = running.workers()
        counted = running.metrics()[REQUESTS.replace("toy", "other")]
        victim.kill()
        assert "signal 9. It is started again in 0.5 s" in running.told("ended")
        running.told("serves again")
        ended.set()
        for caller in callers:
            caller.join(120)
        assert set(codes) <= {"OK", "UNAVAILABLE"}
        assert codes["OK"] > 0
        assert len(answers) == 1
        assert len({running.ask("other", ROWS) for _ in range(64)}) == 1
        found = running.metrics()
        assert found[REQUESTS.replace("toy", "other")] >= counted
        shares = [found[f'metaprior_worker_restarts_total{{worker="{n}"}}'] for n in (0, 1)]
        assert (sorted(shares), found["metaprior_workers"]) == ([0, 1], 2)
        assert survivor.is_running()
        assert len(running.workers()) == 2


@pytest.mark.slow
def test_workers_end_when_their_supervisor_is_killed(base):
    with serving(base) as running:
        workers = running.workers()
        running.process.kill()
        gone, left = psutil.wait_procs(workers, timeout=60)
        assert (len(gone), left) == (2, [])
        Reserved("REST", "127.0.0.1", running.facts["rest_port"]).close()


@pytest.mark.slow
def test_a_model_that_no_worker_can_load_ends_the_start_as_with_one(base):
    serving_toy.write_garbage(base / "bad", 1)
    process = start(base, "bad")
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert output == f"waiting for a version of bad in {base / 'bad'}\n"
    assert errors.splitlines()[-1].startswith("Failed to start server. Error: UNKNOWN: 1 model(s) did not become avail")


@pytest.mark.slow
def test_an_end_while_nothing_is_there_to_serve_is_an_end(base):
    process = start(base, "empty")
    try:
        assert next(process.stdout).startswith("waiting for a version of empty")
        started = time.monotonic()
        while len(psutil.Process(process.pid).children()) < 2:
            assert time.monotonic() - started < 60
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
        assert process.stdout.read() == "stopped\n"
    finally:
        process.kill()
        process.communicate()
