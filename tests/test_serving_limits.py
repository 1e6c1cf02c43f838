"""What a server lets nobody do: ask without a token, ask too often, hold connections, learn nothing of where it is."""

import contextlib
import json
import logging
import os
import socket
import ssl
import time

import grpc
import numpy as np
import psutil
import pytest
import requests
import serving_raw
import serving_toy
from grpc_health.v1 import health_pb2, health_pb2_grpc
from serving_stub import certificates

from serving.client import Client
from serving.credentials import Credentials
from serving.server import Options, Server
from serving.status import Code, ServingError

TOKEN, OTHER = "a-token-of-some-length", "another-token-of-some-length"
X = np.array([[1.0, 2.0]], np.float32)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("limits") / "toy"
    version = serving_toy.write_small(folder, 1)
    (version / "assets.extra").mkdir()
    (version / "assets.extra" / "metaprior.json").write_text(json.dumps({"space": "0123abcd"}))
    return folder


@contextlib.contextmanager
def serving(base, **options):
    common = {"model_name": "toy", "model_base_path": base, "port": "any", "rest_api_port": "any"}
    with Server(Options(**(common | options))) as server:
        yield server


@pytest.fixture(scope="module")
def pems(tmp_path_factory):
    return certificates(tmp_path_factory.mktemp("pems"))


@pytest.fixture(scope="module")
def guarded(base, pems, tmp_path_factory):
    """Tokens, a share of five requests an hour, mutual TLS on both ports, few connections, little patience."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "tokens").write_text(f"{TOKEN}\n{OTHER}\n")
    parts = {"server_key": "server-key", "server_cert": "server", "custom_ca": "ca"}
    fields = [f"{field}: {json.dumps(pems.path(name).read_text())}" for field, name in parts.items()]
    (folder / "ssl").write_text("\n".join([*fields, "client_verify: true"]))
    options = {"token_file": folder / "tokens", "rate_limit": "5/hour", "ssl_config_file": folder / "ssl"}
    with serving(base, rest_api_ssl=True, enable_grpc_healthcheck_service=True, **options) as server:
        yield server


def address(server, protocol):
    return {"grpc": {"grpc_port": server.grpc_port}, "rest": {"rest_port": server.rest_port}}[protocol]


def ask(server, protocol, pems, **given):
    own = {"ca": pems.path("ca"), "certificate": pems.path("client"), "key": pems.path("client-key")}
    credentials = Credentials(**(own | given))
    with Client(model="toy", **address(server, protocol), credentials=credentials, attempts=1, timeout=10) as client:
        return client.predict(X, signature="embed")


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_an_answer_names_version_and_space_and_only_who_has_a_token_gets_one(guarded, pems, protocol):
    answer = ask(guarded, protocol, pems, token=TOKEN)
    assert (answer.version, answer.space, answer["y"].tolist()) == (1, "0123abcd", [[1.5, 2.0]])
    for refused in ({}, {"token": "a-token-nobody-knows"}):
        with pytest.raises(ServingError) as caught:
            ask(guarded, protocol, pems, **refused)
        assert caught.value.code is Code.UNAUTHENTICATED


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_without_a_certificate_no_request_is_read(guarded, pems, protocol):
    with pytest.raises(ServingError) as caught:
        ask(guarded, protocol, pems, certificate=None, key=None, token=TOKEN)
    assert caught.value.code is Code.UNAVAILABLE


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_who_has_had_his_share_is_told_when_to_come_back_and_others_are_served(guarded, pems, protocol):
    mine = {"grpc": TOKEN, "rest": OTHER}[protocol]

    def ask_on():
        for _ in range(6):
            ask(guarded, protocol, pems, token=mine)

    with pytest.raises(ServingError) as caught:
        ask_on()
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    assert caught.value.message == "More than 5 per 1 hour for one client. Ask more slowly."


def test_health_is_told_without_a_token(guarded, pems):
    files = [pems.path(name).read_bytes() for name in ("ca", "client-key", "client")]
    with grpc.secure_channel(f"127.0.0.1:{guarded.grpc_port}", grpc.ssl_channel_credentials(*files)) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_refusals_over_rest_say_what_to_do(guarded, pems):
    files = {"verify": pems.path("ca"), "cert": (pems.path("client"), pems.path("client-key")), "timeout": 10}
    unknown = requests.get(f"https://127.0.0.1:{guarded.rest_port}/v1/models/toy", **files)
    assert (unknown.status_code, unknown.headers["WWW-Authenticate"]) == (401, "Bearer")
    headers = {"Authorization": f"Bearer {OTHER}"}
    for _ in range(6):
        late = requests.get(f"https://127.0.0.1:{guarded.rest_port}/v1/models/toy", headers=headers, **files)
    assert (late.status_code, late.headers["Retry-After"]) == (429, "1")


@pytest.fixture(scope="module")
def plain(base):
    with serving(base, max_connections=4, idle_connection_seconds=0.5) as server:
        yield server


def is_over(connection):
    """Whether the other side ends the connection, within the test's patience."""
    connection.settimeout(30)
    try:
        return connection.recv(1) == b""
    except (ConnectionError, ssl.SSLError):
        return True


