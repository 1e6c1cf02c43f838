"""Large inputs in small requests: how they are cut, and how single examples are gathered."""

import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving.errors import unfit
from serving.inputs import is_arrow, is_frame
from serving.wire import Arrays, SignatureInfo


@dataclass(frozen=True)
class Batching:
    """How inputs travel that are too large for one request.

    Attributes:
        rows: most rows of a request; servers that batch refuse more than their largest batch.
        bytes: most bytes of the arrays of a request; a single row may be larger. JSON takes up to five times as
            much.
        in_flight: most requests at a time.

    Raises:
        ValueError: one of them is less than 1.
    """

    rows: int = 256
    bytes: int = 8 << 20
    in_flight: int = 4

    def __post_init__(self):
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {name}={value}.")


def split(inputs: Arrays, info: SignatureInfo, limits: Batching) -> list[Arrays]:
    """Returns inputs in pieces within the limits, in order; views, not copies.

    What is not row by row, by its shapes or by its signature, stays in one piece. That it is, shapes cannot tell: the
    caller knows that each row is answered by itself.

    Args:
        inputs: an array for each input.
        info: the signature.
        limits: the most a piece may hold.
    """
    count = _rows(inputs, info)
    if not count:
        return [inputs]
    sizes = np.sum([_row_bytes(array) for array in inputs.values()], axis=0)
    if count <= limits.rows and sizes.sum() <= limits.bytes:
        return [inputs]
    cuts = list(_cuts(sizes, limits))
    return [{alias: array[start:end] for alias, array in inputs.items()} for start, end in itertools.pairwise(cuts)]


def _rows(inputs: Arrays, info: SignatureInfo) -> int | None:
    tensors = [*info.inputs.values(), *info.outputs.values()]
    if not all(tensor.shape and tensor.shape[0] == -1 for tensor in tensors):
        return None
    counts = {len(array) if array.ndim else None for array in inputs.values()}
    return counts.pop() if len(counts) == 1 else None


def _row_bytes(array: np.ndarray) -> np.ndarray:
    """Returns the bytes of each row."""
    if array.dtype.kind != "O":
        return np.full(len(array), array.nbytes // len(array))
    lengths = np.fromiter(map(len, array.ravel().tolist()), np.int64, array.size)
    return lengths.reshape(len(array), -1).sum(axis=1)


def _cuts(sizes: np.ndarray, limits: Batching) -> Iterator[int]:
    ends = np.concatenate([[0], np.cumsum(sizes)])
    start = 0
    while start < len(sizes):
        yield start
        full = int(np.searchsorted(ends, ends[start] + limits.bytes, side="right")) - 1
        start = min(max(full, start + 1), start + limits.rows)
    yield len(sizes)


class Gatherer:
    """Gathers single examples, and cuts whole tables and arrays, into what one request can hold.

    Fed item by item, so that the items may come from anything, waited for in any way.

    Args:
        limits: the most a request may hold.
    """

    def __init__(self, limits: Batching):
        self._limits = limits
        self._examples: list[Any] = []
        self._bytes = 0

    def add(self, item: Any) -> Iterator[Any]:
        """Yields the inputs that are complete with one more item: an example, or a table of many."""
        if is_frame(item) or is_arrow(item):
            yield from self.end()
            yield from cut(item, self._limits)
            return
        size = _size(item)
        if self._examples and self._bytes + size > self._limits.bytes:
            yield from self.end()
        self._examples.append(item)
        self._bytes += size
        if len(self._examples) == self._limits.rows:
            yield from self.end()

    def end(self) -> Iterator[Any]:
        """Yields what is left."""
        if self._examples:
            gathered, self._examples, self._bytes = self._examples, [], 0
            yield _columns(gathered) if isinstance(gathered[0], Mapping) else gathered


def is_whole(inputs: Any) -> bool:
    """Whether inputs are many rows in one object, not examples one by one."""
    return isinstance(inputs, np.ndarray | Mapping) or is_frame(inputs) or is_arrow(inputs)


def cut(whole: Any, limits: Batching) -> Iterator[Any]:
    """Yields an array, a table or columns by name in slices; a memory-mapped array is read slice by slice.

    Raises:
        InvalidRequest: columns of different lengths.
    """
    columns = whole.values() if isinstance(whole, Mapping) else [whole]
    counts = {len(column) for column in columns}
    if len(counts) != 1:
        raise unfit("the inputs must have the same number of rows.")
    count = counts.pop()
    held = sum(getattr(column, "nbytes", 0) for column in columns if not is_frame(column))
    step = min(limits.rows, max(1, limits.bytes // max(1, math.ceil(held / max(1, count)))))
    for start in range(0, count, step):
        if isinstance(whole, Mapping):
            yield {name: column[start : start + step] for name, column in whole.items()}
        elif is_arrow(whole):
            yield whole.slice(start, step)
        else:
            yield whole[start : start + step]


def gather(inputs: Iterable[Any], limits: Batching) -> Iterator[Any]:
    """Yields inputs as `cut` does, or gathered from examples that come one by one."""
    if is_whole(inputs):
        yield from cut(inputs, limits)
        return
    gatherer = Gatherer(limits)
    for item in inputs:
        yield from gatherer.add(item)
    yield from gatherer.end()


def _size(item: Any) -> int:
    if isinstance(item, bytes | str):
        return len(item)
    if isinstance(item, os.PathLike):
        try:
            return os.stat(item).st_size
        except OSError as error:
            raise unfit(f"{Path(item)}: cannot be read: {error.strerror}.") from None
    return getattr(item, "nbytes", 0)


def _columns(examples: list[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = examples[0].keys()
    for example in examples:
        if not isinstance(example, Mapping) or example.keys() != names:
            raise unfit(f"every example must have the same inputs: {', '.join(map(str, names))}.")
    return {name: [example[name] for example in examples] for name in names}
