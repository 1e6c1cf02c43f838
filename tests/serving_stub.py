"""Small endpoints that answer as a model server does, for what the embedded server does not do at will."""

import asyncio
import datetime
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from serving import messages

VERSION = 3
FACTS = {"metaprior-space": "5bace", "metaprior-version": str(VERSION)}
TOKEN = "a-long-and-secret-token"


@dataclass
class Seen:
    """What an endpoint was asked: paths, authorizations and, over gRPC, the seconds that were left, and when."""

    paths: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    seconds: list[float | None] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


@contextmanager
def grpc_stub(
    *,
    certificates: "Certificates | None" = None,
    token: str | None = None,
    busy: int = 0,
    refusal: tuple[grpc.StatusCode, str] = (grpc.StatusCode.UNAVAILABLE, "busy"),
    told: tuple[tuple[str, str], ...] = (),
) -> Iterator[tuple[int, Seen]]:
    """Answers GetModelMetadata and a Predict of one float per row; yields its port and what it was asked.

    The first `busy` requests are refused, with `told` as trailing metadata.
    """
    seen = Seen()

    class Handler(grpc.GenericRpcHandler):
        def service(self, handler_call_details):
            metadata = dict(handler_call_details.invocation_metadata)
            seen.paths.append(handler_call_details.method)
            seen.tokens.append(metadata.get("authorization"))
            return grpc.unary_unary_rpc_method_handler(answer)

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        seen.seconds.append(context.time_remaining())
        seen.times.append(time.monotonic())
        if token and seen.tokens[-1] != f"Bearer {token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "The token is not known to this server.")
        if len(seen.seconds) <= busy:
            context.set_trailing_metadata(told)
            context.abort(*refusal)
        context.set_trailing_metadata(tuple(FACTS.items()))
        return (_metadata() if seen.paths[-1].endswith("Metadata") else _prediction(request)).SerializeToString()

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()])
    if certificates:
        port = server.add_secure_port("127.0.0.1:0", certificates.grpc())
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port, seen
    finally:
        server.stop(None).wait()


def _metadata():
    response = messages.GetModelMetadataResponse()
    response.model_spec.version.value = VERSION
    definitions = messages.SignatureDefMap()
    for name in ("embed", "serving_default"):
        signature = definitions.signature_def[name]
        for tensor in (signature.inputs["x"], signature.outputs["embedding"]):
            tensor.dtype = 1
            for size in (-1, 1):
                tensor.tensor_shape.dim.add().size = size
    response.metadata["signature_def"].value = definitions.SerializeToString()
    return response


def _prediction(request: bytes):
    response = messages.PredictResponse()
    response.model_spec.version.value = VERSION
    response.outputs["embedding"].CopyFrom(messages.PredictRequest.FromString(request).inputs["x"])
    return response


DOCUMENT = {
    "model_spec": {"version": str(VERSION)},
    "metadata": {
        "signature_def": {
            "signature_def": {
                name: {
                    side: {
                        alias: {
                            "dtype": "DT_FLOAT",
                            "tensor_shape": {"dim": [{"size": "-1"}, {"size": "1"}], "unknown_rank": False},
                        }
                    }
                    for side, alias in (("inputs", "x"), ("outputs", "embedding"))
                }
                for name in ("embed", "serving_default")
            }
        }
    },
}


@contextmanager
def rest_stub(
    answer: Callable | None = None, *, certificates: "Certificates | None" = None, token: str | None = None
) -> Iterator[tuple[int, Seen]]:
    """As `grpc_stub`, over HTTP; `answer` may take the place of its handler."""
    seen = Seen()

    async def handle(request: web.Request) -> web.Response:
        seen.paths.append(request.path)
        seen.tokens.append(request.headers.get("Authorization"))
        if token and seen.tokens[-1] != f"Bearer {token}":
            return web.json_response({"error": "The token is not known to this server."}, status=401)
        if request.method == "GET":
            return web.json_response(DOCUMENT, headers=FACTS)
        return web.json_response({"outputs": (await request.json())["inputs"]["x"]}, headers=FACTS)

    async def run(started: threading.Event, stop: asyncio.Event, port: list[int]) -> None:
        runner = web.ServerRunner(web.Server(answer or handle), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificates.ssl() if certificates else None)
        await site.start()
        port.append(runner.addresses[0][1])
        started.set()
        await stop.wait()
        await runner.cleanup()

    loop, started, port = asyncio.new_event_loop(), threading.Event(), []
    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run(started, stop, port)))
    thread.start()
    started.wait()
    try:
        yield port[0], seen
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@dataclass(frozen=True)
class Certificates:
    """PEM files of an authority, of a server at 127.0.0.1 that asks for a client's certificate, and of a client."""

    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def grpc(self) -> grpc.ServerCredentials:
        read = {name: self.path(name).read_bytes() for name in ("ca", "server", "server-key")}
        pair = (read["server-key"], read["server"])
        return grpc.ssl_server_credentials([pair], read["ca"], require_client_auth=True)

    def ssl(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("server"), self.path("server-key"))
        context.load_verify_locations(self.path("ca"))
        context.verify_mode = ssl.CERT_REQUIRED
        return context


def certificates(folder: Path) -> Certificates:
    """Writes new certificates, and a second authority `other` that signed none of them."""
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("ca", "server", "client", "other")}
    for name, key in keys.items():
        issuer = name if name in ("ca", "other") else "ca"
        (folder / f"{name}.pem").write_bytes(_signed(name, key, issuer, keys[issuer]))
        (folder / f"{name}-key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return Certificates(folder)


def _signed(name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey) -> bytes:
    now = datetime.datetime.now(datetime.UTC)
    own = issuer == name
    usage = x509.KeyUsage(True, False, False, False, False, own, own, False, False)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
