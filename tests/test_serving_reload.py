"""Reloads that wait: how long, for whom, and what goes on meanwhile."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import grpc
import numpy as np
import pytest
import serving_toy
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2, model_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2

from serving.callers import Caller
from serving.client import Client
from serving.configs import ModelConfig, Policy
from serving.models import Models
from serving.servable import Servable
from serving.server import Options, Server
from serving.states import Rhythm
from serving.status import ServingError

QUICK = Rhythm(poll_seconds=0.01)
ROWS = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
ATTEMPTS = "/tensorflow/cc/saved_model/load_attempt_count"


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """Folders of models with a version 1; what they answer tells them apart."""
    folder = tmp_path_factory.mktemp("ready")
    for name, value in (("toy", 1), ("moved", 2)):
        (folder / name).mkdir()
        serving_toy.write_small(folder / "made", value).rename(folder / name / "1")
    return folder


@pytest.fixture
def models():
    running = Models(rhythm=QUICK, patience=0.05)
    yield running
    running.stop(5)


@pytest.fixture
def never(tmp_path):
    """A model whose folder has no version."""
    (tmp_path / "never").mkdir()
    return ModelConfig("never", tmp_path / "never")


def refusal(call, *arguments):
    with pytest.raises(ServingError) as caught:
        call(*arguments)
    return str(caught.value)


def serving(models, name, **which):
    with models.lease(name, **which) as (number, _):
        return number


@pytest.mark.parametrize("caller", [Caller(), Caller(seconds=0.0), Caller(seconds=3600.0)])
def test_a_wait_has_an_end_and_the_model_is_served_when_a_version_appears(models, ready, never, caller):
    assert refusal(models.reload, [never], caller) == (
        f"DEADLINE_EXCEEDED: Model never has no version to serve in {never.base_path}. It stays configured and is "
        "served as soon as it can be."
    )
    assert models.names == ["never"]
    shutil.copytree(ready / "toy", never.base_path, dirs_exist_ok=True)
    assert serving_toy.eventually(lambda: models.status("never") and models.status("never")[0].serves)


def test_a_load_that_takes_longer_is_told_as_one(ready):
    go_on = threading.Event()

    def load(path):
        go_on.wait(60)
        return Servable(path)

    models = Models(load, rhythm=QUICK)
    toy = [ModelConfig("toy", ready / "toy")]
    until_loading = Caller(is_wanted=lambda: not models.status("toy"))
    assert refusal(models.reload, toy, until_loading) == "CANCELLED: Nobody waits for model toy any more."
    models.reload([])
    assert refusal(models.reload, toy, Caller(seconds=0.0)) == (
        f"DEADLINE_EXCEEDED: Model toy version 1 in {ready / 'toy'} is not loaded yet. It stays configured and is "
        "served as soon as it can be."
    )
    go_on.set()
    models.stop(5)


def test_a_process_that_joins_others_does_not_wait_for_a_model_without_versions(models, ready, never):
    models.resume([ModelConfig("toy", ready / "toy"), never])
    assert (serving(models, "toy"), models.status("never")) == (1, [])


def test_a_failure_and_a_model_without_a_version_are_both_told(models, never, tmp_path):
    serving_toy.write_garbage(tmp_path / "bad", 3)
    text = refusal(models.reload, [ModelConfig("bad", tmp_path / "bad"), never], Caller())
    damaged = f"Can't parse the SavedModel in {tmp_path / 'bad' / '3'}: the file is damaged."
    missing = f"Model never has no version to serve in {never.base_path}."
    assert text == (
        f"UNKNOWN: 2 model(s) did not become available: {{{{name: bad version: 3}} due to error: DATA_LOSS: {damaged}}}"
        f", {{name: never}} due to error: DEADLINE_EXCEEDED: {missing}}}, }}"
    )


def test_who_waits_keeps_nobody_waiting_and_learns_that_the_model_was_taken_away(ready, never, tmp_path):
    models = Models(rhythm=QUICK)
    toy, other = ModelConfig("toy", ready / "toy"), ModelConfig("other", ready / "moved")
    models.reload([toy])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(refusal, models.reload, [toy, never], Caller())
        assert serving_toy.eventually(lambda: "never" in models.names)
        models.reload([toy, never, other], Caller())
        assert (serving(models, "toy"), serving(models, "other"), models.status("never")) == (1, 1, [])
        assert waiting.running()
        models.reload([toy])
        assert waiting.result(60) == "ABORTED: Model never was taken away by a later configuration."
    models.stop(5)


def test_a_halt_ends_waits_and_changes_but_not_what_is_served(ready, never):
    models = Models(rhythm=QUICK)
    toy = ModelConfig("toy", ready / "toy")
    models.reload([toy])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(refusal, models.reload, [toy, never], Caller())
        assert serving_toy.eventually(lambda: "never" in models.names)
        models.halt()
        assert waiting.result(60) == "UNAVAILABLE: The server is shutting down."
    assert refusal(models.reload, []) == "UNAVAILABLE: The server is shutting down."
    assert serving(models, "toy") == 1
    models.stop(5)


def test_a_load_whose_turn_comes_after_the_halt_is_not_begun(ready):
    begun, go_on, loads = threading.Event(), threading.Event(), []

    def load(path):
        loads.append(path)
        begun.set()
        go_on.wait(60)
        return Servable(path)

    models = Models(load, rhythm=QUICK)
    both = [ModelConfig("toy", ready / "toy"), ModelConfig("other", ready / "moved")]
    refusal(models.reload, both, Caller(is_wanted=lambda: not begun.is_set()))
    assert serving_toy.eventually(lambda: all(models.status(config.name) for config in both))
    models.halt()
    go_on.set()
    models.stop(60)
    assert len(loads) == 1
    assert [models.status(config.name)[0].state.name for config in both] == ["END", "END"]


def test_a_label_is_not_given_to_a_version_that_is_unloading(models, ready, tmp_path):
    base = shutil.copytree(ready / "toy", tmp_path / "toy")
    shutil.copytree(base / "1", base / "2")
    models.reload([ModelConfig("toy", base, Policy(most=None))])
    with models.lease("toy", 1):
        models.reload([ModelConfig("toy", base)])
        assert serving_toy.eventually(lambda: models.status("toy")[1].state.name == "UNLOADING")
        assert refusal(models.reload, [ModelConfig("toy", base, labels={"old": 1})]) == (
            "FAILED_PRECONDITION: Request to assign label to version 1 of model toy, which is not currently available "
            "for inference"
        )
        assert [number for _, number, _ in models.served()] == [2]


def test_a_file_that_names_a_model_without_versions_is_followed_further(ready, never, tmp_path):
    def write(name, base):
        draft = tmp_path / "draft"
        draft.write_text(
            f"model_config_list {{ config {{ name: '{name}' base_path: '{base}' model_platform: 'tensorflow' }} }}"
        )
        draft.rename(tmp_path / "models.config")

    models = Models(rhythm=QUICK)
    write("never", never.base_path)
    models.watch(tmp_path / "models.config", 0.01)
    assert serving_toy.eventually(lambda: models.names == ["never"])
    write("toy", ready / "toy")
    assert serving_toy.eventually(lambda: models.names == ["toy"])
    models.stop(5)


@contextmanager
def serve(ready):
    options = Options(
        model_name="toy",
        model_base_path=ready / "toy",
        port="any",
        rest_api_port="any",
        file_system_poll_wait_seconds=0.02,
        shutdown_grace_seconds=600,
    )
    # The channel is closed after the server has stopped, to hear what that tells.
    with ExitStack() as stack, Server(options) as server:
        channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}"))
        yield server, model_service_pb2_grpc.ModelServiceStub(channel)


@pytest.fixture(scope="module")
def running(ready):
    with serve(ready) as server_and_stub:
        yield server_and_stub


def configuration(*counters, **bases):
    request = model_management_pb2.ReloadConfigRequest(metric_names=counters)
    listed = request.config.model_config_list
    listed.SetInParent()
    for name, base in bases.items():
        listed.config.append(
            model_server_config_pb2.ModelConfig(name=name, base_path=str(base), model_platform="tensorflow")
        )
    return request


def test_counters_tell_their_increase(running, ready):
    _, stub = running
    runs = "/tensorflow/serving/batching_session/wrapped_run_count"
    answer = stub.HandleReloadConfigRequest(configuration(ATTEMPTS, runs, toy=ready / "toy", more=ready / "moved"))
    assert {metric.name: metric.int64_value_increase for metric in answer.metric} == {ATTEMPTS: 1, runs: 0}
    again = stub.HandleReloadConfigRequest(configuration(ATTEMPTS, toy=ready / "toy", more=ready / "moved"))
    assert [(metric.name, metric.int64_value_increase) for metric in again.metric] == [(ATTEMPTS, 0)]


def test_a_name_that_is_no_counters_is_refused_and_nothing_changes(running, ready):
    server, stub = running
    before = server.models.names
    with pytest.raises(grpc.RpcError) as caught:
        stub.HandleReloadConfigRequest(configuration("/tensorflow/serving/request_latency", other=ready / "toy"))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    text = "metric_names: /tensorflow/serving/request_latency is no counter of this server. Name one of "
    assert caught.value.details().startswith(text + ATTEMPTS)
    assert server.models.names == before


def test_requests_see_one_folder_or_the_other_while_a_model_moves(running, ready):
    server, stub = running
    stub.HandleReloadConfigRequest(configuration(toy=ready / "toy"))
    callers = 4
    begun = threading.Barrier(callers + 1)

    def call(port):
        seen = []
        with Client(**port, model="toy", attempts=1) as client:
            while seen.count(2) < 20:
                value = client.predict(ROWS, signature="embed")["y"] - ROWS / 2
                assert np.ptp(value) == 0
                seen.append(int(value[0, 0]))
                if len(seen) == 1:
                    begun.wait(60)
        return seen

    with ThreadPoolExecutor(callers) as pool:
        ports = [{"grpc_port": server.grpc_port}, {"rest_port": server.rest_port}] * 2
        calls = [pool.submit(call, port) for port in ports]
        begun.wait(60)
        stub.HandleReloadConfigRequest(configuration(toy=ready / "moved"))
        for one in calls:
            seen = one.result(120)
            assert set(seen) == {1, 2}
            assert seen == sorted(seen)


def test_a_waiting_reload_disturbs_nobody_and_ends_with_its_deadline_or_the_server(ready, never):
    request = configuration(toy=ready / "toy", never=never.base_path)
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "toy"
    with serve(ready) as (server, stub):
        with pytest.raises(grpc.RpcError) as caught:
            stub.HandleReloadConfigRequest(request, timeout=0.2)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        stub.HandleReloadConfigRequest(configuration(toy=ready / "toy"), timeout=60)
        waiting = stub.HandleReloadConfigRequest.future(request)
        assert serving_toy.eventually(lambda: "never" in server.models.names)
        assert stub.GetModelStatus(status, timeout=60).model_version_status[0].state == 30
        with Client(grpc_port=server.grpc_port, model="toy") as client:
            client.predict(ROWS, signature="embed")
    ended = waiting.exception(60)  # the server had a grace of ten minutes
    assert (ended.code(), ended.details()) == (grpc.StatusCode.UNAVAILABLE, "The server is shutting down.")
