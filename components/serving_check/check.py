"""A server in a process of its own, asked for known answers over both protocols."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from components.serving_check.golden import OUTPUTS, Golden
from components.serving_check.servers import MODEL, Ports, running
from models.atomic import link
from serving.client import Client
from serving.status import ServingError

TOLERANCE = 1e-5
LIKENESS = ("rate", "rate_percentile", "mahalanobis2", "outlying")
OTHER = {"score": ("rate", "distortion", "elbo"), "outlying": LIKENESS, "outlying_bytes": LIKENESS}
"""What other signatures than those that embed answer; of it the trainer's own answers have the rate."""
MAY = ("mahalanobis2_percentile", "distortion", "distortion_percentile")
BESIDES: dict[str, tuple[str, ...]] = {"outlying": MAY, "outlying_bytes": MAY}
"""What a signature may answer besides: a distortion needs a decoder of the code alone, and an encoder of an earlier
version has neither."""

Requests = Mapping[str, Mapping[str, Any]]


def check(saved_model: Path, *, golden: Golden, requests: Requests, server: str) -> str | None:
    """Serves a SavedModel and compares its answers, signature by signature, over gRPC and REST.

    Args:
        saved_model: folder of the SavedModel.
        golden: the trainer's own answers.
        requests: inputs of each signature that ask for them.
        server: `embedded` or `tensorflow_model_server`.

    Returns:
        None if every answer agrees within 1e-5 (absolute, or relative where values exceed 1), otherwise
        one line that says what does not.
    """
    with tempfile.TemporaryDirectory(prefix="metaprior-check-") as folder:
        # Links, not copies: an encoder may be large, and the server only reads.
        shutil.copytree(saved_model, Path(folder, "1"), copy_function=link)
        try:
            with running(server, Path(folder)) as ports:
                return _compare_all(ports, golden, requests)
        except ServingError as error:
            return f"the served encoder did not answer: {error}"


def _compare_all(ports: Ports, golden: Golden, requests: Requests) -> str | None:
    # An encoder's signatures answer row by row; the real server does not tell that it serves one.
    clients = {
        "gRPC": Client(grpc_port=ports.grpc, model=MODEL, independent_rows=True),
        "REST": Client(rest_port=ports.rest, model=MODEL, independent_rows=True),
    }
    for protocol, client in clients.items():
        with client:
            for signature, inputs in requests.items():
                answer, expected = client.predict(inputs, signature=signature), golden.of(signature)
                fault = _fault(answer, expected, OTHER.get(signature, OUTPUTS), BESIDES.get(signature, ()))
                if fault:
                    return f"signature {signature} over {protocol}: {fault}"
    return None


def _fault(
    answer: Mapping[str, Any], right: Mapping[str, np.ndarray], expected: tuple[str, ...], besides: tuple[str, ...] = ()
) -> str | None:
    values = {name: np.asarray(value, np.float64) for name, value in answer.items()}
    if set(values).difference(besides) != set(expected):
        return f"it answers {', '.join(sorted(values))}, not {', '.join(sorted(expected))}"
    for name, value in values.items():
        if not np.isfinite(value).all():
            return f"{name} is not finite"
    for name in OUTPUTS:
        if name in values:
            trainers = right[name]
            if values[name].shape != trainers.shape:
                return f"{name} has shape {values[name].shape}, not {trainers.shape}"
            error = np.max(np.abs(values[name] - trainers) / np.maximum(1, np.abs(trainers)))
            if error > TOLERANCE:
                return f"{name} is {error:.1e} from the trainer's, more than {TOLERANCE:.0e}"
    return None
