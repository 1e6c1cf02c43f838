"""A JSON value or nest of lists to an array, with TF Serving's checks and words.

The common case, a regular nest of clean values, is packed in one go, a long one in slices; only the slice that
this refuses is walked value by value, to name the first fault in the order TF Serving finds it.
"""

import json
import math
from binascii import a2b_base64
from itertools import chain
from struct import error as StructError
from struct import pack
from typing import Any

import numpy as np

from serving.aside import Pause, no_pause
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
# Letter of a packed number, which refuses what is out of range, and its type.
INTEGERS = {
    **dict.fromkeys(("int32", "int16", "int8", "uint8"), ("i", np.int32)),
    "int64": ("q", np.int64),
    "uint32": ("I", np.uint32),
    "uint64": ("Q", np.uint64),
}
# Letter of a packed number, the integer from which on not every one is exact, and the largest number.
FLOATS = {
    "float": ("f", 2**24, float(np.finfo(np.float32).max)),
    "double": ("d", 2**53, float(np.finfo(np.float64).max)),
}
SLICE = 1 << 14  # leaves converted at a time: less than a millisecond
SMALL = 1 << 11  # the same of strings, which may be long
LONG = 1 << 20  # characters of base64 decoded at a time
TYPE_NAMES = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}


def decode(value: Any, kind: Kind, pause: Pause = no_pause) -> np.ndarray:
    """Returns a value, a list or a regular nest of lists as an array of the given data type.

    Args:
        value: the JSON value.
        kind: data type of the array.
        pause: called between the slices of a long nest.

    Raises:
        ServingError: INVALID_ARGUMENT for a value of another type or a ragged nest, UNIMPLEMENTED for a
            data type that JSON does not carry.
    """
    shape = _shape(value)
    # A value is the only element of a list that nobody sent: level -1.
    array = _slice([value], shape, -1, kind) if _count(shape) <= SLICE else _nest(value, shape, 0, kind, pause)
    return array.reshape(shape)


def _shape(value: Any) -> tuple[int, ...]:
    """Returns the shape that the first elements tell."""
    shape: list[int] = []
    while type(value) is list:
        shape.append(len(value))
        value = value[0] if value else None
    if len(shape) > MAX_RANK:
        raise invalid(f"JSON list is nested {len(shape)} levels deep; at most {MAX_RANK} are supported")
    return tuple(shape)


def _count(shape: tuple[int, ...]) -> int:
    """Returns the number of leaves, or of lists where those are empty."""
    return math.prod(filter(None, shape))


