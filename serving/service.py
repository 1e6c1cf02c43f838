"""What the server does, once, for both protocols: Predict, GetModelMetadata, GetModelStatus.

Checks, their order and their words are TF Serving's. Classify, Regress, MultiInference, labels and
reloading of the configuration are refused with UNIMPLEMENTED or as TF Serving refuses what is not configured.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

# The *_pb2_grpc modules of the same package import cleanly under protobuf 6; prediction_service_pb2 and
# model_service_pb2 do not.
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2, predict_pb2

from serving.batching import Batcher
from serving.servable import Servable, Signature
from serving.status import Code, ServingError, invalid
from serving.tensors import fill, to_array
from serving.versions import Version, Versions

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Limits:
    """What one request may cost.

    Attributes:
        request_bytes: most bytes of a request, and of one tensor it claims.
        seconds: longest time until an answer; a caller's shorter deadline wins.
    """

    request_bytes: int = 64 << 20
    seconds: float = 30.0


class Service:
    """The models of a server and the batching thread that runs them.

    Args:
        models: versions of each model, by name.
        batcher: runs the requests.
        limits: what one request may cost.
    """

    def __init__(self, models: Mapping[str, Versions], batcher: Batcher, *, limits: Limits):
        self._models, self.batcher, self.limits = models, batcher, limits

    @contextlib.contextmanager
    def lease(self, spec: model_pb2.ModelSpec) -> Iterator[tuple[int, Servable]]:
        """Gives version number and servable that a request names, kept open inside the block.

        Raises:
            ServingError: INVALID_ARGUMENT without a name or for a label, NOT_FOUND.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        if spec.version_label:
            raise invalid(f"Unrecognized servable version label: {spec.version_label}")
        number = spec.version.value if spec.HasField("version") else None
        if spec.name not in self._models:
            which = f"Latest({spec.name})" if number is None else f"Specific({spec.name}, {number})"
            raise ServingError(Code.NOT_FOUND, f"Servable not found for request: {which}")
        with self._models[spec.name].lease(number) as leased:
            yield leased

    def submit(self, servable: Servable, signature: Signature, inputs: Mapping[str, np.ndarray]) -> Future:
        """Queues a run of a leased servable, for callers that must not block.

        Args:
            servable: as `lease` gave it.
            signature: one of its signatures.
            inputs: an array for each of its inputs.

        Returns:
            Future of all outputs by alias.

        Raises:
            ServingError: INVALID_ARGUMENT for a wrong shape, UNAVAILABLE when the queue is full.
        """
        signature.check_shapes(inputs)
        return self.batcher.submit(servable, signature, inputs, time.monotonic() + self.limits.seconds)

    def predict(
        self, request: predict_pb2.PredictRequest, *, seconds: float | None = None
    ) -> predict_pb2.PredictResponse:
        """Answers PredictionService.Predict.

        Args:
            request: the request.
            seconds: the caller's own deadline from now, if it has one.

        Raises:
            ServingError: with TF Serving's code and text.
        """
        _require_spec(request)
        with self.lease(request.model_spec) as (number, servable):
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            signature = servable.signatures.get(name)
            if signature is None:
                raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
            inputs = _read_inputs(signature, request.inputs, self.limits.request_bytes)
            wanted = _wanted_outputs(signature, request.output_filter)
            limit = self.limits.seconds if seconds is None else min(seconds, self.limits.seconds)
            signature.check_shapes(inputs)
            outputs = self.batcher.run(servable, signature, inputs, time.monotonic() + limit)
        response = predict_pb2.PredictResponse()
        response.model_spec.name, response.model_spec.signature_name = request.model_spec.name, name
        response.model_spec.version.value = number
        for alias in wanted:
            fill(response.outputs[alias], outputs[alias], content=False)
        return response

    def metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Answers PredictionService.GetModelMetadata.

        Raises:
            ServingError: with TF Serving's code and text.
        """
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid(f"Metadata field {field} is not supported")
        _require_spec(request)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self.lease(request.model_spec) as (number, servable):
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = number
            definitions = get_model_metadata_pb2.SignatureDefMap(signature_def=servable.definitions)
        response.metadata["signature_def"].Pack(definitions)
        return response

    def status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Answers ModelService.GetModelStatus.

        Raises:
            ServingError: NOT_FOUND for a model or version never seen.
        """
        _require_spec(request)
        spec = request.model_spec
        known = self._models[spec.name].status() if spec.name in self._models else []
        if spec.HasField("version"):
            known = [version for version in known if version.number == spec.version.value]
            if not known:
                raise ServingError(Code.NOT_FOUND, f"Could not find version {spec.version.value} of model {spec.name}")
        if not known:
            raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        response.model_version_status.extend(map(_version_status, known))
        return response


def _require_spec(request) -> None:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")


def _read_inputs(signature: Signature, protos: Mapping, limit: int) -> dict[str, np.ndarray]:
    """Returns an array for every input of the signature: the request's or the signature's default."""
    _check_count(signature, protos)
    inputs = {}
    for alias, tensor in signature.inputs.items():
        if alias in protos:
            inputs[alias] = _read(alias, protos[alias], limit)
        elif alias in signature.defaults:
            inputs[alias] = signature.defaults[alias]
        else:
            raise invalid(
                f"Signature input alias: {alias}(feed name: {tensor.name}) not found in request and no "
                f"default value provided. Inputs expected to be in the request {_listed(protos)}, or "
                f"default input alias set: {','.join(sorted(signature.defaults))}"
            )
    used = sorted(set(protos) & set(inputs))
    if len(used) != len(protos):
        raise invalid(
            f"Inputs contains invalid name. Used request inputs: {','.join(used)}, request input: "
            f"{','.join(sorted(protos))}"
        )
    return inputs


def _read(alias: str, proto, limit: int) -> np.ndarray:
    try:
        return to_array(proto, limit=limit)
    except ValueError:
        raise invalid(f"tensor parsing error: {alias}") from None


def _check_count(signature: Signature, protos: Mapping) -> None:
    given, expected = set(protos), set(signature.inputs)
    if len(given) == len(expected) or (len(given) < len(expected) and signature.defaults):
        return
    raise invalid(
        f"input size does not match signature: {len(given)}!={len(expected)} len({_listed(given)}) != "
        f"len({_listed(expected)}). Sent extra: {_listed(given - expected)}. "
        f"Missing but required: {_listed(expected - given)}."
    )


def _listed(names: Iterable[str]) -> str:
    return f"{{{','.join(sorted(names))}}}"


def _wanted_outputs(signature: Signature, output_filter: Sequence[str]) -> list[str]:
    wanted: list[str] = []
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{_listed(signature.outputs)}."
            )
        if alias in wanted:
            raise invalid(f"duplicate output tensor alias: {alias}")
        wanted.append(alias)
    return wanted or list(signature.outputs)


def _version_status(version: Version) -> get_model_status_pb2.ModelVersionStatus:
    status = get_model_status_pb2.ModelVersionStatus(version=version.number, state=int(version.state))
    # Assigned even when OK: JSON shows the inner message only where it is present.
    status.status.error_code = int(version.error.code) if version.error else 0
    status.status.error_message = version.error.message if version.error else ""
    return status
