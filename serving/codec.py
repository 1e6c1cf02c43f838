"""JSON to arrays and back, as TF Serving's REST API reads and writes them.

A request carries rows (`instances`) or columns (`inputs`); bytes travel as `{"b64": "..."}`.
"""

import base64
import codecs
import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from serving.nests import RANGES, decode, is_base64, shown
from serving.status import ServingError, invalid
from serving.tensors import BY_NUMPY, Kind

STRINGS_OR_INF = re.compile(r'"(?:[^"\\]|\\.)*+"?|\bInf\b')  # possessive: linear whatever the text
BOTH_KEYS = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
PLAIN = "is a plain {}, but expecting {} as multiple input tensors required as per tensorinfo_map"
WRITABLE = frozenset(("float", "double", "bool", "string", *RANGES))


def loads(body: bytes) -> Any:
    """Returns the first JSON value of a body; NaN and the infinities are accepted, trailing text ignored.

    Raises:
        ServingError: INVALID_ARGUMENT "JSON Parse error: ...".
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    if not body.strip():
        raise invalid("JSON Parse error: The document is empty")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _lenient(body)


def _lenient(body: bytes) -> Any:
    text = body.decode("utf-8", "surrogateescape").lstrip()
    text = STRINGS_OR_INF.sub(lambda found: "Infinity" if found[0] == "Inf" else found[0], text)
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except (RecursionError, ValueError):
        raise invalid("JSON Parse error: The document is nested too deeply or has too long a number") from None


def dumps(document: Any) -> bytes:
    """Returns a document of plain values and arrays as JSON; NaN and the infinities as bare tokens."""
    if _finite(document):
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(document, default=lambda array: array.tolist()).encode()


def _finite(document: Any) -> bool:
    if isinstance(document, dict):
        return all(map(_finite, document.values()))
    if isinstance(document, list):
        return all(map(_finite, document))
    if isinstance(document, (np.ndarray, np.generic)):
        return document.dtype.kind != "f" or bool(np.isfinite(document).all())
    return True


def decode_inputs(document: Mapping[str, Any], kinds: Mapping[str, Kind]) -> tuple[bool, dict[str, np.ndarray]]:
    """Returns whether a Predict body is in rows, and its arrays.

    Args:
        document: the parsed body, with exactly one of `instances` and `inputs`.
        kinds: data type of each input of the signature, by alias.

    Returns:
        (rows, arrays): arrays by alias; in rows the first axis is the row.

    Raises:
        ServingError: INVALID_ARGUMENT or UNIMPLEMENTED with TF Serving's text.
    """
    if "instances" in document and "inputs" in document:
        raise malformed(document, BOTH_KEYS)
    if "inputs" in document:
        return False, _columns(document["inputs"], kinds)
    if "instances" not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    instances = document["instances"]
    if not isinstance(instances, list):
        raise malformed(document, "Expecting 'instances' to be an list/array")
    if not instances:
        raise malformed(document, "No values in 'instances' array")
    return True, _rows(instances, kinds)


def _columns(value: Any, kinds: Mapping[str, Kind]) -> dict[str, np.ndarray]:
    if not _named(value):
        if len(kinds) > 1:
            raise invalid("inputs " + PLAIN.format("value/list", "an object"))
        return {alias: decode(value, kind) for alias, kind in kinds.items()}
    for alias in sorted(kinds):
        if alias not in value:
            raise invalid(f"Missing named input: {alias} in 'inputs' object.")
    return {alias: decode(value[alias], kind) for alias, kind in kinds.items()}


def _rows(instances: list[Any], kinds: Mapping[str, Kind]) -> dict[str, np.ndarray]:
    named = _named(instances[0])
    if not named and len(kinds) > 1:
        raise invalid("instances " + PLAIN.format("list", "list of objects"))
    try:
        if not named:
            return {alias: decode(instances, kind) for alias, kind in kinds.items()}
        if all(isinstance(row, dict) and row.keys() == kinds.keys() for row in instances):
            return {alias: decode([row[alias] for row in instances], kind) for alias, kind in kinds.items()}
    except ServingError:
        _blame_row(instances, kinds, named)
        raise
    _blame_row(instances, kinds, named)
    raise invalid("Failed to process 'instances' list.")


def _blame_row(instances: list[Any], kinds: Mapping[str, Kind], named: bool) -> None:
    """Raises for the first element that is wrong by itself or differs from the first in shape."""
    shapes: dict[str, tuple[int, ...]] = {}
    for index, row in enumerate(instances):
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


def encode_outputs(outputs: Mapping[str, np.ndarray], *, rows: bool) -> bytes:
    """Returns the body of a Predict answer.

    Args:
        outputs: arrays by alias; strings as bytes objects.
        rows: `predictions`, one element a row; otherwise `outputs`, one element an output.

    Raises:
        ServingError: INVALID_ARGUMENT where an output has no such form.
    """
    if rows:
        _check_batch(outputs)
    values = {alias: _plain(alias, array) for alias, array in outputs.items()}
    only = next(iter(values.values())) if len(values) == 1 else None
    if not rows:
        return dumps({"outputs": values if only is None else only})
    if only is None:
        only = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return dumps({"predictions": only})


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
