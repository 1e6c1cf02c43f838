"""What several workers are made of: reserved ports, lines between processes, added metrics, models that resume."""

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving import flags, merging, server, settings
from serving.configs import ModelConfig
from serving.gathering import Gathering
from serving.line import Ended, Line
from serving.metrics import Metrics
from serving.models import Models
from serving.options import Options
from serving.reserved import Reserved
from serving.status import Code, ServingError

HOST = "127.0.0.1"


class Stub:
    """Stands for a loaded version."""

    space = ""

    def __init__(self, path):
        self.path = path

    def acquire(self):
        pass

    release = acquire

    def close_when_idle(self, _):
        return True


def listen(port, *, shared):
    """Returns a socket that listens as a server does, with or without sharing its port."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except OSError:
        listening.close()
        raise
    return listening


def test_a_reserved_port_is_for_those_who_share_it_and_refuses_callers_until_they_listen():
    reserved = Reserved("gRPC", HOST, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, reserved.port))
    with pytest.raises(OSError, match="Address already in use"):
        listen(reserved.port, shared=False)
    message = f"UNAVAILABLE: gRPC cannot listen on {HOST}:{reserved.port}: Address already in use. Free the port or"
    for _ in range(2):  # also beside the servers of the first
        with pytest.raises(ServingError) as caught:
            Reserved("gRPC", HOST, reserved.port)
        assert str(caught.value).startswith(message)
        with listen(reserved.port, shared=True), listen(reserved.port, shared=True):
            socket.create_connection((HOST, reserved.port)).close()
    reserved.close()
    again = Reserved("gRPC", HOST, reserved.port)  # what remains of the connections is no obstacle
    again.close()


@pytest.mark.parametrize("shared", [False, True])
def test_a_port_of_somebody_else_is_not_reserved_even_if_they_would_share_it(shared):
    with listen(0, shared=shared) as foreign, pytest.raises(ServingError, match="Address already in use"):
        Reserved("REST", HOST, foreign.getsockname()[1])


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ServingError, match=r"^UNAVAILABLE: gRPC cannot listen on 192.0.2.1:0: .+ Free the port or "):
        Reserved("gRPC", "192.0.2.1", 0)


def lines(**answers):
    """Returns both ends of a line, and the event of the second's noticing that the first is gone."""
    gone = threading.Event()
    ours, theirs = Pipe()
    first, second = Line(ours, {}), Line(theirs, answers, lost=gone.set)
    first.start()
    second.start()
    return first, second, ours, gone


def refuse():
    raise ServingError(Code.NOT_FOUND, "no such thing")


def test_a_line_carries_many_questions_at_a_time_and_errors_with_their_code():
    waiting = threading.Event()
    first, _, _, _ = lines(late=waiting.wait, double=lambda x: 2 * x, refuse=refuse, fail=lambda: 1 // 0)
    late = first.asked("late", 60)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: first.ask("double", n), range(100))) == list(range(0, 200, 2))
    with pytest.raises(ServingError, match="NOT_FOUND: no such thing"):
        first.ask("refuse")
    with pytest.raises(ServingError, match="INTERNAL"):
        first.ask("fail")
    assert not late.done()
    waiting.set()
    assert late.result(60) is True


def test_who_waits_learns_that_the_other_end_is_gone():
    first, second, ours, gone = lines(never=threading.Event().wait)
    late = first.asked("never")
    with socket.socket(fileno=os.dup(ours.fileno())) as pipe:
        pipe.shutdown(socket.SHUT_RDWR)
    with pytest.raises(Ended):
        late.result(60)
    assert gone.wait(60)
    with pytest.raises(Ended):
        second.ask("anything")


def exposition(requests, latency, running):
    metrics = Metrics()
    for _ in range(requests):
        metrics.answered("m", "Predict", "GRPC", Code.OK, latency)
        metrics.answered('a "name"\n', "Predict", "GRPC", Code.UNAVAILABLE, latency)
    metrics.watch("queue_depth", "Requests waiting.", lambda: running)
    metrics.describe(lambda: [("m", 3, "space")])
    return metrics.exposition()


def values(text):
    """Returns the samples of an exposition by name and labels."""
    families = text_string_to_metric_families(text.decode())
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


def test_metrics_of_several_processes_add_up():
    one, two = exposition(3, 1e-5, 4), exposition(5, 2e-5, 1)
    found, first, second = (
        values(merging.written(merging.merged(map(merging.read, (one, two))))),
        *map(values, (one, two)),
    )
    assert found.keys() == first.keys() | second.keys()
    assert found["metaprior_queue_depth",] == 5
    assert found["metaprior_model_version_info", ("model_name", "m"), ("space", "space"), ("version", "3")] == 1
    counts = {key: value for key, value in found.items() if key[0].startswith(":tensorflow:serving:request_")}
    assert len(counts) > 30
    assert counts == {key: first[key] + second[key] for key in counts}
    for name in ("metaprior_process_start_time_seconds", "metaprior_rejected_requests_created"):
        (key,) = (key for key in found if key[0] == name)
        assert found[key] == min(first[key], second[key])