@pytest.mark.parametrize("sent", [b"", b"POST /v1/models/toy:predict HT", b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "])
def test_a_connection_that_does_not_come_to_the_point_is_ended(plain, sent):
    with socket.create_connection(("127.0.0.1", plain.rest_port)) as connection:
        connection.sendall(sent)
        begun = time.monotonic()
        assert is_over(connection)
        assert time.monotonic() - begun >= 0.3


def test_a_connection_too_many_is_ended_at_once_and_the_others_are_not(plain):
    url = f"http://127.0.0.1:{plain.rest_port}/v1/models/toy"
    with contextlib.ExitStack() as stack:
        kept = [requests.Session() for _ in range(4)]
        for session in kept:
            session.trust_env = False
            stack.callback(session.close)
            assert session.get(url, timeout=10).status_code == 200
        with socket.create_connection(("127.0.0.1", plain.rest_port)) as fifth:
            assert is_over(fifth)


@pytest.mark.parametrize("header", [f"X-Long: {'a' * 9000}", "\r\n".join(f"X-{i}: a" for i in range(100))])
def test_headers_have_a_limit(plain, header):
    with socket.create_connection(("127.0.0.1", plain.rest_port)) as connection:
        connection.sendall(f"GET /v1/models/toy HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n".encode())
        connection.settimeout(30)
        answer = b""
        with contextlib.suppress(ConnectionError):  # the rest of what was sent may end it before the answer is read
            answer = connection.recv(100)
        assert not answer or answer.startswith(b"HTTP/1.0 400")


@pytest.mark.parametrize(
    "sent", [serving_raw.PREFACE, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/1.1\r\nA\x00:b\r\n\r\n"]
)
def test_what_is_no_http_is_counted_and_leaves_nothing_in_the_log(plain, caplog, sent):
    before = rejected(plain)
    with socket.create_connection(("127.0.0.1", plain.rest_port), timeout=30) as connection:
        connection.sendall(sent)
        answer = b"".join(iter(lambda: connection.recv(1000), b""))
    assert answer.partition(b"\r\n")[0].endswith(b" 400 Bad Request")
    assert rejected(plain) == before + 1
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


def rejected(server) -> float:
    lines = server.metrics.exposition().decode().splitlines()
    found = [line for line in lines if line.startswith('metaprior_rejected_requests_total{reason="invalid_argument"}')]
    return float(found[0].split()[-1]) if found else 0.0


@pytest.mark.parametrize("name", ["..%2f..%2fetc", "%2fetc%2fpasswd", "toy%00", "toy/versions/..%2f1"])
def test_no_name_in_a_request_is_a_path(plain, name):
    answer = requests.get(f"http://127.0.0.1:{plain.rest_port}/v1/models/{name}", timeout=10)
    assert answer.status_code in (400, 404)
    assert str(plain) not in answer.text
    assert os.sep + "tmp" not in answer.text


def test_messages_that_cannot_be_read_leave_nothing_behind(plain):
    with grpc.insecure_channel(f"127.0.0.1:{plain.grpc_port}") as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict", bytes, bytes)

        def send(times):
            for _ in range(times):
                with pytest.raises(grpc.RpcError) as caught:
                    call(b"\xff\xff\xff", timeout=10)
            return caught.value.code()

        assert send(200) is grpc.StatusCode.INTERNAL
        before = psutil.Process().memory_info().rss
        send(1500)
        # Before messages were read behind the door: 30 MB.
        assert psutil.Process().memory_info().rss - before < 10e6
