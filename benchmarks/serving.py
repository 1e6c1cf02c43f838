"""Examples per second of the embedded server, client included, relative to calling the signature in-process.

    python benchmarks/serving.py

Server and callers share the machine, TensorFlow has one thread in both. Every figure is the median over
short alternating rounds of the ratio to the in-process call of the same round and batch size; quartiles in
brackets. `cpu` is the same ratio by processor time of the server alone, the steadier figure on a busy machine.
"""

import asyncio
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent.parent))

import aiohttp
import click
import grpc
import numpy as np
import orjson
import psutil
import tensorflow as tf

from serving import messages
from serving.client import Client
from serving.server import READY
from serving.tensors import fill, to_array

LIMIT = 1 << 30
CASES = [("mlp", 1, 1), ("mlp", 1, 8), ("mlp", 1, 64), ("mlp", 32, 8), ("conv", 1, 64), ("conv", 32, 8)]
CLIENT_CALLERS = 8  # the synchronous client is measured with at most so many threads


class Encoder(tf.Module):
    """784-400-400-16 on vectors, or four strided convolutions on 64x64 images."""

    def __init__(self, name: str):
        super().__init__(name)
        generator = tf.random.Generator.from_seed(0)
        self.convolutional = name == "conv"
        self.shape = (64, 64, 1) if self.convolutional else (784,)
        kernels = [(4, 4, 1, 32), (4, 4, 32, 32), (4, 4, 32, 64), (4, 4, 64, 64)] if self.convolutional else []
        widths = [(1024, 256), (256, 10)] if self.convolutional else [(784, 400), (400, 400), (400, 16)]
        self.kernels = [tf.Variable(0.1 * generator.normal(shape)) for shape in kernels]
        self.weights = [tf.Variable(0.1 * generator.normal(shape)) for shape in widths]

    def encode(self, x):
        """Returns the embedding [batch, latent] of examples [batch, *shape]."""
        for kernel in self.kernels:
            x = tf.nn.relu(tf.nn.conv2d(x, kernel, 2, "SAME"))
        x = tf.reshape(x, [-1, self.weights[0].shape[0]])
        for weight in self.weights[:-1]:
            x = tf.nn.relu(x @ weight)
        return {"embedding": x @ self.weights[-1]}

    def save(self, path: str) -> None:
        """Exports the signatures on floats and on the same floats as raw bytes."""
        width = 4 * int(np.prod(self.shape))

        def embed(x):
            return self.encode(tf.ensure_shape(x, [None, *self.shape]))

        def embed_bytes(raw):
            return self.encode(tf.reshape(tf.io.decode_raw(raw, tf.float32, fixed_length=width), [-1, *self.shape]))

        floats = tf.function(embed, input_signature=[tf.TensorSpec([None, *self.shape], name="x")])
        strings = tf.function(embed_bytes, input_signature=[tf.TensorSpec([None], tf.string, name="raw")])
        signatures = {"serving_default": floats, "embed_bytes": strings}
        tf.saved_model.save(self, path, signatures=signatures)


@contextmanager
def server(base: Path) -> Iterator[dict]:
    flags = ["--port=0", "--rest_api_port=0", "--tensorflow_intra_op_parallelism=1"]
    command = [sys.executable, "-m", "serving.server", "--model_name=m", f"--model_base_path={base}", *flags]
    process: Any = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        ready = next(line for line in process.stdout if line.startswith(READY))
        yield json.loads(ready.removeprefix(READY)) | {"pid": process.pid}
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def threads(callers: int, seconds: float, call: Callable[[], Any]) -> list[float]:
    """Returns the latency of every call of `callers` threads within some seconds."""

    def loop() -> list[float]:
        latencies = []
        while (begin := time.perf_counter()) < end:
            call()
            latencies.append(time.perf_counter() - begin)
        return latencies

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(lambda _: call(), range(callers)))
        end = time.perf_counter() + seconds
        return [latency for future in [pool.submit(loop) for _ in range(callers)] for latency in future.result()]


