"""One contract, two servers: what starts either, publishes versions to it and asks it.

A server that runs already is taken from the environment: TFS_GRPC and TFS_REST (host:port), TFS_MODELS (the
folder of models that server and tests both see) and TFS_KIND (`embedded` or `real`). Prepare the folder and print
the flags to start that server with:

    PYTHONPATH=.:tests python -m conformance.harness FOLDER
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import requests
import serving_toy
import tensorflow as tf
from google.protobuf import text_format
from grpc_health.v1 import health_pb2_grpc
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

REAL = "tensorflow_model_server"
SECONDS = 60.0
METRICS = "/monitoring/prometheus/metrics"
FLAGS = (
    "--rest_api_enable_cors_support=true",
    "--enable_grpc_healthcheck_service=true",
    "--file_system_poll_wait_seconds=1",
    "--max_num_load_retries=0",
    "--rest_api_timeout_in_ms=30000",
)
CODE = grpc.StatusCode


@dataclass(frozen=True)
class Target:
    """A server under test.

    Args:
        kind: `embedded` or `real`.
        grpc: its gRPC address.
        rest: its REST address.
        models: the folder of its models; a test writes versions there by rename.
    """

    kind: str
    grpc: str
    rest: str
    models: Path


class Rest:
    """The REST API of a server, by path."""

    def __init__(self, target: Target):
        self._base = f"http://{target.rest}"
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, path: str, **kwargs) -> requests.Response:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, body: dict | bytes, **kwargs) -> requests.Response:
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        return self.request("POST", path, data=data, **kwargs)

    def request(self, method: str, path: str, **kwargs) -> requests.Response:
        return self._session.request(method, f"{self._base}{path}", timeout=SECONDS, **kwargs)

    def close(self) -> None:
        self._session.close()


class Grpc:
    """The gRPC API of a server: a stub of each service."""

    def __init__(self, target: Target):
        limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self.channel = grpc.insecure_channel(target.grpc, limits)
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)

    def predict(self, inputs: dict | None = None, outputs: Sequence[str] = (), **spec) -> dict[str, np.ndarray]:
        """Returns the outputs of one Predict; see `make_request` for the arguments."""
        response = self.prediction.Predict(make_request(inputs, outputs, **spec), timeout=SECONDS)
        return {alias: tf.make_ndarray(tensor) for alias, tensor in response.outputs.items()}

    def states(self, name: str, **spec) -> dict[int, tuple[str, int]]:
        """Returns state and error code of each version, in the order of the answer."""
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=make_spec(name, **spec))
        found = self.model.GetModelStatus(request, timeout=SECONDS).model_version_status
        return {s.version: (type(s).State.Name(s.state), s.status.error_code) for s in found}

    def close(self) -> None:
        self.channel.close()


def make_spec(name="toy", version=None, signature="", label=""):
    spec = model_pb2.ModelSpec(name=name, signature_name=signature)
    if version is not None:
        spec.version.value = version
    if label:
        spec.version_label = label
    return spec


def make_request(inputs=None, outputs=(), **spec):
    """Returns a PredictRequest: inputs as arrays, lists of floats or TensorProtos; x=[[1, 2]] by default."""
    request = predict_pb2.PredictRequest(model_spec=make_spec(**spec), output_filter=outputs)
    for alias, value in ({"x": [[1.0, 2.0]]} if inputs is None else inputs).items():
        request.inputs[alias].CopyFrom(to_proto(value))
    return request


def to_proto(value):
    if isinstance(value, TensorProto):
        return value
    return tf.make_tensor_proto(np.asarray(value, np.float32) if isinstance(value, list) else value)


def refusal(call, request, **kwargs):
    """Returns code and text of a call that must fail."""
    try:
        call(request, timeout=SECONDS, **kwargs)
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError("the server answered what it must refuse")


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Asks again and again; a server tells nobody when it has loaded something."""
    pause = threading.Event()
    for _ in range(int(SECONDS / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError(f"it did not happen: {what}")


def publish(ready: Path, base: Path, name: str | int) -> Path:
    """Copies a finished version under a base path, and renames it to its name last."""
    base.mkdir(exist_ok=True)
    return shutil.copytree(ready, base / f"tmp-{name}").rename(base / str(name))


def all_versions() -> model_server_config_pb2.ModelConfig:
    """Returns a configuration with the policy `all`."""
    config = model_server_config_pb2.ModelConfig(model_platform="tensorflow")
    config.model_version_policy.all.SetInParent()
    return config


def specific(*versions: int) -> model_server_config_pb2.ModelConfig:
    """Returns a configuration with the policy `specific`."""
    config = model_server_config_pb2.ModelConfig(model_platform="tensorflow")
    config.model_version_policy.specific.versions.extend(versions)
    return config


def latest(count: int = 1) -> model_server_config_pb2.ModelConfig:
    """Returns a configuration with the policy `latest`."""
    config = model_server_config_pb2.ModelConfig(model_platform="tensorflow")
    config.model_version_policy.latest.num_versions = count
    return config


@dataclass
class Catalog:
    """What a server is told to serve; a change replaces the whole list, as the protocol has it.

    Args:
        target: the server.
        grpc: its API.
    """

    target: Target
    grpc: Grpc
    configs: dict[str, model_server_config_pb2.ModelConfig] = field(default_factory=dict)

    def put(self, name: str, config=None, **labels: int) -> None:
        """Serves a model of the folder, beside the others; returns once a new one has an available version."""
        changed = self.configs | {name: self.named(name, config or latest(), **labels)}
        self.send(changed.values())
        self.configs = changed

    def drop(self, name: str) -> None:
        """Serves a model no more."""
        kept = self.others(name)
        self.send(kept)
        self.configs = {config.name: config for config in kept}

    def others(self, name: str) -> list[model_server_config_pb2.ModelConfig]:
        """Returns the configurations of all other models."""
        return [config for other, config in self.configs.items() if other != name]

    def named(self, name: str, config, **labels: int):
        config.name, config.base_path = name, str(self.target.models / name)
        for label, version in labels.items():
            config.version_labels[label] = version
        return config

    def send(self, configs) -> None:
        """Sends a list of configurations as it is."""
        self.grpc.model.HandleReloadConfigRequest(reload_request(configs), timeout=SECONDS)


def reload_request(configs):
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.SetInParent()
    request.config.model_config_list.config.extend(configs)
    return request


def prepare(folder: Path) -> list[str]:
    """Writes the toy's versions 1 and 2 and the configuration files; returns the flags for a server over them."""
    for version in (1, 2):
        serving_toy.write(folder / "toy", version)
    listed = model_server_config_pb2.ModelServerConfig()
    toy = all_versions()
    toy.name, toy.base_path = "toy", str(folder / "toy")
    listed.model_config_list.config.append(toy)
    (folder / "models.config").write_text(text_format.MessageToString(listed))
    (folder / "monitoring.config").write_text(f'prometheus_config {{ enable: true path: "{METRICS}" }}\n')
    files = (f"--model_config_file={folder}/models.config", f"--monitoring_config_file={folder}/monitoring.config")
    return [*files, *FLAGS]


def kinds() -> list[str]:
    """Returns the servers that there are to test."""
    if "TFS_GRPC" in os.environ:
        return [os.environ.get("TFS_KIND", "real")]
    return ["embedded", *(["real"] if shutil.which(REAL) else [])]


@contextmanager
def running(kind: str, folder: Path, *more: str) -> Iterator[Target]:
    """Starts a server over a prepared folder, or takes the one of the environment."""
    if "TFS_GRPC" in os.environ:
        yield Target(kind, os.environ["TFS_GRPC"], os.environ["TFS_REST"], Path(os.environ["TFS_MODELS"]))
        return
    flags = [*prepare(folder), *more]
    start = embedded if kind == "embedded" else real
    with start(flags) as (grpc_port, rest_port):
        yield Target(kind, f"127.0.0.1:{grpc_port}", f"127.0.0.1:{rest_port}", folder)


@contextmanager
def embedded(flags: Sequence[str]) -> Iterator[tuple[int, int]]:
    command = [sys.executable, "-m", "serving.server", "--port=any", "--rest_api_port=any", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        facts = next(line for line in process.stdout if line.startswith("ready "))
        ports = json.loads(facts.removeprefix("ready "))
        yield ports["grpc_port"], ports["rest_port"]
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)


@contextmanager
def real(flags: Sequence[str]) -> Iterator[tuple[int, int]]:
    ports = free_port(), free_port()
    process = subprocess.Popen([REAL, f"--port={ports[0]}", f"--rest_api_port={ports[1]}", *flags])
    try:
        # Its ports open when the models are loaded.
        wait_for(lambda: process.poll() is not None or is_open(ports[1]), "the server opens its ports")
        yield ports
    finally:
        process.terminate()
        process.wait(SECONDS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    print("\n".join(prepare(Path(sys.argv[1]).resolve())))
