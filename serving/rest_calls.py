"""TF Serving's REST API v1 as calls to be sent and answers to be read."""

import base64
from typing import Any
from urllib.parse import quote

import numpy as np

from serving import documents, errors, wire
from serving.answer import Answer
from serving.nests import decode
from serving.status import HTTP, Code, ServingError
from serving.tensors import BY_NAME, Kind

# REST tells an HTTP status only: of the codes behind one, the first is the likeliest.
TOO_LARGE = 413
CODES = {TOO_LARGE: Code.RESOURCE_EXHAUSTED, **{HTTP[code]: code for code in reversed(HTTP)}}
# These come from what stands before a server, too, and then without a document.
GATEWAY = {status: CODES[status] for status in (401, 403, TOO_LARGE, 429, 503, 504)} | {502: Code.UNAVAILABLE}
CONNECTIONS = 64


class RestCalls:
    """The API's three paths; a call without a body is a GET.

    Args:
        server: scheme, host and port, for messages.
    """

    def __init__(self, server: str):
        self._server = server

    def predict(self, target: wire.Target, inputs: wire.Arrays, info: wire.SignatureInfo) -> wire.Call[Answer]:
        """Posts columns, strings in base64, and reads columns."""

        def body() -> bytes:
            for tensor in info.inputs.values():
                _check_kind(tensor.kind)
            columns = {alias: _to_json(array) for alias, array in inputs.items()}
            return documents.dumps({"signature_name": target.signature, "inputs": columns})

        def read(content: bytes, found: wire.Facts) -> Answer:
            outputs = self._part(content, "outputs")
            if len(info.outputs) == 1:
                outputs = {next(iter(info.outputs)): outputs}
            if not isinstance(outputs, dict) or outputs.keys() != info.outputs.keys():
                raise errors.error(Code.ABORTED, f"The outputs of {target.model} have changed. Ask again.")
            arrays = {alias: decode(value, info.outputs[alias].kind) for alias, value in outputs.items()}
            return wire.answer(arrays, found, target.version)

        return wire.Call(f"{_path(target)}:predict", body, read)

    def metadata(self, target: wire.Target) -> wire.Call[wire.Metadata]:
        """Gets the signatures of a version."""

        def read(content: bytes, found: wire.Facts) -> wire.Metadata:
            definitions = self._part(content, "metadata")["signature_def"]["signature_def"]
            tensors = {name: (d["inputs"], d["outputs"]) for name, d in definitions.items()}
            version = int(self._part(content, "model_spec")["version"])
            return wire.Metadata(version, wire.signatures(tensors, _read_info), found.get(wire.SPACE))

        return wire.Call(f"{_path(target)}/metadata", None, read)

    def status(self, target: wire.Target) -> wire.Call[list[wire.VersionStatus]]:
        """Gets the state of a model's versions."""

        def read(content: bytes, _: wire.Facts) -> list[wire.VersionStatus]:
            states = self._part(content, "model_version_status")
            told = ((int(v["version"]), v["state"], v["status"]) for v in states)
            return [wire.VersionStatus(n, state, s["error_code"], s["error_message"]) for n, state, s in told]

        return wire.Call(_path(target), None, read)

    def _part(self, content: bytes, key: str) -> Any:
        document = _document(content)
        if document is None or key not in document:
            raise _stranger(self._server, 200)
        return document[key]


def check(status: int, content: bytes, found: wire.Facts, server: str) -> None:
    """Raises what an HTTP answer is that is no success.

    Args:
        status: HTTP status.
        content: body.
        found: headers.
        server: scheme, host and port.

    Raises:
        RequestError: the refusal.
    """
    if status == 200:
        return
    document, text = _document(content), f"HTTP status {status}"
    if document is None and status not in GATEWAY:
        raise _stranger(server, status)
    known = CODES if document is not None else GATEWAY
    message = f"{text} from {server}." if document is None else str(document.get("error", text))
    if status == TOO_LARGE:
        raise errors.too_large(message)
    raise errors.error(known.get(status, Code.UNKNOWN), message, wire.pause(found))


def tls_failure(error: BaseException) -> tuple[str, str]:
    """Returns OpenSSL's name for a failure, or what there is, and what it says of a certificate.

    Args:
        error: of the module `ssl`.
    """
    return str(getattr(error, "reason", None) or error), str(getattr(error, "verify_message", None) or "")


def lowered(headers: Any) -> dict[str, str]:
    """Returns headers by lower-case name."""
    return {name.lower(): value for name, value in headers.items()}


def _document(content: bytes) -> dict[str, Any] | None:
    try:
        document = documents.loads(content)
    except ServingError:
        return None
    return document if isinstance(document, dict) else None


def _stranger(server: str, status: int) -> errors.RequestError:
    return errors.error(Code.UNKNOWN, f"{server} is not a TF Serving REST port (HTTP status {status}).")


def _path(target: wire.Target) -> str:
    which = ""
    if target.version is not None:
        which = f"/versions/{target.version}"
    elif target.label is not None:
        which = f"/labels/{quote(target.label, safe='')}"
    return f"/v1/models/{quote(target.model, safe='')}{which}"


def _check_kind(kind: Kind) -> None:
    if kind.numpy.kind not in "biuO" and kind.name not in ("float", "double"):
        raise errors.error(Code.UNIMPLEMENTED, f"JSON holds no {kind.name}. Ask over gRPC.")


def _to_json(array: np.ndarray) -> Any:
    if array.dtype.kind != "O":
        return array if array.shape else array[()]
    encoded = [{"b64": base64.b64encode(value).decode()} for value in array.ravel().tolist()]
    return np.array(encoded, np.object_).reshape(array.shape).tolist()


def _read_info(info: dict[str, Any]) -> wire.TensorInfo | None:
    kind = BY_NAME.get(info["dtype"].removeprefix("DT_").lower())
    shape = info["tensor_shape"]
    if kind is None:
        return None
    return wire.TensorInfo(kind, None if shape["unknown_rank"] else tuple(int(d["size"]) for d in shape["dim"]))
