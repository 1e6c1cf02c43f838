"""The client's side of TF Serving's gRPC API, through the messages of `serving.messages`."""

from typing import Any

import grpc
import numpy as np

from serving import messages, wire
from serving.status import Code, ServingError
from serving.tensors import BY_NUMBER, fill, to_array

STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
NO_LIMIT = (1 << 31) - 1
OPTIONS = [
    ("grpc.max_receive_message_length", NO_LIMIT),
    ("grpc.max_send_message_length", NO_LIMIT),
    # A server that has just come up is found within a retry, not after a growing pause.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class GrpcTransport:
    """Speaks gRPC.

    Args:
        address: host:port.
        timeout: seconds until an answer.
    """

    def __init__(self, address: str, *, timeout: float):
        self._address, self._timeout = address, timeout
        self._channel = grpc.insecure_channel(address, OPTIONS)
        self._predict = self._method("PredictionService/Predict", messages.PredictResponse)
        self._metadata = self._method("PredictionService/GetModelMetadata", messages.GetModelMetadataResponse)
        self._status = self._method("ModelService/GetModelStatus", messages.GetModelStatusResponse)

    def predict(self, target: wire.Target, inputs: wire.Arrays, info: wire.SignatureInfo) -> dict[str, np.ndarray]:
        """Sends raw tensor contents; the answer names its own types."""
        request = _request(messages.PredictRequest, target)
        request.model_spec.signature_name = target.signature
        for alias, array in inputs.items():
            fill(request.inputs[alias], array, content=True)
        response = self._call(self._predict, request)
        return {alias: to_array(response.outputs[alias], limit=NO_LIMIT) for alias in sorted(response.outputs)}

    def metadata(self, target: wire.Target) -> wire.Metadata:
        """Asks for the signatures of a version."""
        request = _request(messages.GetModelMetadataRequest, target)
        request.metadata_field.append("signature_def")
        response = self._call(self._metadata, request)
        found: Any = messages.SignatureDefMap()
        found.ParseFromString(response.metadata["signature_def"].value)
        tensors = {name: (d.inputs, d.outputs) for name, d in found.signature_def.items()}
        return wire.Metadata(response.model_spec.version.value, wire.signatures(tensors, _read_info))

    def status(self, target: wire.Target) -> list[wire.VersionStatus]:
        """Asks for the state of a model's versions."""
        response = self._call(self._status, _request(messages.GetModelStatusRequest, target))
        return [
            wire.VersionStatus(v.version, STATES[v.state], Code(v.status.error_code).name, v.status.error_message)
            for v in response.model_version_status
        ]

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def _method(self, name: str, response: Any) -> Any:
        return self._channel.unary_unary(
            f"/tensorflow.serving.{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout)
        except grpc.RpcError as failure:
            # What the stub raises is both the error and the call.
            call: Any = failure
            code, details = Code(call.code().value[0]), call.details() or ""
            if code is Code.UNAVAILABLE and "connect" in details:
                details = f"No server answers at {self._address}."
            raise ServingError(code, details) from None


def _request(kind: Any, target: wire.Target) -> Any:
    request = kind()
    request.model_spec.name = target.model
    if target.version is not None:
        request.model_spec.version.value = target.version
    return request


def _read_info(info: Any) -> wire.TensorInfo | None:
    kind, shape = BY_NUMBER.get(info.dtype), info.tensor_shape
    if kind is None:
        return None
    return wire.TensorInfo(kind, None if shape.unknown_rank else tuple(dim.size for dim in shape.dim))
