"""Deployed files and the serving check, tried on servers that speak TensorFlow Serving's flags."""

import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import serving_toy
import tensorflow as tf
import yaml

from components.serving_check import servers
from components.serving_check.check import check
from components.serving_check.golden import Golden
from components.serving_check.servers import EMBEDDED, MODEL, REAL, choose
from models.errors import InputError
from pipeline.deployment import deploy
from serving.client import Client
from serving.deploy import metrics

PLACE = {"=/config/": "={out}/config/", "--port=8500": "--port=any", "--rest_api_port=8501": "--rest_api_port=any"}


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[tuple[Path, dict[str, int]]]:
    """A server started as the Compose file says, but for ports and the places of its files; (folder, ports)."""
    folder = tmp_path_factory.mktemp("deployed")
    for version in (1, 2):
        serving_toy.write_small(folder / "models" / "toy", version)
    out = folder / "out"
    deploy(folder / "models" / "toy", out, labels={"stable": 1, "canary": 2})
    models = out / "config" / "models" / "models.config"
    models.write_text(models.read_text().replace('"/models/', f'"{folder}/models/'))
    flags = yaml.safe_load((out / "compose.yaml").read_text())["services"]["serving"]["command"]
    for written, here in PLACE.items():
        flags = [flag.replace(written, here.format(out=out)) for flag in flags]
    with subprocess.Popen(
        [sys.executable, "-m", "serving.server", *flags], stdout=subprocess.PIPE, text=True
    ) as process:
        ready = next(line for line in process.stdout or [] if line.startswith("ready "))
        yield out, yaml.safe_load(ready.removeprefix("ready "))
        process.terminate()
        process.communicate(timeout=60)


def test_a_server_takes_the_flags_and_exports_what_is_asked_for(served):
    _, facts = served
    address = f"http://127.0.0.1:{facts['rest_port']}"
    answers = {}
    for label in ("stable", "canary"):
        body = b'{"signature_name": "embed", "instances": [[2.0, 4.0]]}'
        with urllib.request.urlopen(f"{address}/v1/models/toy/labels/{label}:predict", body) as answer:
            answers[label] = yaml.safe_load(answer.read())["predictions"]
    assert answers == {"stable": [[2.0, 3.0]], "canary": [[3.0, 4.0]]}
    with Client(grpc_port=facts["grpc_port"], model="toy") as client:
        assert client.predict([[2.0, 4.0]], signature="embed")["y"].tolist() == [[3.0, 4.0]]
    with urllib.request.urlopen(address + metrics.PATH) as answer:
        lines = answer.read().decode().splitlines()
    exported = {tuple(line.split()[2:]) for line in lines if line.startswith("# TYPE")}
    wanted = {(name, "counter") for name in metrics.COUNTERS} | {(name, "histogram") for name in metrics.HISTOGRAMS}
    assert wanted <= exported
    labels = {line.split("{")[0]: line.partition("{")[2].partition("}")[0] for line in lines if "{" in line}
    known = metrics.series()
    for name in (series for series in known if series in labels):
        assert tuple(part.partition("=")[0] for part in labels[name].split(",") if part) == known[name]
    assert {":tensorflow:serving:request_count", ":tensorflow:serving:request_latency_bucket"} <= labels.keys()


def test_the_health_check_of_compose_tells_a_served_model(served):
    out, facts = served
    test = yaml.safe_load((out / "compose.yaml").read_text())["services"]["serving"]["healthcheck"]["test"]
    assert test[0] == "CMD"
    command = [part.replace("8501", str(facts["rest_port"])) for part in test[1:]]
    assert subprocess.run(command, check=False, timeout=30).returncode == 0
    other = [part.replace("models/toy/", "models/other/") for part in command]
    assert subprocess.run(other, check=False, timeout=30).returncode == 1


class Encoder(tf.Module):
    """Codes of two floats."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def embed(self, x):
        return {"embedding": x / 2, "stddev": tf.ones_like(x), "rate": tf.reduce_sum(x, 1)}


def binary(folder: Path, script: str, monkeypatch) -> None:
    """Puts a program called `tensorflow_model_server` first on the PATH."""
    path = folder / "bin" / REAL
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")


def test_the_server_on_the_path_checks_the_encoder(tmp_path, monkeypatch):
    encoder = Encoder()
    tf.saved_model.save(encoder, str(tmp_path / "encoder"), signatures={"embed": encoder.embed})
    x = np.array([[1.0, 2.0], [3.0, 5.0]], np.float32)
    golden = Golden([], {"embedding": x / 2, "stddev": np.ones((2, 2)), "rate": x.sum(1)})
    record = tmp_path / "flags"
    binary(tmp_path, f'echo "$@" > {record}\nexec {sys.executable} -m serving.server "$@"', monkeypatch)
    assert choose("auto") == REAL
    assert check(tmp_path / "encoder", golden=golden, requests={"embed": {"x": x}}, server=REAL) is None
    names = [flag.partition("=")[0] for flag in record.read_text().split()]
    assert names == ["--port", "--rest_api_port", "--model_name", "--model_base_path", "--max_num_load_retries"]


def test_a_port_that_another_process_took_is_given_up_for_another(tmp_path, monkeypatch):
    binary(tmp_path, f'exec {sys.executable} -m serving.server "$@"', monkeypatch)
    serving_toy.write_small(tmp_path / "toy", 1)
    find = servers._free_ports
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        taken = servers.Ports(find().grpc, other.getsockname()[1])
        offered = iter((taken, find()))
        monkeypatch.setattr(servers, "_free_ports", lambda: next(offered))
        with servers.running(REAL, tmp_path / "toy") as ports, Client(rest_port=ports.rest, model=MODEL) as client:
            assert ports.rest != taken.rest
            assert client.predict([[2.0, 4.0]], signature="embed")["y"].tolist() == [[2.0, 3.0]]
            # A server that is ready is no longer watched: a check of many signatures may take its time.
            watchdogs = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
            assert all(watchdog.finished.is_set() for watchdog in watchdogs)


def test_a_server_that_ends_at_once_blesses_nothing(tmp_path, monkeypatch):
    binary(tmp_path, "exit 255", monkeypatch)
    (tmp_path / "encoder").mkdir()
    fault = check(tmp_path / "encoder", golden=Golden([], {}), requests={}, server=REAL)
    assert fault == (
        "the served encoder did not answer: UNAVAILABLE: the server ended with exit status 255 before it was ready; "
        "the log says why."
    )


def test_the_server_to_check_with_is_the_one_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose("auto") == choose(EMBEDDED) == EMBEDDED
    with pytest.raises(InputError, match="^serving.validate_with: tensorflow_model_server is not on the PATH. Install"):
        choose(REAL)
    binary(tmp_path, "exit 255", monkeypatch)
    assert (choose(REAL), choose(EMBEDDED)) == (REAL, EMBEDDED)
