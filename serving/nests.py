"""A JSON value or nest of lists to an array, with TF Serving's checks and words.

The common case, a regular nest of clean values, is converted by NumPy in one go; only what that refuses
is walked value by value, to name the first fault in the order TF Serving finds it.
"""

import binascii
import json
import math
from itertools import chain
from typing import Any

import numpy as np

from serving.status import Code, ServingError, invalid
from serving.tensors import Kind

MAX_RANK = 32
SHOWN = 1000  # characters of a faulty value that an error message repeats
INT32 = (-(2**31), 2**31 - 1)
RANGES = {
    # The narrow integers are checked as int32 and then narrowed, as in C++.
    **dict.fromkeys(("int32", "int16", "int8", "uint8"), INT32),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
EXACT = {"float": 2**24 - 1, "double": 2**53 - 1}  # every integer up to here is exact
LARGEST = {"float": float(np.finfo(np.float32).max), "double": float(np.finfo(np.float64).max)}
TYPE_NAMES = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}


def decode(value: Any, kind: Kind) -> np.ndarray:
    """Returns a value, a list or a regular nest of lists as an array of the given data type.

    Raises:
        ServingError: INVALID_ARGUMENT for a value of another type or a ragged nest, UNIMPLEMENTED for a
            data type that JSON does not carry.
    """
    shape, leaves = _flatten(value)
    array = None if leaves is None else _convert(leaves, kind)
    if array is None:
        _walk(value, shape, 0, kind)
        # Nothing wrong after all: NaN or an infinity.
        array = np.array(leaves, kind.numpy)
    return array.reshape(shape)


def _flatten(value: Any) -> tuple[tuple[int, ...], list[Any] | None]:
    """Returns the shape told by the first elements, and the leaves (None where the nest is ragged)."""
    shape: list[int] = []
    level, regular = [value], True
    while level and isinstance(level[0], list):
        width = len(level[0])
        shape.append(width)
        regular = regular and all(isinstance(item, list) and len(item) == width for item in level)
        level = list(chain.from_iterable(level)) if regular else level[0]
    if len(shape) > MAX_RANK:
        raise invalid(f"JSON list is nested {len(shape)} levels deep; at most {MAX_RANK} are supported")
    return tuple(shape), level if regular else None


def _convert(leaves: list[Any], kind: Kind) -> np.ndarray | None:
    """Returns the leaves as an array, or None where a look at all together does not show that each one fits."""
    if kind.name == "string":
        return np.array([to_bytes(leaf) for leaf in leaves], np.object_)
    types = set(map(type, leaves))
    if kind.name == "bool":
        return np.array(leaves, np.bool_) if types <= {bool} else None
    if kind.name in RANGES:
        bounds, held = RANGES[kind.name], np.uint64 if kind.name == "uint64" else np.int64
        fits = types <= {int}
    elif kind.name in EXACT:
        largest = (EXACT if int in types else LARGEST)[kind.name]
        bounds, held = (-largest, largest), np.float64
        fits = types <= {int, float}
    else:
        return None
    return _within(leaves, held, bounds, kind) if fits else None


def _within(leaves: list[Any], held: Any, bounds: tuple[float, float], kind: Kind) -> np.ndarray | None:
    try:
        array = np.fromiter(leaves, held, len(leaves))
    except OverflowError:
        return None
    low, high = bounds
    # NaN compares false.
    within = not leaves or (array.min() >= low and array.max() <= high)
    return array.astype(kind.numpy, copy=False) if within else None


def _walk(value: Any, shape: tuple[int, ...], level: int, kind: Kind) -> None:
    """Raises for the first fault of a nest, depth first."""
    if not isinstance(value, list):
        if level != len(shape):
            where = f"found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {len(shape)}"
            raise invalid(f"JSON Value: {shown(value)} {where}")
        _check_leaf(value, kind)
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        found = f"{len(value)} at level: {level} expected size: {shape[level]}"
        raise invalid(f"Encountered list at unexpected size: {found}")
    for item in value:
        _walk(item, shape, level + 1, kind)


def _check_leaf(leaf: Any, kind: Kind) -> None:
    if kind.name == "string":
        to_bytes(leaf)
    elif isinstance(leaf, dict):
        raise _mistyped(leaf, kind.name)
    elif kind.name in RANGES:
        low, high = RANGES[kind.name]
        if type(leaf) is not int or not low <= leaf <= high:
            raise _mistyped(leaf, kind.name)
    elif kind.name == "bool":
        if type(leaf) is not bool:
            raise _mistyped(leaf, kind.name)
    elif kind.name not in EXACT:
        raise ServingError(Code.UNIMPLEMENTED, f"Conversion of JSON Value: {shown(leaf)} to type: {kind.name}")
    elif type(leaf) not in (int, float):
        raise _mistyped(leaf, kind.name)
    else:
        check_lossless(leaf, kind)


def to_bytes(leaf: Any) -> bytes:
    """Returns the bytes that a JSON value stands for: a string's own, or those of `{"b64": "..."}`.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if isinstance(leaf, str):
        try:
            return leaf.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise invalid(f"JSON Value: {shown(leaf)} is not valid Unicode") from None
    if not isinstance(leaf, dict):
        raise _mistyped(leaf, "string")
    if not is_base64(leaf):
        raise invalid(f"JSON Value: {shown(leaf)} not formatted correctly for base64 data")
    return _unbase64(leaf["b64"])


def _unbase64(text: str) -> bytes:
    try:
        # White space and missing padding are legal for TF Serving, and rare enough to cost nothing here.
        if text.isascii() and len(text) % 4 == 0 and not text.endswith("\n"):
            return binascii.a2b_base64(text, strict_mode=True)
        text = "".join(text.split())
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        raise invalid("Unable to base64 decode") from None


def is_base64(value: Any) -> bool:
    """Whether a JSON value is the object that stands for bytes."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def shown(value: Any) -> str:
    """Returns a JSON value for an error message, cut where it grows long."""
    text = ""
    # Chunk by chunk: a whole body of many megabytes must not be written to show its beginning.
    for chunk in json.JSONEncoder(indent=4, ensure_ascii=False).iterencode(value):
        text += chunk
        if len(text) > SHOWN:
            return text[:SHOWN] + "..."
    return text


def check_lossless(number: float, kind: Kind) -> None:
    """Refuses a number that a floating-point type cannot hold: an inexact integer, a finite one out of range.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if isinstance(number, int):
        held = abs(number) <= EXACT[kind.name]
    else:
        held = not math.isfinite(number) or abs(number) <= LARGEST[kind.name]
    if not held:
        raise invalid(f"Cannot convert JSON value: {shown(number)} to {kind.name} without loss of precision.")


def type_name(value: Any) -> str:
    """Returns the name that RapidJSON has for the type of a JSON value."""
    return str(value) if isinstance(value, bool) else TYPE_NAMES.get(type(value), "Null")


def _mistyped(value: Any, kind_name: str) -> ServingError:
    return invalid(f"JSON Value: {shown(value)} Type: {type_name(value)} is not of expected type: {kind_name}")
