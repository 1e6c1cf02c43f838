"""TensorProto to NumPy and back, by the rules of TensorFlow's C++ `Tensor::FromProto`.

Works on any message class with TensorProto's fields, so that server and client share it and neither
needs TensorFlow for it.
"""

import itertools
import math
from typing import Any, NamedTuple

import ml_dtypes
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
        (8, "complex64", np.complex64, "scomplex_val"),
        (9, "int64", np.int64, "int64_val"),
        (10, "bool", np.bool_, "bool_val"),
        # As TensorFlow's own Python has them; its sessions tell them from plain integers by the field's name.
        (11, "qint8", [("qint8", np.int8)], "int_val"),
        (12, "quint8", [("quint8", np.uint8)], "int_val"),
        (13, "qint32", [("qint32", np.int32)], "int_val"),
        (14, "bfloat16", ml_dtypes.bfloat16, "half_val"),
        (15, "qint16", [("qint16", np.int16)], "int_val"),
        (16, "quint16", [("quint16", np.uint16)], "int_val"),
        (17, "uint16", np.uint16, "int_val"),
        (18, "complex128", np.complex128, "dcomplex_val"),
        (19, "half", np.float16, "half_val"),
        (22, "uint32", np.uint32, "uint32_val"),
        (23, "uint64", np.uint64, "uint64_val"),
    )
)
# What the values of a field are held as on their way to an array of the type: C++ narrows and pairs them silently.
HELD = {
    "int_val": np.dtype(np.int32),
    "half_val": np.dtype(np.int32),
    "scomplex_val": np.dtype(np.float32),
    "dcomplex_val": np.dtype(np.float64),
}
BY_NUMBER = {kind.number: kind for kind in KINDS}
BY_NAME = {kind.name: kind for kind in KINDS}
BY_NUMPY = {kind.numpy: kind for kind in KINDS}

WRONG_LENGTH = "the tensor's content has another length than its shape"
# Field number and wire type 2 of the packed fields whose wire form is the array's own bytes.
PACKED_TAGS = {"float": b"\x2a", "double": b"\x32"}


def to_array(proto: Any, *, limit: int) -> np.ndarray:
    """Returns the array a TensorProto stands for.

    No values mean zeros, too few repeat the last one, more than fit are ignored; raw content must have
    exactly the tensor's length, where the tensor holds anything.

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
    if proto.tensor_content and count:
        return _from_content(proto.tensor_content, kind, count).reshape(shape)
    return _from_values(getattr(proto, kind.field), kind, count).reshape(shape)


def _from_content(content: bytes, kind: Kind, count: int) -> np.ndarray:
    if kind.name == "string":
        return _strings_from(content, count)
    if len(content) != count * kind.numpy.itemsize:
        raise ValueError(WRONG_LENGTH)
    return np.frombuffer(content, kind.numpy)


def _strings_from(content: bytes, count: int) -> np.ndarray:
    """Returns strings of their lengths as varints, followed by all their bytes."""
    if count > len(content):
        raise ValueError(WRONG_LENGTH)
    lengths, start = [], 0
    for _ in range(count):
        length, start = _read_varint(content, start)
        lengths.append(length)
    ends = list(itertools.accumulate(lengths, initial=start))
    if ends[-1] != len(content):
        raise ValueError(WRONG_LENGTH)
    strings = np.empty(count, np.object_)
    strings[:] = [content[low:high] for low, high in itertools.pairwise(ends)]
    return strings


def _read_varint(content: bytes, start: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(content[start : start + 5]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value & 0xFFFFFFFF, start + index + 1
    raise ValueError(WRONG_LENGTH)


def _from_values(values: Any, kind: Kind, count: int) -> np.ndarray:
    given = _given(values, kind, count)
    if len(given) == count:
        return given
    last = given[-1] if len(given) else (b"" if kind.name == "string" else 0)
    filled = np.full(count, last, kind.numpy)
    filled[: len(given)] = given
    return filled


def _given(values: Any, kind: Kind, count: int) -> np.ndarray:
    held = HELD.get(kind.field, kind.numpy)
    if kind.numpy.kind == "c":
        return np.array(values[: len(values) // 2 * 2][: 2 * count], held).view(kind.numpy)
    given = np.array(values[:count], held)
    if kind.field == "half_val":
        return given.astype(np.uint16).view(kind.numpy)
    return given.astype(_plain(kind.numpy), copy=False).view(kind.numpy) if kind.name != "string" else given


def _plain(dtype: np.dtype) -> np.dtype:
    """Returns the integers that a quantized type is made of; of others, the type itself."""
    return dtype[0] if dtype.names else dtype


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
    elif kind.field == "half_val":
        proto.half_val.extend(array.ravel().view(np.uint16).tolist())
    elif kind.numpy.kind == "c":
        getattr(proto, kind.field).extend(array.ravel().view(HELD[kind.field]).tolist())
    else:
        getattr(proto, kind.field).extend(array.ravel().view(_plain(kind.numpy)).tolist())


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
