"""What a client asks and learns, whichever protocol carries it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from serving.tensors import Kind

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a signature; `shape` has -1 for a free dimension, None for an unknown rank."""

    kind: Kind
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class SignatureInfo:
    """The inputs and outputs of a signature, by alias."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]


@dataclass(frozen=True)
class Metadata:
    """A version of a model and its signatures, by name."""

    version: int
    signatures: Mapping[str, SignatureInfo]


@dataclass(frozen=True)
class VersionStatus:
    """The state of a version; `code` and `message` tell why one that ended failed."""

    version: int
    state: str
    code: str
    message: str


@dataclass(frozen=True)
class Target:
    """What a request is for; no version means the newest."""

    model: str
    version: int | None = None
    signature: str = ""


class Transport(Protocol):
    """What the client needs of a protocol; everything may raise ServingError."""

    def predict(self, target: Target, inputs: Arrays, info: SignatureInfo) -> dict[str, np.ndarray]:
        """Runs a signature."""
        ...

    def metadata(self, target: Target) -> Metadata:
        """Returns the signatures of a version."""
        ...

    def status(self, target: Target) -> list[VersionStatus]:
        """Returns the state of a model's versions, the newest first."""
        ...

    def close(self) -> None:
        """Closes the connections."""
        ...


def signatures(
    definitions: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]],
    read: Callable[[Any], TensorInfo | None],
) -> dict[str, SignatureInfo]:
    """Returns the signatures that can be called over the wire.

    Args:
        definitions: inputs and outputs by alias, of each signature.
        read: makes a TensorInfo of a protocol's form of it, None where the type is not supported.
    """
    found = {}
    for name, (inputs, outputs) in definitions.items():
        info = SignatureInfo(_infos(inputs, read), _infos(outputs, read))
        if inputs and len(info.inputs) == len(inputs) and len(info.outputs) == len(outputs):
            found[name] = info
    return found


def _infos(tensors: Mapping[str, Any], read: Callable[[Any], TensorInfo | None]) -> dict[str, TensorInfo]:
    read_all: Iterable[tuple[str, TensorInfo | None]] = ((alias, read(tensors[alias])) for alias in sorted(tensors))
    return {alias: info for alias, info in read_all if info is not None}