async def tasks(callers: int, seconds: float, url: str, body: Callable[[], bytes]) -> list[float]:
    """Returns the latency of every POST of `callers` tasks within some seconds."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=callers)) as session:

        async def call() -> None:
            async with session.post(url, data=body()) as answer:
                document = orjson.loads(await answer.read())
                np.array(document["outputs"], np.float32)

        async def loop() -> list[float]:
            latencies = []
            while (begin := time.perf_counter()) < end:
                await call()
                latencies.append(time.perf_counter() - begin)
            return latencies

        await asyncio.gather(*(call() for _ in range(callers)))
        end = time.perf_counter() + seconds
        return sum(await asyncio.gather(*(loop() for _ in range(callers))), [])


def grpc_call(port: int, x: np.ndarray) -> Callable[[], Any]:
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    method = grpc.insecure_channel(f"127.0.0.1:{port}", options).unary_unary(
        "/tensorflow.serving.PredictionService/Predict",
        request_serializer=messages.PredictRequest.SerializeToString,
        response_deserializer=messages.PredictResponse.FromString,
    )

    def call() -> None:
        request: Any = messages.PredictRequest()
        request.model_spec.name = "m"
        fill(request.inputs["x"], x, content=True)
        to_array(method(request).outputs["embedding"], limit=LIMIT)

    return call


def json_body(x: np.ndarray) -> bytes:
    return orjson.dumps({"inputs": x}, option=orjson.OPT_SERIALIZE_NUMPY)


def b64_body(x: np.ndarray) -> bytes:
    rows = [{"b64": base64.b64encode(row).decode()} for row in x]
    return orjson.dumps({"signature_name": "embed_bytes", "inputs": rows})


@dataclass(frozen=True)
class Run:
    """What one measurement of a way to call found: latencies and the processor seconds that served them."""

    latencies: list[float]
    cpu: float


def measured(process: psutil.Process, run: Callable[[], list[float]]) -> Run:
    before = sum(process.cpu_times()[:2])
    latencies = run()
    return Run(latencies, sum(process.cpu_times()[:2]) - before)


def one_round(facts: dict, signature, x: np.ndarray, callers: int, seconds: float) -> dict[str, Run]:
    """Measures each way to call, one after the other."""
    url = f"http://127.0.0.1:{facts['rest_port']}/v1/models/m:predict"
    few, process = min(callers, CLIENT_CALLERS), psutil.Process(facts["pid"])
    call = grpc_call(facts["grpc_port"], x)
    ways = {
        "gRPC": lambda: threads(callers, seconds, call),
        "REST JSON": lambda: asyncio.run(tasks(callers, seconds, url, lambda: json_body(x))),
        "REST b64": lambda: asyncio.run(tasks(callers, seconds, url, lambda: b64_body(x))),
    }
    with ExitStack() as stack:
        for protocol in ("grpc", "rest"):
            client = stack.enter_context(Client(model="m", **{f"{protocol}_port": facts[f"{protocol}_port"]}))
            ways[f"Client {protocol} ({few})"] = lambda client=client: threads(few, seconds, lambda: client.predict(x))
        alone = in_process(signature, x, seconds)
        return {"in-process": alone} | {name: measured(process, way) for name, way in ways.items()}


def in_process(signature, x: np.ndarray, seconds: float) -> Run:
    def call() -> None:
        signature(x=tf.constant(x))["embedding"].numpy()

    return measured(psutil.Process(), lambda: threads(1, seconds, call))


def report(title: str, batch: int, rounds: list[dict[str, Run]], seconds: float) -> None:
    absolute = statistics.median(batch * len(r["in-process"].latencies) / seconds for r in rounds)
    click.echo(f"{title}: in-process {absolute:,.0f} examples per second")
    for name in list(rounds[0])[1:]:
        ratios = [len(r[name].latencies) / len(r["in-process"].latencies) for r in rounds]
        cpu = [ratio * r["in-process"].cpu / r[name].cpu for ratio, r in zip(ratios, rounds, strict=True)]
        low, middle, high = np.percentile(ratios, [25, 50, 75])
        p50, p99 = np.percentile(np.concatenate([r[name].latencies for r in rounds]), [50, 99]) * 1000
        click.echo(
            f"  {name:<15} {middle:5.2f} [{low:.2f}-{high:.2f}]  cpu {statistics.median(cpu):5.2f}  "
            f"p50 {p50:6.1f} ms  p99 {p99:6.1f} ms"
        )


@click.command()
@click.option("--seconds", default=0.5, show_default=True, help="length of one measurement")
@click.option("--rounds", default=9, show_default=True, help="alternating rounds of every case")
def main(seconds: float, rounds: int) -> None:
    """Measures the server on a dense and a convolutional encoder."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for network in ("mlp", "conv"):
            encoder, base = Encoder(network), Path(folder) / network
            encoder.save(str(base / "1"))
            signature = tf.saved_model.load(str(base / "1")).signatures["serving_default"]
            with server(base) as facts:
                for _, batch, callers in (case for case in CASES if case[0] == network):
                    x = np.random.default_rng(0).normal(size=[batch, *encoder.shape]).astype(np.float32)
                    found = [one_round(facts, signature, x, callers, seconds) for _ in range(rounds)]
                    report(f"{network}, batch {batch}, {callers} callers", batch, found, seconds)


if __name__ == "__main__":
    main()
