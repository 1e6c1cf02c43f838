"""The services of `benchmarks.peers.services`, on command.

Runs in the peers' environment, where nothing of this project is installed. Every line of standard input is a request
in JSON, every line of standard output its answer:

    {"serve": "FastAPI", "network": "mlp"}   starts a server of its own; answers with its URL once it answers
    {}                                       answers {}

Each service is written as its own documentation shows it, in a module of its own that the server imports.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

NETWORK = """
import torch
from torch import nn

torch.set_num_threads(1)
torch.set_num_interop_threads(1)


def network(name):
    if name == "mlp":
        layers = [nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, 16)]
    else:
        layers = []
        for inputs, outputs in [(1, 32), (32, 32), (32, 64), (64, 64)]:
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()]
        layers += [nn.Flatten(), nn.Linear(1024, 256), nn.ReLU(), nn.Linear(256, 10)]
    return nn.Sequential(*layers).eval()
"""
FASTAPI = """
import os

import torch
from fastapi import FastAPI
from network import network
from pydantic import BaseModel

app = FastAPI()
encoder = network(os.environ["NETWORK"])


class Request(BaseModel):
    x: list


class Response(BaseModel):
    embedding: list[list[float]]


@app.post("/embed")
def embed(request: Request) -> Response:
    x = torch.tensor(request.x, dtype=torch.float32)
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2)
    with torch.inference_mode():
        return Response(embedding=encoder(x).tolist())
"""
BENTOML = """
import os

import bentoml
import numpy as np
import torch
from network import network


@bentoml.service(workers=1, traffic={"timeout": 60})
class Encoder:
    def __init__(self):
        self.encoder = network(os.environ["NETWORK"])

    @bentoml.api(batchable=True, max_batch_size=256, max_latency_ms=1000)
    def embed(self, x: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(np.asarray(x, np.float32))
        if x.ndim == 4:
            x = x.permute(0, 3, 1, 2)
        with torch.inference_mode():
            return self.encoder(x).numpy()
"""
MODULES = {"network": NETWORK, "fastapi_service": FASTAPI, "bentoml_service": BENTOML}
COMMANDS = {
    "FastAPI": ["uvicorn", "fastapi_service:app", "--host=127.0.0.1", "--port={port}", "--no-access-log"],
    "BentoML": ["bentoml", "serve", "bentoml_service:Encoder", "--host=127.0.0.1", "--port={port}"],
}
PATIENCE = 120.0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(folder: str, service: str, network: str) -> tuple[subprocess.Popen, str]:
    port = free_port()
    command = [part.format(port=port) for part in COMMANDS[service]]
    variables = os.environ | {"NETWORK": network, "BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": folder}
    program = str(Path(sys.executable).with_name(command[0]))
    process = subprocess.Popen([program, *command[1:]], cwd=folder, env=variables, stdout=sys.stderr)
    await_answer(process, f"http://127.0.0.1:{port}/")
    return process, f"http://127.0.0.1:{port}/embed"


def await_answer(process: subprocess.Popen, url: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit(f"{url} does not answer")


def stop(process: subprocess.Popen | None) -> None:
    if process is not None:
        process.terminate()
        process.wait()


def main() -> None:
    running = None
    with tempfile.TemporaryDirectory() as folder:
        for name, text in MODULES.items():
            Path(folder, f"{name}.py").write_text(text)
        for line in sys.stdin:
            request, answer = json.loads(line), {}
            if request:
                stop(running)
                running, answer["url"] = start(folder, request["serve"], request["network"])
            print(json.dumps(answer), flush=True)
        stop(running)


if __name__ == "__main__":
    main()
