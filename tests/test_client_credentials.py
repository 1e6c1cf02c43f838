"""The client's token, its TLS and what it learns from headers, against real endpoints that ask for them."""

import asyncio

import numpy as np
import pytest
from aiohttp import web
from serving_stub import TOKEN, certificates, grpc_stub, rest_stub

from serving.client import (
    AsyncClient,
    Client,
    Credentials,
    InvalidRequest,
    RequestError,
    Unauthenticated,
    Untrusted,
)

STUBS = {"grpc": grpc_stub, "rest": rest_stub}
ROWS = np.array([[1.0], [2.5]], np.float32)


@pytest.fixture(scope="module")
def pems(tmp_path_factory):
    return certificates(tmp_path_factory.mktemp("pems"))


@pytest.fixture(params=["grpc", "rest"])
def protocol(request):
    return request.param


def own(pems) -> Credentials:
    return Credentials(ca=pems.path("ca"), certificate=pems.path("client"), key=pems.path("client-key"), token=TOKEN)


def ask(protocol: str, port: int, credentials: Credentials):
    with Client(**{f"{protocol}_port": port}, credentials=credentials) as client:
        return client.embed(ROWS)


async def ask_async(protocol: str, port: int, credentials: Credentials):
    async with AsyncClient(**{f"{protocol}_port": port}, credentials=credentials) as client:
        return await client.embed(ROWS)


def test_a_client_with_certificate_and_token_is_answered_sync_and_async(protocol, pems):
    with STUBS[protocol](certificates=pems, token=TOKEN) as (port, _):
        answer = ask(protocol, port, own(pems))
        other = asyncio.run(ask_async(protocol, port, own(pems)))
    np.testing.assert_array_equal(answer["embedding"], ROWS)
    np.testing.assert_array_equal(other["embedding"], ROWS)


def test_a_server_of_another_authority_is_not_trusted_and_not_asked_again(protocol, pems):
    stranger = Credentials(ca=pems.path("other"))
    with STUBS[protocol](certificates=pems) as (port, seen):
        told = r"^UNAVAILABLE: The certificate of \S*127.0.0.1:\d+ is not trusted: .*certificate.*\. Give its author"
        with pytest.raises(Untrusted, match=told):
            ask(protocol, port, stranger)
        with pytest.raises(Untrusted, match=told):
            asyncio.run(ask_async(protocol, port, stranger))
    assert seen.paths == []


def test_an_answer_knows_its_space_and_version(protocol):
    with STUBS[protocol]() as (port, _), Client(**{f"{protocol}_port": port}) as client:
        answer = client.embed(ROWS)
        assert (answer.space, answer.version) == ("5bace", 3)
        assert client.metadata().space == "5bace"
        assert answer.to_arrow().schema.metadata == {b"metaprior": b'{"latent": 1, "space": "5bace", "version": 3}'}
        assert answer.to_pandas().attrs == {"space": "5bace", "version": 3}


def test_a_token_comes_from_its_file_each_time_and_a_wrong_one_is_refused_at_once(protocol, tmp_path):
    file = tmp_path / "token"
    file.write_text("the-one-before\n")
    credentials = Credentials(token_file=file)
    with (
        STUBS[protocol](token=TOKEN) as (port, seen),
        Client(**{f"{protocol}_port": port}, credentials=credentials) as client,
    ):
        with pytest.raises(Unauthenticated, match=r"^UNAUTHENTICATED: The token is not known to this server\.$"):
            client.embed(ROWS)
        file.write_text(f"{TOKEN}\n")
        client.embed(ROWS)
        file.unlink()
        with pytest.raises(Unauthenticated, match=r"^UNAUTHENTICATED: token file \S+ cannot be read: No such file"):
            client.embed(ROWS)
    assert seen.tokens == ["Bearer the-one-before", *[f"Bearer {TOKEN}"] * 2]


@pytest.mark.parametrize("text", ["two\nlines", "spa ced", "umläut", ""])
def test_a_token_that_no_header_can_hold_is_refused_without_being_told(text, protocol):
    client = Client(**{f"{protocol}_port": 1}, credentials=Credentials(token=text))
    with client, pytest.raises(Unauthenticated) as caught:
        client.status()
    assert str(caught.value) == "UNAUTHENTICATED: the token must be one line of visible ASCII characters."


def test_a_token_never_shows():
    credentials = Credentials(token=TOKEN)
    client = Client(credentials=credentials)
    client.close()
    assert TOKEN not in repr(credentials) + repr(client) + str(vars(client))


def test_credentials_that_contradict_each_other_or_are_not_there_are_refused(protocol, tmp_path):
    with pytest.raises(ValueError, match="^`token` must be None where `token_file` is given. Received both.$"):
        Credentials(token="x", token_file="y")
    with pytest.raises(ValueError, match=r"^`certificate` and `key` must be given together. Received: certificate=c, "):
        Credentials(certificate="c")
    with pytest.raises(InvalidRequest, match=r"^INVALID_ARGUMENT: ca file \S+ cannot be read: No such file or dir"):
        Client(**{f"{protocol}_port": 1}, credentials=Credentials(ca=tmp_path / "none.pem"))


def test_a_redirection_is_not_followed():
    with rest_stub() as (elsewhere, seen):

        async def away(_: web.BaseRequest) -> web.Response:
            return web.Response(status=307, headers={"Location": f"http://127.0.0.1:{elsewhere}/"})

        with rest_stub(away) as (port, _):
            with pytest.raises(RequestError, match=r"is not a TF Serving REST port \(HTTP status 307\)\.$"):
                ask("rest", port, Credentials(token=TOKEN))
            with pytest.raises(RequestError, match=r"is not a TF Serving REST port \(HTTP status 307\)\.$"):
                asyncio.run(ask_async("rest", port, Credentials(token=TOKEN)))
    assert seen.paths == []
