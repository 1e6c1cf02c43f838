"""What a caller has, as the arrays a signature takes: arrays, lists, tables by column, files."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from serving.errors import unfit
from serving.tensors import Kind
from serving.wire import SignatureInfo

EMBED, EMBED_BYTES = "embed", "embed_bytes"
LOSSY = {"float", "double", "half", "bfloat16", "complex64", "complex128"}


def signature_for(inputs: Any) -> str:
    """Returns the signature that embeds inputs: `embed_bytes` for a list of image files, else `embed`."""
    files = isinstance(inputs, list | tuple) and bool(inputs) and isinstance(inputs[0], bytes | os.PathLike)
    return EMBED_BYTES if files else EMBED


def is_frame(value: Any) -> bool:
    """Whether a value is a pandas DataFrame; a caller who has one has imported pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def is_arrow(value: Any) -> bool:
    """Whether a value is an Arrow Table or RecordBatch."""
    arrow = sys.modules.get("pyarrow")
    return arrow is not None and isinstance(value, arrow.Table | arrow.RecordBatch)


def to_arrays(inputs: Any, signature: str, info: SignatureInfo) -> dict[str, np.ndarray]:
    """Returns the inputs of a signature as arrays of its types.

    Args:
        inputs: a value by input name, or the value of the only input: arrays or nested lists, rows first,
            strings as bytes, str or paths of files to read. Or a DataFrame, Table or RecordBatch with a column
            for each input; other columns are left alone. There, a missing number is NaN, a missing text is "",
            and numbers for a text input become text as in training.
        signature: its name, for messages.
        info: its inputs.

    Raises:
        InvalidRequest: an input is absent or unknown, or holds what its type cannot.
    """
    if is_frame(inputs) or is_arrow(inputs):
        from serving.tables import columns

        inputs = columns(inputs, signature, info)
    elif not isinstance(inputs, Mapping):
        if len(info.inputs) != 1:
            raise unfit(f"signature {signature} has several inputs, by name: {', '.join(info.inputs)}.")
        inputs = {next(iter(info.inputs)): inputs}
    if inputs.keys() != info.inputs.keys():
        raise unfit(f"signature {signature} takes {', '.join(info.inputs)}. Received: {', '.join(map(str, inputs))}.")
    return {alias: _array(alias, inputs[alias], tensor.kind) for alias, tensor in info.inputs.items()}


def _array(alias: str, value: Any, kind: Kind) -> np.ndarray:
    """Returns a value as an array of a type, refusing what the type cannot hold."""
    if kind.name == "string":
        return _strings(alias, np.array(value, np.object_))
    try:
        given = np.asarray(value)
    except ValueError as error:
        raise unfit(f"input {alias} is not an array: {error}.") from None
    array = _cast(given, kind)
    # Floats may lose digits, as everywhere; integers must be what was given.
    if array is None or (kind.name not in LOSSY and array is not given and not np.array_equal(array, given)):
        raise unfit(f"input {alias} takes values of type {kind.name}. Received: {given.dtype} values that do not fit.")
    return array


def _cast(given: np.ndarray, kind: Kind) -> np.ndarray | None:
    """Returns an array as one of another type, None where there is no such step between the two types at all."""
    numbers = "biufc" if kind.numpy.kind == "c" else "biuf"
    if given.dtype != kind.numpy and (given.dtype.kind not in numbers or kind.numpy.names):
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        return given.astype(kind.numpy, order="C", copy=False)


def _strings(alias: str, array: np.ndarray) -> np.ndarray:
    flat = [_bytes(alias, value) for value in array.ravel().tolist()]
    strings = np.empty(len(flat), np.object_)
    strings[:] = flat
    return strings.reshape(array.shape)


def _bytes(alias: str, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, os.PathLike):
        raise unfit(f"input {alias} takes bytes or str.")
    try:
        return Path(value).read_bytes()
    except OSError as error:
        raise unfit(f"{value}: cannot be read: {error.strerror}.") from None
