"""What a client says of a server that is there and answers nothing: whose fault it is, and what to try."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from serving_stub import certificates, grpc_stub, rest_stub

from serving.client import AsyncClient, Client, Credentials, Disconnected, InvalidRequest, RequestError, Untrusted

METAPRIOR = Path(sys.executable).with_name("metaprior")
ROWS = np.array([[1.0]], np.float32)
STUBS = {"grpc": grpc_stub, "rest": rest_stub}
OTHER = {"grpc": "rest", "rest": "grpc"}


@pytest.fixture(scope="module")
def pems(tmp_path_factory):
    return certificates(tmp_path_factory.mktemp("pems"))


@pytest.fixture(scope="module")
def trusting(pems):
    return Credentials(ca=pems.path("ca"))


@pytest.fixture(params=["grpc", "rest"])
def protocol(request):
    return request.param


def refusals(protocol, port, credentials=None):
    """Yields what the client for threads raises, and the one for event loops."""
    where = {f"{protocol}_port": port, "credentials": credentials, "attempts": 1}

    async def wait():
        async with AsyncClient(**where) as client:
            await client.embed(ROWS)

    def ask():
        with Client(**where) as client:
            client.embed(ROWS)

    for question in (ask, lambda: asyncio.run(wait())):
        with pytest.raises(RequestError) as caught:
            question()
        yield caught.value, re.sub(r"(https?://)?127.0.0.1:\d+", "ADDRESS", str(caught.value))


def test_plain_text_to_an_encrypted_port_is_told_to_encrypt(protocol, pems):
    with STUBS[protocol](certificates=pems) as (port, _):
        for error, text in refusals(protocol, port):
            assert type(error) is Disconnected
            assert text == (
                "UNAVAILABLE: ADDRESS ends the connection without an answer. If it encrypts, the client must, too: "
                "give it ca."
            )


def test_a_client_without_a_certificate_is_told_of_certificates(protocol, pems, trusting):
    with STUBS[protocol](certificates=pems) as (port, _):
        for error, text in refusals(protocol, port, trusting):
            assert type(error) is Disconnected
            assert text == (
                "UNAVAILABLE: ADDRESS ends the connection without an answer. If it asks for clients' certificates, "
                "give the client certificate and key."
            )


def test_tls_to_a_plain_port_is_told_so(protocol, trusting):
    with STUBS[protocol]() as (port, _):
        for error, text in refusals(protocol, port, trusting):
            assert type(error) is Untrusted
            assert text == "UNAVAILABLE: ADDRESS does not encrypt. Ask without TLS, or ask a port that has it."


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_port_of_the_other_protocol_is_told_and_not_asked_again(protocol):
    names = {"grpc": "gRPC", "rest": "REST"}
    with STUBS[OTHER[protocol]]() as (port, _):
        for error, text in refusals(protocol, port):
            assert type(error) is RequestError
            assert text == (
                f"UNKNOWN: ADDRESS is not a {names[protocol]} port. If it is the other protocol's, ask it by "
                f"{OTHER[protocol]}_port."
            )


def test_files_that_hold_something_else_are_told_by_their_role(protocol, pems):
    key, cert = pems.path("client-key"), pems.path("client")
    with pytest.raises(InvalidRequest, match=rf"^INVALID_ARGUMENT: ca file {key} holds no certificate\. It must be a"):
        Client(**{f"{protocol}_port": 1}, credentials=Credentials(ca=key))
    with pytest.raises(InvalidRequest, match=rf"^INVALID_ARGUMENT: key file {cert} holds no private key\. It must be"):
        Client(**{f"{protocol}_port": 1}, credentials=Credentials(certificate=cert, key=cert))


def test_a_failed_handshake_is_one_line_of_the_command(pems):
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    with grpc_stub(certificates=pems) as (port, _):
        command = [METAPRIOR, "query", "--port", str(port), "--ca", pems.path("other")]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"metaprior: UNAVAILABLE: The certificate of 127.0.0.1:{port} is not trusted: unable to get local issuer "
        "certificate. Give its authority's as ca.\n"
    )
