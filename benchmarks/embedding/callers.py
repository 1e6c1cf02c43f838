"""Ways to ask for embeddings: as many callers as wanted, who call without a pause and look at what they get."""

import asyncio
import base64
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import grpc
import numpy as np
import orjson

from serving import messages
from serving.tensors import fill, to_array

LIMIT = 1 << 30


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


async def _tasks(callers: int, seconds: float, url: str, body: Callable[[], bytes], read: Callable) -> list[float]:
    connector = aiohttp.TCPConnector(limit=callers)
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def call() -> None:
            async with session.post(url, data=body()) as answer:
                read(orjson.loads(await answer.read()))

        async def loop() -> list[float]:
            latencies = []
            while (begin := time.perf_counter()) < end:
                await call()
                latencies.append(time.perf_counter() - begin)
            return latencies

        await asyncio.gather(*(call() for _ in range(callers)))
        end = time.perf_counter() + seconds
        return sum(await asyncio.gather(*(loop() for _ in range(callers))), [])


def tasks(callers: int, seconds: float, url: str, body: Callable[[], bytes]) -> list[float]:
    """Returns the latency of every POST of `callers` tasks within some seconds.

    Args:
        callers: how many call at a time.
        seconds: for how long.
        url: where.
        body: makes a request's body.
    """

    def read(document: Any) -> None:
        found = next((document[key] for key in ("outputs", "embedding") if key in document), None)
        np.array(document if found is None else found, np.float32)

    return asyncio.run(_tasks(callers, seconds, url, body, read))


def grpc_call(port: int, x: np.ndarray) -> Callable[[], None]:
    """Returns a call of Predict with raw bytes, on a channel and a connection of its own."""
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    # Channels of one process would share a connection, and with it the one worker that took it.
    options.append(("grpc.use_local_subchannel_pool", 1))
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


def json_body(x: np.ndarray, key: str = "inputs") -> bytes:
    """Returns rows as nested numbers."""
    return orjson.dumps({key: x}, option=orjson.OPT_SERIALIZE_NUMPY)


def b64_body(x: np.ndarray) -> bytes:
    """Returns rows as the base64 of their bytes."""
    rows = [{"b64": base64.b64encode(row).decode()} for row in x]
    return orjson.dumps({"signature_name": "embed_bytes", "inputs": rows})
