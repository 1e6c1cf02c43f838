"""The client's side of TF Serving's REST API v1, through requests."""

import base64
from typing import Any
from urllib.parse import quote

import numpy as np
import requests
import requests.adapters

from serving import codec, wire
from serving.nests import decode
from serving.status import HTTP, Code, ServingError
from serving.tensors import BY_NAME

# REST tells an HTTP status only: of the codes behind one, the first is the likeliest.
CODES = {413: Code.RESOURCE_EXHAUSTED, **{HTTP[code]: code for code in reversed(HTTP)}}
CONNECTIONS = 64


class RestTransport:
    """Speaks REST.

    Args:
        address: host:port.
        timeout: seconds until an answer.
    """

    def __init__(self, address: str, *, timeout: float):
        self._address, self._timeout = address, timeout
        self._session = requests.Session()
        # A model server is reached directly: reading proxy settings and .netrc would also cost time.
        self._session.trust_env = False
        self._session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))

    def predict(self, target: wire.Target, inputs: wire.Arrays, info: wire.SignatureInfo) -> dict[str, np.ndarray]:
        """Posts columns, strings in base64, and reads columns."""
        columns = {alias: _to_json(array) for alias, array in inputs.items()}
        body = codec.dumps({"signature_name": target.signature, "inputs": columns})
        outputs = self._call("POST", f"{_path(target)}:predict", body)["outputs"]
        if len(info.outputs) == 1:
            outputs = {next(iter(info.outputs)): outputs}
        return {alias: decode(value, info.outputs[alias].kind) for alias, value in outputs.items()}

    def metadata(self, target: wire.Target) -> wire.Metadata:
        """Gets the signatures of a version."""
        document = self._call("GET", f"{_path(target)}/metadata")
        definitions = document["metadata"]["signature_def"]["signature_def"]
        tensors = {name: (d["inputs"], d["outputs"]) for name, d in definitions.items()}
        return wire.Metadata(int(document["model_spec"]["version"]), wire.signatures(tensors, _read_info))

    def status(self, target: wire.Target) -> list[wire.VersionStatus]:
        """Gets the state of a model's versions."""
        return [
            wire.VersionStatus(int(v["version"]), v["state"], v["status"]["error_code"], v["status"]["error_message"])
            for v in self._call("GET", _path(target))["model_version_status"]
        ]

    def close(self) -> None:
        """Closes the pooled connections."""
        self._session.close()

    def _call(self, method: str, path: str, body: bytes | None = None) -> Any:
        server = f"http://{self._address}"
        try:
            answer = self._session.request(method, server + path, data=body, timeout=self._timeout)
        except requests.Timeout:
            raise ServingError(Code.DEADLINE_EXCEEDED, f"{server} did not answer in {self._timeout:g} s.") from None
        except requests.RequestException:
            raise ServingError(Code.UNAVAILABLE, f"No server answers at {server}.") from None
        return _document(answer, server)


def _document(answer: requests.Response, server: str) -> Any:
    status = answer.status_code
    try:
        document = codec.loads(answer.content)
    except ServingError:
        document = None
    if not isinstance(document, dict):
        raise ServingError(Code.UNKNOWN, f"{server} is not a TF Serving REST port (HTTP status {status}).")
    if status != 200:
        raise ServingError(CODES.get(status, Code.UNKNOWN), str(document.get("error", f"HTTP status {status}")))
    return document


def _path(target: wire.Target) -> str:
    version = "" if target.version is None else f"/versions/{target.version}"
    return f"/v1/models/{quote(target.model, safe='')}{version}"


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
