"""TensorProto to NumPy and back, by the rules of TensorFlow's C++ `Tensor::FromProto`.

Works on any message class with TensorProto's fields, so that server and client share it and neither
needs TensorFlow for it.
"""

import math
from typing import Any, NamedTuple

import numpy as np


class Kind(NamedTuple):
    """A data type: its number and name in TensorFlow, its NumPy type and its field in TensorProto."""

    number: int
    name: str
    numpy: np.dtype
    field: str


KINDS = tuple(
    Kind(number, name, np.dtype(numpy), field)
    for number, name, numpy, field in (
        (1, "float", np.float32, "float_val"),
        (2, "double", np.float64, "double_val"),
        (3, "int32", np.int32, "int_val"),
        (4, "uint8", np.uint8, "int_val"),
        (5, "int16", np.int16, "int_val"),
        (6, "int8", np.int8, "int_val"),
        (7, "string", np.object_, "string_val"),
        (9, "int64", np.int64, "int64_val"),
        (10, "bool", np.bool_, "bool_val"),
        (17, "uint16", np.uint16, "int_val"),
        (19, "half", np.float16, "half_val"),
        (22, "uint32", np.uint32, "uint32_val"),
        (23, "uint64", np.uint64, "uint64_val"),
    )
)
BY_NUMBER = {kind.number: kind for kind in KINDS}
BY_NAME = {kind.name: kind for kind in KINDS}
BY_NUMPY = {kind.numpy: kind for kind in KINDS}

# Field number and wire type 2 of the packed fields whose wire form is the array's own bytes.
PACKED_TAGS = {"float": b"\x2a", "double": b"\x32"}


def to_array(proto: Any, *, limit: int) -> np.ndarray:
    """Returns the array a TensorProto stands for.

    No values mean zeros, too few repeat the last one, more than fit are ignored; raw content must have
    exactly the tensor's length.

    Args:
        proto: TensorProto or a message with its fields.
        limit: most bytes the array may take; a tiny message can claim any shape.

    Returns:
        Array of the tensor's shape, read-only where it shares the message's bytes; strings are bytes
        objects in an object array.

    Raises:
        ValueError: the message does not describe a tensor.
    """
    kind = BY_NUMBER.get(proto.dtype)
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if kind is None or proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise ValueError("type or shape of the tensor is not supported")
    count = math.prod(shape)
    if count * kind.numpy.itemsize > limit:
        raise ValueError(f"the tensor takes more than {limit} bytes")
    if proto.tensor_content:
        return _from_content(proto.tensor_content, kind, count).reshape(shape)
    return _from_values(getattr(proto, kind.field), kind, count).reshape(shape)


def _from_content(content: bytes, kind: Kind, count: int) -> np.ndarray:
    if kind.name == "string" or len(content) != count * kind.numpy.itemsize:
        raise ValueError("the tensor's content has another length than its shape")
    return np.frombuffer(content, kind.numpy)


def _from_values(values: Any, kind: Kind, count: int) -> np.ndarray:
    if kind.name == "string":
        given = np.array(values[:count], np.object_)
    elif kind.name == "half":
        given = np.array(values[:count], np.uint16).view(np.float16)
    else:
        # The narrow integers share the int32 field, and C++ narrows them silently.
        held = np.dtype(np.int32) if kind.field == "int_val" else kind.numpy
        given = np.array(values[:count], held).astype(kind.numpy, copy=False)
    if len(given) == count:
        return given
    last = given[-1] if len(given) else (b"" if kind.name == "string" else 0)
    filled = np.full(count, last, kind.numpy)
    filled[: len(given)] = given
    return filled


def fill(proto: Any, array: np.ndarray, *, content: bool) -> None:
    """Writes an array into an empty TensorProto.

    Args:
        proto: TensorProto or a message with its fields.
        array: any shape; strings as bytes objects in an object array.
        content: raw bytes in `tensor_content`, the cheapest; otherwise the typed field, which is what
            TF Serving answers with.

    Raises:
        ValueError: the array's type has no TensorProto form here.
    """
    kind = BY_NUMPY.get(array.dtype)
    if kind is None:
        raise ValueError(f"no tensor type for arrays of {array.dtype}")
    proto.dtype = kind.number
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    if kind.name == "string":
        proto.string_val.extend(array.ravel().tolist())
    elif content:
        proto.tensor_content = array.tobytes()
    elif kind.name in PACKED_TAGS:
        raw = array.tobytes()
        proto.MergeFromString(PACKED_TAGS[kind.name] + _varint(len(raw)) + raw)
    elif kind.name == "half":
        proto.half_val.extend(array.view(np.uint16).ravel().tolist())
    else:
        getattr(proto, kind.field).extend(array.ravel().tolist())


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
