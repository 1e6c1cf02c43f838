"""What a client asks and learns, whichever protocol carries it."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from serving.answer import Answer
from serving.tensors import Kind

Arrays = Mapping[str, np.ndarray]
Facts = Mapping[str, str]
"""Headers or metadata of an answer, by lower-case name."""

SPACE, VERSION, RETRY_AFTER = "metaprior-space", "metaprior-version", "retry-after"
PUSHBACK = "grpc-retry-pushback-ms"
T = TypeVar("T")


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
    """A version of a model and its signatures, by name; `space` is None where the server does not tell."""

    version: int
    signatures: Mapping[str, SignatureInfo]
    space: str | None = None


@dataclass(frozen=True)
class VersionStatus:
    """The state of a version; `code` and `message` tell why one that ended failed."""

    version: int
    state: str
    code: str
    message: str


@dataclass(frozen=True)
class Target:
    """What a request is for; without version and label the newest version."""

    model: str
    version: int | None = None
    label: str | None = None
    signature: str = ""


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request that has yet to be sent.

    Attributes:
        path: of the URL, or of the gRPC method.
        body: makes the body when the time has come; None where there is none.
        read: makes the result of the answer's body and facts.
    """

    path: str
    body: Callable[[], bytes] | None
    read: Callable[[bytes, Facts], T]


class Calls(Protocol):
    """What a protocol makes of a request; nothing here waits for anything."""

    def predict(self, target: Target, inputs: Arrays, info: SignatureInfo) -> Call[Answer]:
        """Runs a signature."""
        ...

    def metadata(self, target: Target) -> Call[Metadata]:
        """Asks for the signatures of a version."""
        ...

    def status(self, target: Target) -> Call[list[VersionStatus]]:
        """Asks for the state of a model's versions, the newest first."""
        ...


def answer(arrays: Arrays, facts: Facts, version: int | None = None) -> Answer:
    """Returns an answer with what its facts tell of the version and the space.

    Args:
        arrays: outputs by alias.
        facts: headers or metadata.
        version: the version, where the protocol itself tells it.
    """
    told = facts.get(VERSION, "")
    return Answer(arrays, version=int(told) if told.isdecimal() else version, space=facts.get(SPACE))


def pause(facts: Facts) -> float | None:
    """Returns the seconds that a server which refuses wants to be left alone; None where it does not tell.

    Args:
        facts: headers or metadata. Of `retry-after` only seconds are understood, a date is passed over. gRPC's own
            `grpc-retry-pushback-ms` comes first; what is not a number of milliseconds there means never: infinity.

    Reference:
        gRPC proposal A6, "Client Retries", Pushback.
    """
    pushback = facts.get(PUSHBACK)
    if pushback is not None:
        return int(pushback) / 1000 if re.fullmatch("[0-9]{1,10}", pushback) else math.inf
    told = facts.get(RETRY_AFTER, "")
    return float(told) if re.fullmatch("[0-9]{1,10}", told) else None


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
        if (inputs or outputs) and len(info.inputs) == len(inputs) and len(info.outputs) == len(outputs):
            found[name] = info
    return found


def _infos(tensors: Mapping[str, Any], read: Callable[[Any], TensorInfo | None]) -> dict[str, TensorInfo]:
    read_all: Iterable[tuple[str, TensorInfo | None]] = ((alias, read(tensors[alias])) for alias in sorted(tensors))
    return {alias: info for alias, info in read_all if info is not None}
