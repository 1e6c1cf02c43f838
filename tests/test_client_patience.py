"""How long the client waits, for servers that refuse, hang or drip."""

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import numpy as np
import pytest
from aiohttp import web
from serving_stub import DOCUMENT, VERSION, grpc_stub, rest_stub

from serving.client import AsyncClient, Client, DeadlineExceeded, Exhausted, TooLarge, Unavailable, Unreachable

ROWS = np.array([[1.0], [2.5]], np.float32)


async def status_async(port: int, protocol: str):
    async with AsyncClient(**{f"{protocol}_port": port}) as client:
        return await client.status(timeout=0.2)


def test_a_call_may_have_its_own_deadline_or_none():
    with grpc_stub() as (port, seen), Client(grpc_port=port, timeout=500.0) as client:
        client.embed(ROWS, timeout=9.0)
        client.embed(ROWS, timeout=None)
        client.embed(ROWS)
    metadata, first, endless, last = seen.seconds
    assert max(metadata, first) <= 9.1 < last <= 510.0  # gRPC rounds up
    assert endless > 1e9  # how gRPC tells none


def test_each_attempt_has_what_the_ones_before_and_the_pauses_left():
    with grpc_stub(busy=1000) as (port, seen):
        client = Client(grpc_port=port, timeout=0.5, attempts=None)
        with client, pytest.raises(Unavailable, match="^UNAVAILABLE: busy$"):
            client.status()
    for number, seconds in enumerate(seen.seconds):
        assert seconds <= 0.5 - 0.05 * number + 0.002  # a pause takes 0.05 s at least; gRPC rounds up


@contextmanager
def refusing(protocol: str, status: int, times: int, told: dict[str, str]):
    """Gives the address of a server that refuses some requests, and its list of when it was asked."""
    if protocol == "grpc":
        code = grpc.StatusCode.UNAVAILABLE if status == 503 else grpc.StatusCode.RESOURCE_EXHAUSTED
        text = "SERVER: Received message larger than max (9 vs. 4)" if status == 413 else "busy"
        with grpc_stub(busy=times, refusal=(code, text), told=tuple(told.items())) as (port, seen):
            yield {"grpc_port": port}, seen.times
        return
    asked: list[float] = []

    async def answer(_: web.Request) -> web.Response:
        asked.append(time.monotonic())
        if len(asked) > times:
            return web.json_response(DOCUMENT)
        return web.json_response({"error": "busy"}, status=status, headers=told)

    with rest_stub(answer) as (port, _):
        yield {"rest_port": port}, asked


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_refuses_without_a_word_on_when_is_asked_again_over_both_protocols(protocol, status):
    with refusing(protocol, status, 3, {}) as (where, asked), Client(**where, attempts=8) as client:
        assert client.metadata().version == VERSION
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("protocol", "told"),
    [("rest", {"Retry-After": "1"}), ("grpc", {"retry-after": "1"}), ("grpc", {"grpc-retry-pushback-ms": "1000"})],
)
def test_a_server_that_says_when_to_come_back_is_left_alone_until_then(protocol, told):
    with refusing(protocol, 429, 1, told) as (where, asked), Client(**where) as client:
        with pytest.raises(Exhausted, match="^RESOURCE_EXHAUSTED: busy$"):
            client.metadata(timeout=0.9)  # there is no time for that
        assert len(asked) == 1
        assert client.metadata().version == VERSION
    with refusing(protocol, 429, 1, told) as (where, asked), Client(**where) as client:
        client.metadata()
    first, second = asked
    assert second - first >= 1.0


def test_a_server_that_wants_no_repetition_gets_none():
    told = {"grpc-retry-pushback-ms": "-1"}
    settings = {"timeout": None, "attempts": None}
    with (
        refusing("grpc", 503, 9, told) as (where, asked),
        Client(**where, **settings) as client,
        pytest.raises(Unavailable, match="^UNAVAILABLE: busy$"),
    ):
        client.metadata()
    assert len(asked) == 1


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_what_is_too_large_once_is_too_large_for_ever(protocol):
    with (
        refusing(protocol, 413, 9, {}) as (where, asked),
        Client(**where, attempts=None) as client,
        pytest.raises(TooLarge),
    ):
        client.metadata()
    assert len(asked) == 1


@pytest.fixture
def hanging():
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_server_that_hangs_costs_no_more_than_the_timeout(hanging, protocol):
    where = {f"{protocol}_port": hanging}
    with Client(**where, timeout=0.2) as client, pytest.raises((DeadlineExceeded, Unreachable)):
        client.status()
    with pytest.raises((DeadlineExceeded, Unreachable)):
        asyncio.run(status_async(hanging, protocol))


def test_an_answer_that_drips_costs_no_more_than_the_timeout():
    def drip(listening: socket.socket, stop: threading.Event) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not stop.wait(0.02):
                connection.sendall(b" ")

    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as threads:
        dripping = threads.submit(drip, listening, stop)
        client = Client(rest_port=listening.getsockname()[1], timeout=0.3)
        with client, pytest.raises(DeadlineExceeded, match=r"did not answer in 0\.3 s\.$"):
            client.status()
        stop.set()
        assert dripping.exception() is None or isinstance(dripping.exception(), ConnectionError)
