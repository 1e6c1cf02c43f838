"""What a served model asks of a server, read from its newest version without loading it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from serving import messages
from serving.status import Code, ServingError, invalid
from serving.tensors import BY_NUMBER

GRAPH = "saved_model.pb"
TAG = "serve"


@dataclass(frozen=True)
class Model:
    """A model as far as its deployment depends on it.

    Args:
        name: the name clients ask for.
        versions: the versions there are, in ascending order.
        size: bytes of the newest version's files.
        row: bytes of one example's tensors, the largest of all signatures; strings count nothing.
        signatures: names of the signatures that can be called.
        faults: why requests cannot be batched, a line for each signature; none where they can.
    """

    name: str
    versions: tuple[int, ...]
    size: int
    row: int
    signatures: tuple[str, ...]
    faults: tuple[str, ...]


def read(folder: Path, versions: list[int], *, name: str) -> Model:
    """Reads the newest version's signatures.

    Args:
        folder: the folder of the versions.
        versions: the numbers of those that are there, at least one, in ascending order.
        name: the name clients ask for.

    Raises:
        ServingError: the newest version holds no SavedModel with a signature to call.
    """
    newest = folder / str(versions[-1])
    definitions = _definitions(newest / GRAPH)
    return Model(
        name=name,
        versions=tuple(versions),
        size=sum(path.stat().st_size for path in newest.rglob("*") if path.is_file()),
        row=max(sum(_row(info) for info in d.inputs.values()) for d in definitions.values()),
        signatures=tuple(sorted(definitions)),
        faults=tuple(fault for name in sorted(definitions) for fault in _faults(name, definitions[name])),
    )


def _definitions(path: Path) -> Mapping[str, Any]:
    """Returns the SignatureDefs by name; one without inputs is an initialisation and not for callers."""
    try:
        saved: Any = messages.SavedModel.FromString(path.read_bytes())
    except OSError as error:
        raise ServingError(Code.NOT_FOUND, f"Could not read {path}: {error.strerror}.") from None
    except DecodeError:
        raise invalid(f"{path} is not a SavedModel.") from None
    graphs = [graph for graph in saved.meta_graphs if TAG in graph.meta_info_def.tags]
    found = {name: d for graph in graphs[:1] for name, d in graph.signature_def.items() if d.inputs}
    if not found:
        raise invalid(f"{path} has no signature to call.")
    return found


def _faults(name: str, definition: Any) -> Iterator[str]:
    """Yields a line where a server that batches would refuse the signature: an axis that is not the batch's."""
    sides = (("input", definition.inputs), ("output", definition.outputs))
    tensors = [(f"{side} {alias}", info.tensor_shape) for side, infos in sides for alias, info in sorted(infos.items())]
    fixed = [f"{what} {_written(shape)}" for what, shape in tensors if not _batch_first(shape)]
    if fixed:
        yield f"{name}: {', '.join(fixed)}"


def _batch_first(shape: Any) -> bool:
    return not shape.unknown_rank and bool(shape.dim) and shape.dim[0].size == -1


def _written(shape: Any) -> str:
    if shape.unknown_rank:
        return "of unknown rank"
    return f"[{', '.join('?' if dim.size < 0 else str(dim.size) for dim in shape.dim)}]"


def _row(info: Any) -> int:
    kind = BY_NUMBER.get(info.dtype)
    if kind is None or kind.name == "string":
        return 0
    return kind.numpy.itemsize * math.prod(max(dim.size, 1) for dim in info.tensor_shape.dim[1:])
