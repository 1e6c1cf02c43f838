"""TF Serving's gRPC API as calls to be sent and answers to be read, through the messages of `serving.messages`."""

import re
from collections.abc import Iterable
from typing import Any

import grpc

from serving import errors, messages, wire
from serving.answer import Answer
from serving.credentials import Credentials
from serving.status import Code
from serving.tensors import BY_NUMBER, fill, to_array

STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
NO_LIMIT = (1 << 31) - 1
# What gRPC itself says where no server does: there is no other sign of it.
BROKEN = re.compile(
    r"connect|DNS|resolv|socket closed|reset by peer|broken pipe|GOAWAY|endpoint closing", re.IGNORECASE
)
HANDSHAKE = re.compile(r"handshake|certificate|SSL|TLS", re.IGNORECASE)
OPENSSL = re.compile(r"OPENSSL_internal:(\w+)(?:: (.*?))?(?:: OK)?$")
# A proxy that has lost its server answers with 5xx until it has it again.
HTTP1 = re.compile(r"http1\.x server \(HTTP status [1-4]|missing selected ALPN", re.IGNORECASE)
HUNG_UP = re.compile(r"failed to connect.*(socket closed|reset by peer)", re.IGNORECASE)
# What gRPC's libraries say of a message that is too long, where other refusals of that code are worth another try.
LARGE = re.compile(r"larger than max|exceeds maximum size", re.IGNORECASE)


class GrpcCalls:
    """The API's three methods; the path of a call is the method's full name."""

    def predict(self, target: wire.Target, inputs: wire.Arrays, info: wire.SignatureInfo) -> wire.Call[Answer]:
        """Sends raw tensor contents; the answer names its own types."""

        def body() -> bytes:
            size = sum(array.nbytes for array in inputs.values())
            if size > NO_LIMIT:
                raise errors.too_large(f"The inputs take {size:,} bytes; a gRPC message holds {NO_LIMIT:,} at most.")
            request = _request(messages.PredictRequest, target)
            request.model_spec.signature_name = target.signature
            for alias, array in inputs.items():
                fill(request.inputs[alias], array, content=True)
            return request.SerializeToString()

        return wire.Call(_path("PredictionService/Predict"), body, _read_answer)

    def metadata(self, target: wire.Target) -> wire.Call[wire.Metadata]:
        """Asks for the signatures of a version."""

        def body() -> bytes:
            request = _request(messages.GetModelMetadataRequest, target)
            request.metadata_field.append("signature_def")
            return request.SerializeToString()

        return wire.Call(_path("PredictionService/GetModelMetadata"), body, _read_metadata)

    def status(self, target: wire.Target) -> wire.Call[list[wire.VersionStatus]]:
        """Asks for the state of a model's versions."""

        def body() -> bytes:
            return _request(messages.GetModelStatusRequest, target).SerializeToString()

        return wire.Call(_path("ModelService/GetModelStatus"), body, _read_status)


def facts(*metadata: Iterable[tuple[str, str | bytes]] | None) -> dict[str, str]:
    """Returns the text entries of an answer's initial and trailing metadata."""
    entries = (entry for part in metadata for entry in part or ())
    return {name.lower(): value for name, value in entries if isinstance(value, str)}


def failure(call: Any, found: wire.Facts, address: str, credentials: Credentials) -> errors.RequestError:
    """Returns what a failed RPC becomes.

    Args:
        call: the failure, which has `code()` and `details()`.
        found: its metadata.
        address: the server.
        credentials: the client's.
    """
    code, details = Code(call.code().value[0]), call.details() or ""
    if code is Code.UNAVAILABLE and HTTP1.search(details):
        return errors.foreign(address, "gRPC", "rest_port")
    if code is Code.UNAVAILABLE and HANDSHAKE.search(details):
        return errors.untrusted(address, *_tls_failure(details))
    if code is Code.UNAVAILABLE and HUNG_UP.search(details):
        return errors.hung_up(address, credentials)
    if code is Code.UNAVAILABLE and BROKEN.search(details):
        return errors.unreachable(address)
    if code is Code.RESOURCE_EXHAUSTED and LARGE.search(details):
        return errors.too_large(details)
    return errors.error(code, details, wire.pause(found))


def channel_credentials(credentials: Credentials) -> grpc.ChannelCredentials:
    """Returns gRPC's form of a client's credentials.

    Raises:
        InvalidRequest: a PEM file cannot be read.
    """
    return grpc.ssl_channel_credentials(
        credentials.pem("ca"), private_key=credentials.pem("key"), certificate_chain=credentials.pem("certificate")
    )


def _tls_failure(details: str) -> tuple[str, str]:
    known = OPENSSL.search(details)
    return (known[1], known[2] or "") if known else (details.rpartition("last error: ")[2].removesuffix(": OK"), "")


def _path(method: str) -> str:
    return f"/tensorflow.serving.{method}"


def _request(kind: Any, target: wire.Target) -> Any:
    request = kind()
    request.model_spec.name = target.model
    if target.version is not None:
        request.model_spec.version.value = target.version
    if target.label is not None:
        request.model_spec.version_label = target.label
    return request


def _read_answer(content: bytes, found: wire.Facts) -> Answer:
    response: Any = messages.PredictResponse.FromString(content)
    arrays = {alias: to_array(response.outputs[alias], limit=NO_LIMIT) for alias in sorted(response.outputs)}
    return wire.answer(arrays, found, response.model_spec.version.value or None)


def _read_metadata(content: bytes, found: wire.Facts) -> wire.Metadata:
    response: Any = messages.GetModelMetadataResponse.FromString(content)
    definitions: Any = messages.SignatureDefMap.FromString(response.metadata["signature_def"].value)
    tensors = {name: (d.inputs, d.outputs) for name, d in definitions.signature_def.items()}
    version = response.model_spec.version.value
    return wire.Metadata(version, wire.signatures(tensors, _read_info), found.get(wire.SPACE))


def _read_status(content: bytes, _: wire.Facts) -> list[wire.VersionStatus]:
    response: Any = messages.GetModelStatusResponse.FromString(content)
    return [
        wire.VersionStatus(v.version, STATES[v.state], Code(v.status.error_code).name, v.status.error_message)
        for v in response.model_version_status
    ]


def _read_info(info: Any) -> wire.TensorInfo | None:
    kind, shape = BY_NUMBER.get(info.dtype), info.tensor_shape
    if kind is None:
        return None
    return wire.TensorInfo(kind, None if shape.unknown_rank else tuple(dim.size for dim in shape.dim))