def test_what_a_worker_had_counted_stays_when_it_ends():
    present = {0: exposition(3, 1e-5, 4), 1: exposition(5, 1e-5, 1)}
    gathering = Gathering(2, lambda: present)
    before = values(gathering.exposition())
    del present[0]
    assert values(gathering.exposition()) == before  # it does not answer; what it said counts
    gathering.ended(0)
    after = values(gathering.exposition())
    assert (before["metaprior_workers",], after["metaprior_workers",]) == (2, 1)
    assert after["metaprior_queue_depth",] == 1
    present[0] = exposition(1, 1e-5, 0)
    again = values(gathering.exposition())
    for worker, counts in (("0", (6, 6, 8)), ("1", (10, 10, 10))):
        key = "metaprior_worker_requests_total", ("worker", worker)
        assert (before[key], after[key], again[key]) == counts
    assert again["metaprior_worker_restarts_total", ("worker", "0")] == 1
    key = ":tensorflow:serving:request_count_total", ("model_name", "m"), ("status", "OK")
    assert (before[key], after[key], again[key]) == (8, 8, 9)


def config(tmp_path, name, labels=None):
    (tmp_path / name / "1").mkdir(parents=True, exist_ok=True)
    return ModelConfig(name, tmp_path / name, labels=labels or {})


def load(path):
    if path.parent.name == "broken":
        raise ServingError(Code.DATA_LOSS, "half a model")
    return Stub(path)


def test_who_resumes_takes_labels_before_their_versions_and_goes_on_without_what_broke(tmp_path):
    wanted = [config(tmp_path, "good", {"stable": 1}), config(tmp_path, "broken")]
    started, resumed = Models(load), Models(load)
    with pytest.raises(ServingError, match="FAILED_PRECONDITION"):
        started.reload(wanted)
    assert started.names == []
    resumed.resume(wanted)
    assert [name for name, _, _ in resumed.served()] == ["good"]
    with resumed.lease("good", label="stable") as (number, _):
        assert number == 1
    for models in (started, resumed):
        models.stop(1)


def test_a_check_refuses_what_a_reload_would_and_changes_nothing(tmp_path):
    models = Models(load)
    models.reload([config(tmp_path, "good")])
    models.check([config(tmp_path, "good", {"stable": 1}), config(tmp_path, "broken")])
    for wanted in (config(tmp_path, "good", {"stable": 2}), ModelConfig("lost", tmp_path / "lost")):
        with pytest.raises(ServingError):
            models.check([wanted])
    assert models.names == ["good"]
    models.stop(1)


def test_workers_share_the_cores_and_log_apart(tmp_path):
    cores = len(os.sched_getaffinity(0))
    given = Options(model_base_path=tmp_path, workers=2 * cores, request_log_folder=tmp_path / "log")
    found = settings.of_worker(given, 3, {"port": 1234})
    assert (found.threads, found.port, found.rest_api_port) == ((1, 1), 1234, 0)
    assert (found.request_log_folder, found.request_log_max_bytes) == (
        tmp_path / "log" / "worker-3",
        2**30 // given.workers,
    )
    one = settings.of_worker(Options(model_base_path=tmp_path), 0, {})
    assert (one.threads, one.request_log_folder) == ((cores, cores), None)
    told = Options(model_base_path=tmp_path, workers=2, tensorflow_session_parallelism=7)
    assert settings.of_worker(told, 0, {}).threads == (7, 7)


@pytest.mark.parametrize(
    ("given", "platform", "line"),
    [
        (["--workers=0"], "linux", "error: --workers: Input should be greater than or equal to 1. Received: 0"),
        (["--workers=2"], "darwin", "error: workers share their ports as only Linux lets them. Leave workers out."),
        (
            ["--workers=2", "--grpc_socket_path=/tmp/x"],
            "linux",
            "error: grpc_socket_path is for one worker: several share ports, not a socket.",
        ),
    ],
)
def test_what_does_not_go_with_workers_is_refused_in_one_line(capsys, monkeypatch, given, platform, line):
    monkeypatch.setattr("sys.platform", platform)
    assert server.main(["--model_base_path=/models/toy", *given]) == 2
    assert capsys.readouterr().err.splitlines() == [line]


def test_a_start_that_cannot_succeed_ends_before_any_worker(capsys, tmp_path):
    given = ["--model_name=toy", "--workers=2"]
    assert server.main([*given, "--model_base_path=/nowhere"]) == 1
    line = "Failed to start server. Error: NOT_FOUND: Could not find base path /nowhere. Create it or correct it."
    assert capsys.readouterr().err.splitlines() == [line]
    with listen(0, shared=True) as foreign:
        port = foreign.getsockname()[1]
        assert server.main([*given, f"--model_base_path={tmp_path}", f"--port={port}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"gRPC cannot listen on {HOST}:{port}: Address already in use." in line
    assert flags.options({"model_base_path": Path("x"), "workers": "2"}).workers == 2
