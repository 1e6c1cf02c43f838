"""JSON to arrays and back, as TF Serving's REST API reads and writes them.

A request carries rows (`instances`) or columns (`inputs`); bytes travel as `{"b64": "..."}`.
"""

import base64
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from serving.aside import Pause, no_pause
from serving.documents import dumps, together
from serving.nests import RANGES, SLICE, decode, is_base64, shown
from serving.status import ServingError, invalid
from serving.tensors import BY_NUMPY, Kind

BOTH_KEYS = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
PLAIN = "is a plain {}, but expecting {} as multiple input tensors required as per tensorinfo_map"
LETTERS = 64  # of a string take as long to write as a number
WRITABLE = frozenset(("float", "double", "bool", "string", *RANGES))


def decode_inputs(
    document: Mapping[str, Any], kinds: Mapping[str, Kind], pause: Pause = no_pause
) -> tuple[bool, dict[str, np.ndarray]]:
    """Returns whether a Predict body is in rows, and its arrays.

    Args:
        document: the parsed body, with exactly one of `instances` and `inputs`.
        kinds: data type of each input of the signature, by alias.
        pause: called between the slices of long inputs.

    Returns:
        (rows, arrays): arrays by alias; in rows the first axis is the row.

    Raises:
        ServingError: INVALID_ARGUMENT or UNIMPLEMENTED with TF Serving's text.
    """
    if "instances" in document and "inputs" in document:
        raise malformed(document, BOTH_KEYS)
    if "inputs" in document:
        return False, _columns(document["inputs"], kinds, pause)
    if "instances" not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    instances = document["instances"]
    if not isinstance(instances, list):
        raise malformed(document, "Expecting 'instances' to be an list/array")
    if not instances:
        raise malformed(document, "No values in 'instances' array")
    return True, _rows(instances, kinds, pause)


def _columns(value: Any, kinds: Mapping[str, Kind], pause: Pause) -> dict[str, np.ndarray]:
    if not _named(value):
        if len(kinds) > 1:
            raise invalid("inputs " + PLAIN.format("value/list", "an object"))
        return {alias: decode(value, kind, pause) for alias, kind in kinds.items()}
    for alias in sorted(kinds):
        if alias not in value:
            raise invalid(f"Missing named input: {alias} in 'inputs' object.")
    return {alias: decode(value[alias], kind, pause) for alias, kind in kinds.items()}


def _rows(instances: list[Any], kinds: Mapping[str, Kind], pause: Pause) -> dict[str, np.ndarray]:
    named = _named(instances[0])
    if not named and len(kinds) > 1:
        raise invalid("instances " + PLAIN.format("list", "list of objects"))
    try:
        if (arrays := _stacked(instances, kinds, named, pause)) is not None:
            return arrays
    except ServingError:
        _blame_row(instances, kinds, named, pause)
        raise
    _blame_row(instances, kinds, named, pause)
    raise invalid("Failed to process 'instances' list.")


def _stacked(rows: list[Any], kinds: Mapping[str, Kind], named: bool, pause: Pause) -> dict[str, np.ndarray] | None:
    """Returns the arrays of rows, or None where a row has other keys."""
    if not named:
        return {alias: decode(rows, kind, pause) for alias, kind in kinds.items()}
    if not all(isinstance(row, dict) and row.keys() == kinds.keys() for row in rows):
        return None
    return {alias: decode([row[alias] for row in rows], kind, pause) for alias, kind in kinds.items()}


def _blame_row(instances: list[Any], kinds: Mapping[str, Kind], named: bool, pause: Pause) -> None:
    """Raises for the first element that is wrong by itself or differs from the first in shape."""
    shapes: dict[str, tuple[int, ...]] = {}
    _check_row(0, instances[0], kinds, named, shapes)

    def fit(rows: list[Any]) -> bool:
        try:
            arrays = _stacked(rows, kinds, named, pause)
        except ServingError:
            return False
        return arrays is not None and all(array.shape[1:] == shapes[alias] for alias, array in arrays.items())

    low, high = 1, len(instances)
    # What is before `low` fits; halves are decoded all at once.
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fit(instances[low:middle]) else (low, middle)
    for index in range(low, high):
        _check_row(index, instances[index], kinds, named, shapes)


def _check_row(
    index: int, row: Any, kinds: Mapping[str, Kind], named: bool, shapes: dict[str, tuple[int, ...]]
) -> None:
    if _named(row) != named:
        wanted, got = ("object", "list") if named else ("value/list", "object")
        raise invalid(f"Expecting {wanted} but got {got} at item {index} of input list")
    for alias, value in row.items() if named else [(next(iter(kinds)), row)]:
        where = f"{index} key: {alias}" if named else str(index)
        try:
            _check_item(alias, value, kinds, shapes)
        except ServingError as error:
            reason = f"{error.code.name}: {error.message}"
            raise invalid(f"Failed to process element: {where} of 'instances' list. Error: {reason}") from None
    if named and row.keys() != kinds.keys():
        reason = f"JSON object: {shown(row)} keys must be equal to: {','.join(sorted(kinds))}"
        raise invalid(f"Failed to process element: {index} of 'instances' list. {reason}")


