"""Clients that do not read: neither their connections nor their answers stay, and others are served."""

import contextlib
import socket
import time

import grpc
import numpy as np
import psutil
import pytest
import requests
import serving_raw
import serving_toy
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from serving.client import Client
from serving.server import Options, Server

WATCH = "/grpc.health.v1.Health/Watch"
REFUSED = "metaprior_rejected_requests_total"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unread") / "toy"
    serving_toy.write_small(folder, 1)
    return folder


@pytest.fixture(scope="module")
def server(base):
    options = Options(
        model_name="toy",
        model_base_path=base,
        port="any",
        rest_api_port="any",
        max_requests=32,
        idle_connection_seconds=3600,
        unread_answer_seconds=0.5,
        enable_grpc_healthcheck_service=True,
        enable_metrics=True,
        grpc_channel_arguments="grpc.max_connection_age_ms=1000,grpc.max_connection_age_grace_ms=200",
    )
    with Server(options) as running:
        yield running


def refusals(server, reason):
    text = requests.get(f"http://127.0.0.1:{server.rest_port}/monitoring/prometheus/metrics", timeout=10).text
    values = (line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f'{REFUSED}{{reason="{reason}"'))
    return float(next(values, "0"))


def connections(port):
    """How many connections to a port this process, the server's, holds."""
    return sum(c.laddr.port == port and c.status == "ESTABLISHED" for c in psutil.Process().net_connections("tcp"))


def large_request():
    body = b'{"signature_name": "embed", "instances": [' + b",".join([b"[0.123456789, 0.1]"] * 300_000) + b"]}"
    head = f"POST /v1/models/toy:predict HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_an_answer_over_rest_that_nobody_reads_is_dropped_with_its_connection_and_counted(server):
    before, memory = refusals(server, "deadline_exceeded"), psutil.Process().memory_info().rss
    with socket.create_connection(("127.0.0.1", server.rest_port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(large_request())
        assert serving_toy.eventually(lambda: refusals(server, "deadline_exceeded") == before + 1)
        assert serving_toy.eventually(lambda: not connections(server.rest_port))
    assert psutil.Process().memory_info().rss - memory < 200e6


def test_an_answer_that_is_read_slowly_is_not_dropped(server):
    with socket.create_connection(("127.0.0.1", server.rest_port)) as connection:
        connection.sendall(large_request())
        head = connection.recv(100)
        size = 0
        # Longer in all than nothing may be taken for.
        for _ in range(15):
            time.sleep(0.1)
            size += len(connection.recv(100_000))
        connection.settimeout(30)
        with contextlib.suppress(TimeoutError):
            while size < 3_000_000 and (part := connection.recv(1 << 20)):
                size += len(part)
    assert head.startswith(b"HTTP/1.1 200")
    assert size >= 3_000_000


def test_who_watches_the_health_and_does_not_read_keeps_nobody_waiting_and_does_not_stay(server):
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            client = serving_raw.Http2(server.grpc_port)
            stack.callback(client.close)
            client.call(WATCH, b"")
        channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}"))
        answer = HealthStub(channel).Check(HealthCheckRequest(), timeout=10)
        assert answer.status == HealthCheckResponse.SERVING
        assert serving_raw.DATA not in list(client.frames()), "it had no window, and its connection has ended"
        channel.close()
        assert serving_toy.eventually(lambda: not connections(server.grpc_port))


def test_only_so_many_may_watch_the_health_and_a_place_left_is_free_again(server):
    before = refusals(server, "resource_exhausted")
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = HealthStub(channel)

        def watch():
            stream = stub.Watch(HealthCheckRequest(), timeout=30)
            return next(stream).status, stream

        watches = [watch() for _ in range(4)]
        assert {status for status, _ in watches} == {HealthCheckResponse.SERVING}
        with pytest.raises(grpc.RpcError) as caught:
            watch()
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert caught.value.details() == "More than 4 watch the health of this server."
        watches[0][1].cancel()

        def is_free():
            with contextlib.suppress(grpc.RpcError):
                return watch()
            return None

        assert serving_toy.eventually(is_free)
    assert refusals(server, "resource_exhausted") > before


def test_connections_to_both_ports_end_when_nobody_asks_and_clients_connect_anew(base):
    options = Options(
        model_name="toy", model_base_path=base, port="any", rest_api_port="any", idle_connection_seconds=0.3
    )
    with Server(options) as server, contextlib.ExitStack() as stack:
        silent = socket.create_connection(("127.0.0.1", server.grpc_port))
        stack.callback(silent.close)
        client = stack.enter_context(Client(model="toy", grpc_port=server.grpc_port))
        for _ in range(2):
            assert client.predict(np.ones([1, 2], np.float32), signature="embed")["y"].tolist() == [[1.5, 1.5]]
            assert serving_toy.eventually(lambda: not connections(server.grpc_port))
