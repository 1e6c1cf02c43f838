"""What Predict asks of a loaded model: which signature, with which inputs, for which outputs.

Checks, their order and their words are TF Serving's. It knows no models by name: a server resolves those, and
a warm-up replays requests on a version that has no name yet.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from tensorflow_serving.apis import predict_pb2

from serving.servable import Servable
from serving.signature import Signature
from serving.status import Code, ServingError, invalid
from serving.tensors import to_array

DEFAULT_SIGNATURE = "serving_default"


class Call(NamedTuple):
    """A checked request: the signature, an array for each of its inputs, the outputs wanted."""

    signature: Signature
    inputs: dict[str, np.ndarray]
    wanted: list[str]


def prepare(servable: Servable, request: predict_pb2.PredictRequest, limit: int) -> Call:
    """Returns what a request asks of a servable.

    Args:
        servable: the version the request is for.
        request: the request; its model's name and version are not looked at.
        limit: most bytes one tensor may take.

    Raises:
        ServingError: with TF Serving's code and text.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    inputs = _read_inputs(signature, request.inputs, limit)
    wanted = _wanted_outputs(signature, request.output_filter)
    return Call(servable.select(signature, wanted), inputs, wanted)


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