def _nest(value: Any, shape: tuple[int, ...], level: int, kind: Kind, pause: Pause) -> np.ndarray:
    """Returns a long nest flat; it is converted in slices, since one call would hold the interpreter too long."""
    width = _count(shape[level + 1 :])
    if type(value) is not list or len(value) != shape[level]:
        _walk(value, shape, level, kind)
    if width > SLICE:
        return _together([_nest(row, shape, level + 1, kind, pause) for row in value], kind, pause)
    parts, step = [], max((SMALL if kind.name == "string" else SLICE) // width, 1)
    for low in range(0, len(value), step):
        parts.append(_slice(value[low : low + step], shape, level, kind))
        pause()
    return _together(parts, kind, pause)


def _together(parts: list[np.ndarray], kind: Kind, pause: Pause) -> np.ndarray:
    array, low = np.empty(sum(map(len, parts)), kind.numpy), 0
    for part in parts:
        array[low : low + len(part)] = part
        low += len(part)
        pause()
    return array


def _slice(rows: list[Any], shape: tuple[int, ...], level: int, kind: Kind) -> np.ndarray:
    leaves = _leaves(rows, shape[level + 1 :])
    array = None if leaves is None else _convert(leaves, kind)
    if array is None:
        for row in rows:
            _walk(row, shape, level + 1, kind)
        # Nothing wrong: there is nothing, of a type that JSON does not carry.
        array = np.array(leaves, kind.numpy)
    return array


def _leaves(rows: list[Any], shape: tuple[int, ...]) -> list[Any] | None:
    """Returns the leaves of nests, or None where one has not the shape."""
    for width in shape:
        if len(rows) == 1:
            row = rows[0]
            if type(row) is not list or len(row) != width:
                return None
            rows = row
        elif [*map(type, rows)].count(list) != len(rows) or [*map(len, rows)].count(width) != len(rows):
            return None
        else:
            rows = [*chain.from_iterable(rows)]
    return rows


def _convert(leaves: list[Any], kind: Kind) -> np.ndarray | None:
    """Returns the leaves as an array, or None where a look at all together does not show that each one fits."""
    if kind.name == "string":
        return _strings(leaves)
    types = [*map(type, leaves)]
    if kind.name in FLOATS:
        return _floats(leaves, kind, types)
    if kind.name in INTEGERS and types.count(int) == len(leaves):
        letter, held = INTEGERS[kind.name]
        try:
            return np.frombuffer(pack(f"{len(leaves)}{letter}", *leaves), held).astype(kind.numpy, copy=False)
        except StructError:
            return None
    if kind.name == "bool" and types.count(bool) == len(leaves):
        return np.array(leaves, np.bool_)
    return None


def _strings(leaves: list[Any]) -> np.ndarray | None:
    array = np.empty(len(leaves), np.object_)
    try:
        array[:] = [to_bytes(leaf) for leaf in leaves]
    except ServingError:
        return None
    return array


def _integers(leaves: list[Any], kind: Kind, exact: int) -> np.ndarray | None:
    try:
        array = np.frombuffer(pack(f"{len(leaves)}q", *leaves), np.int64)
    except StructError:
        return None
    fits = not leaves or (np.minimum.reduce(array) > -exact and np.maximum.reduce(array) < exact)
    return array.astype(kind.numpy) if fits else None


def _floats(leaves: list[Any], kind: Kind, types: list[type]) -> np.ndarray | None:
    letter, exact, largest = FLOATS[kind.name]
    integral = len(leaves) - types.count(float)
    # Packing would take bools, too.
    if integral and types.count(int) != integral:
        return None
    if integral == len(leaves):
        return _integers(leaves, kind, exact)
    try:
        array = np.frombuffer(pack(f"{len(leaves)}{letter}", *leaves), kind.numpy)
    except (StructError, OverflowError):
        return None
    bound = exact if integral else largest
    # NaN compares false; a number above the largest has become it, or an infinity.
    if np.minimum.reduce(array) > -bound and np.maximum.reduce(array) < bound:
        return array
    # One by one in kind, still all at once: infinities and NaN fit, and large numbers that are no integers.
    integers = np.array([leaf for leaf in leaves if type(leaf) is int], np.float64)
    doubles = np.array(leaves, np.float64)
    fits = (np.abs(integers) < exact).all() and not ((np.abs(doubles) > largest) & np.isfinite(doubles)).any()
    return array if fits else None


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
    elif kind.name not in FLOATS:
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
    if type(leaf) is dict and len(leaf) == 1 and type(text := leaf.get("b64")) is str:
        return _unbase64(text)
    if isinstance(leaf, str):
        try:
            return leaf.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise invalid(f"JSON Value: {shown(leaf)} is not valid Unicode") from None
    if not isinstance(leaf, dict):
        raise _mistyped(leaf, "string")
    raise invalid(f"JSON Value: {shown(leaf)} not formatted correctly for base64 data")


def _unbase64(text: str) -> bytes:
    try:
        # A line's end is taken even in strict mode, but only the last one.
        if len(text) <= LONG and text[-1:] != "\n":
            return a2b_base64(text, strict_mode=True)
    except ValueError:
        pass
    # White space and missing padding are legal for TF Serving, and rare.
    text = "".join(text.split())
    text += "=" * (-len(text) % 4)
    try:
        if "=" in text[:-2]:
            raise ValueError
        return b"".join(a2b_base64(text[low : low + LONG], strict_mode=True) for low in range(0, len(text), LONG))
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
    _, exact, largest = FLOATS[kind.name]
    if abs(number) >= exact if isinstance(number, int) else math.isfinite(number) and abs(number) > largest:
        raise invalid(f"Cannot convert JSON value: {shown(number)} to {kind.name} without loss of precision.")


def type_name(value: Any) -> str:
    """Returns the name that RapidJSON has for the type of a JSON value."""
    return str(value) if isinstance(value, bool) else TYPE_NAMES.get(type(value), "Null")


def _mistyped(value: Any, kind_name: str) -> ServingError:
    return invalid(f"JSON Value: {shown(value)} Type: {type_name(value)} is not of expected type: {kind_name}")
