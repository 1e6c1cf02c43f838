"""A server in a process of its own, asked for known answers over both protocols."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from components.serving_check.golden import OUTPUTS, Golden
from serving.client import Client
from serving.status import Code, ServingError

MODEL = "candidate"
STARTUP_SECONDS = 180
GRACE_SECONDS = 30
TOLERANCE = 1e-5
SCORES = {"score": ("rate", "distortion", "elbo")}

Requests = Mapping[str, Mapping[str, Any]]


def check(saved_model: Path, *, golden: Golden, requests: Requests) -> str | None:
    """Serves a SavedModel and compares its answers, signature by signature, over gRPC and REST.

    Args:
        saved_model: folder of the SavedModel.
        golden: the trainer's own answers.
        requests: inputs of each signature that ask for them.

    Returns:
        None if every answer agrees within 1e-5 (absolute, or relative where values exceed 1), otherwise
        one line that says what does not.
    """
    with tempfile.TemporaryDirectory(prefix="metaprior-check-") as folder:
        # Links, not copies: an encoder may be large, and the server only reads.
        shutil.copytree(saved_model, Path(folder, "1"), copy_function=_link)
        try:
            with _server(Path(folder)) as ports:
                return _compare_all(ports, golden, requests)
        except ServingError as error:
            return f"the served encoder did not answer: {error}"


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


@contextmanager
def _server(folder: Path) -> Iterator[dict[str, int]]:
    command = [sys.executable, "-m", "serving.server", "--port=0", "--rest_api_port=0"]
    command += [f"--model_name={MODEL}", f"--model_base_path={folder}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    # A server that hangs is ended, which ends its output and so the wait below.
    watchdog = threading.Timer(STARTUP_SECONDS, process.kill)
    watchdog.start()
    try:
        yield _ready(process)
    finally:
        watchdog.cancel()
        process.terminate()
        try:
            process.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _ready(process: subprocess.Popen) -> dict[str, int]:
    for line in process.stdout or []:
        if line.startswith("ready "):
            return json.loads(line.removeprefix("ready "))
    raise ServingError(Code.UNAVAILABLE, "the server ended before it was ready; the log says why.")


def _compare_all(ports: dict[str, int], golden: Golden, requests: Requests) -> str | None:
    clients = {
        "gRPC": Client(grpc_port=ports["grpc_port"], model=MODEL),
        "REST": Client(rest_port=ports["rest_port"], model=MODEL),
    }
    for protocol, client in clients.items():
        with client:
            for signature, inputs in requests.items():
                fault = _fault(client.predict(inputs, signature=signature), golden, SCORES.get(signature, OUTPUTS))
                if fault:
                    return f"signature {signature} over {protocol}: {fault}"
    return None


def _fault(answer: Mapping[str, Any], golden: Golden, expected: tuple[str, ...]) -> str | None:
    values = {name: np.asarray(value, np.float64) for name, value in answer.items()}
    if set(values) != set(expected):
        return f"it answers {', '.join(sorted(values))}, not {', '.join(sorted(expected))}"
    for name, value in values.items():
        if not np.isfinite(value).all():
            return f"{name} is not finite"
    for name in OUTPUTS:
        if name in values:
            trainers = golden.answers[name]
            if values[name].shape != trainers.shape:
                return f"{name} has shape {values[name].shape}, not {trainers.shape}"
            error = np.max(np.abs(values[name] - trainers) / np.maximum(1, np.abs(trainers)))
            if error > TOLERANCE:
                return f"{name} is {error:.1e} from the trainer's, more than {TOLERANCE:.0e}"
    return None