def _check_item(alias: str, value: Any, kinds: Mapping[str, Kind], shapes: dict[str, tuple[int, ...]]) -> None:
    if alias not in kinds:
        raise invalid(f"JSON object: does not have named input: {alias}")
    array = decode(value, kinds[alias])
    first = shapes.setdefault(alias, array.shape)
    if array.size != math.prod(first):
        raise invalid(f"Expecting tensor size: {math.prod(first)} but got: {array.size}")
    if array.shape != first:
        raise invalid(f"Expecting shape {_bracketed(first)} but got: {_bracketed(array.shape)}")


def encode_outputs(outputs: Mapping[str, np.ndarray], rows: bool, pause: Pause | None = None) -> bytes | bytearray:
    """Returns the body of a Predict answer.

    Args:
        outputs: arrays by alias; strings as bytes objects.
        rows: `predictions`, one element a row; otherwise `outputs`, one element an output.
        pause: called between the slices of long outputs; they are written at once without.

    Raises:
        ServingError: INVALID_ARGUMENT where an output has no such form.
    """
    if rows:
        _check_batch(outputs)
    if pause:
        return together(_long(outputs, rows), pause)
    values = {alias: _plain(alias, array) for alias, array in outputs.items()}
    return dumps({"predictions": _by_row(values)} if rows else {"outputs": _only(values)})


def is_long(outputs: Mapping[str, np.ndarray]) -> bool:
    """Whether it takes long to write these outputs."""
    return sum(map(_weight, outputs.values())) > SLICE


def _weight(array: np.ndarray) -> int:
    """Returns how many numbers an array is worth; of many strings, the first ones tell."""
    if not array.dtype.hasobject:
        return array.size
    first = array.ravel()[:SLICE].tolist()
    return array.size + sum(map(len, first)) * array.size // max(len(first), 1) // LETTERS


def _long(outputs: Mapping[str, np.ndarray], rows: bool) -> Iterator[bytes]:
    """Yields the body of a long answer in slices."""
    yield b'{"predictions":' if rows else b'{"outputs":'
    if len(outputs) == 1:
        yield from _written(*next(iter(outputs.items())))
    elif rows:
        count, most = len(next(iter(outputs.values()))), max(map(_weight, outputs.values()))
        step = max(SLICE * count // most, 1)
        for low in range(0, count, step):
            values = {alias: _plain(alias, array[low : low + step]) for alias, array in outputs.items()}
            yield (b"," if low else b"[") + dumps(_by_row(values))[1:-1]
        yield b"]"
    else:
        for number, (alias, array) in enumerate(outputs.items()):
            yield (b"," if number else b"{") + dumps(alias) + b":"
            yield from _written(alias, array)
        yield b"}"
    yield b"}"


def _written(alias: str, array: np.ndarray) -> Iterator[bytes]:
    """Yields the JSON of an array in slices."""
    weight = _weight(array)
    if weight <= SLICE or not array.ndim:
        yield dumps(_plain(alias, array))
    elif len(array) * SLICE <= weight:
        for row in range(len(array)):
            yield b"," if row else b"["
            yield from _written(alias, array[row, ...])
        yield b"]"
    else:
        step = SLICE * len(array) // weight
        for low in range(0, len(array), step):
            yield (b"," if low else b"[") + dumps(_plain(alias, array[low : low + step]))[1:-1]
        yield b"]"


def _only(values: dict[str, Any]) -> Any:
    return next(iter(values.values())) if len(values) == 1 else values


def _by_row(values: dict[str, Any]) -> Any:
    if len(values) == 1:
        return _only(values)
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _check_batch(outputs: Mapping[str, np.ndarray]) -> None:
    expected = None
    for alias, array in outputs.items():
        if not array.shape:
            raise invalid(f"Tensor name: {alias} has no shape information ")
        if expected not in (None, len(array)):
            raise invalid(f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {expected}")
        expected = len(array)


def _plain(alias: str, array: np.ndarray) -> Any:
    kind = BY_NUMPY.get(array.dtype)
    if kind is None or kind.name not in WRITABLE:
        raise invalid(f"Failed to write JSON value for tensor type: {kind.name if kind else array.dtype}")
    if kind.name != "string":
        return array if array.shape else array[()]
    write = _b64 if alias.endswith("_bytes") else _text
    return _map_leaves(write, array.tolist())


def _map_leaves(function: Any, value: Any) -> Any:
    return [_map_leaves(function, item) for item in value] if isinstance(value, list) else function(value)


def _b64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _named(value: Any) -> bool:
    """Whether a JSON value is an object of named tensors, not one that stands for bytes."""
    return isinstance(value, dict) and not is_base64(value)


def malformed(document: Any, reason: str) -> ServingError:
    """Returns the error of a body that lacks or mixes up keys."""
    return invalid(f"JSON Value: {shown(document)} {reason}")


def _bracketed(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
