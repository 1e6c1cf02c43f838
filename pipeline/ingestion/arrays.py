"""Sources that are arrays: one row an example, with arrays of labels and other roles beside it."""

import abc
from collections.abc import Iterator
from typing import Any

import numpy as np

from models.errors import InputError
from models.features.spec import IMAGE, VECTOR, FeatureSpec
from pipeline.ingestion.source import Record, Shard, Source
from pipeline.ingestion.values import class_texts, target_values, text

EXAMPLES = "examples"
"""Key of the rows themselves in a block; labels and other roles come under their feature keys."""

Block = dict[str, np.ndarray]


class ArraySource(Source):
    """A source whose shards are blocks of rows; subclasses say where the blocks come from."""

    @abc.abstractmethod
    def blocks(self, shard: Shard) -> Iterator[Block]:
        """Yields consecutive rows of one shard: `EXAMPLES` and whatever roles there are, all equally long."""

    def read(self, shard: Shard) -> Iterator[Record]:
        """Yields the examples of one shard."""
        start = shard.start
        for block in self.blocks(shard):
            yield from self._records(block, shard, start)
            start += len(block[EXAMPLES])

    def _records(self, block: Block, shard: Shard, start: int) -> Iterator[Record]:
        spec, missing = self.spec, self.data.missing
        key = IMAGE if spec.kind == "image" else VECTOR
        rows = to_rows(block[EXAMPLES], spec, what=self.array_name(shard), start=start)
        columns: dict[str, list[Any]] = {}
        for role in ("label", "sensitive"):
            name = getattr(spec, role)
            if name in block:
                columns[name] = class_texts(block[name], role=role, what=f"array {name!r}", missing=missing)
        columns |= {name: block[name].tolist() for name in spec.factors if name in block}
        for target in spec.targets:
            if (name := target.name) in block:
                what = f"array {name!r}"
                columns[name] = target_values(block[name], target, what=what, missing=missing, start=start)
        columns[spec.id] = self._ids(block.get(spec.id), shard, range(start, start + len(rows)))
        for i, row in enumerate(rows):
            record = {name: values[i] for name, values in columns.items() if values[i] is not None}
            yield {key: row, **record}

    def _ids(self, named: np.ndarray | None, shard: Shard, rows: range) -> list[str]:
        if named is None:
            prefix = f"{shard.name}-" if shard.name else ""
            return [f"{prefix}{row}" for row in rows]
        texts = [text(value) for value in named.tolist()]
        if "" in texts:
            row = rows[texts.index("")]
            raise InputError(f"data.id: {self.name} has an empty id in row {row}. Fill it in.")
        return texts

    def labelled(self, rows: np.ndarray, labels: np.ndarray) -> Block:
        """Returns a block of rows with their labels, or without where the spec has no label."""
        label = self.spec.label
        return {EXAMPLES: rows, label: labels} if label else {EXAMPLES: rows}

    def array_name(self, shard: Shard) -> str:
        """Returns what messages call the rows of a shard."""
        return f"{self.name} ({shard.name})" if shard.name else self.name


def row_spec(shape: tuple[int, ...], dtype: np.dtype, *, what: str) -> dict[str, Any]:
    """Returns kind, shape and dtype of a `FeatureSpec` for an array of examples, as keyword arguments.

    Args:
        shape: the array's shape, [examples, ...].
        dtype: its element type.
        what: what messages call the array.

    Raises:
        InputError: if an array of that shape or type cannot hold images or vectors.
    """
    if len(shape) not in (2, 3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
        raise InputError(
            f"{what} has shape {shape}. Vectors need (examples, width), images (examples, height, width) or "
            "(examples, height, width, channels) with 1 or 3 channels."
        )
    if 0 in shape:
        raise InputError(f"{what} is empty: its shape is {shape}. Save at least one example in it.")
    if dtype.kind not in "biuf":
        raise InputError(f"{what} holds {dtype}, not numbers. Save it as uint8 or float32.")
    if len(shape) == 2:
        return {"kind": "vector", "shape": shape[1:], "dtype": "float32"}
    if dtype.kind in "iu" and dtype != np.uint8:
        raise InputError(
            f"{what} holds {dtype} images. Save 0 to 255 as uint8, or scale to 0 to 1 and save as float32."
        )
    event = shape[1:] if len(shape) == 4 else (*shape[1:], 1)
    return {"kind": "image", "shape": event, "dtype": "float32" if dtype.kind == "f" else "uint8"}


def to_rows(block: np.ndarray, spec: FeatureSpec, *, what: str, start: int = 0) -> np.ndarray:
    """Returns a block of rows in the spec's shape and type: [rows, *shape], uint8 or float32.

    Args:
        block: consecutive rows; boolean images become 0 and 255.
        spec: what each row must be.
        what: what messages call the array.
        start: index of the first row.

    Raises:
        InputError: if a row holds NaN or infinity, or a float image leaves 0 to 1.
    """
    if spec.kind == "image" and spec.dtype == "uint8":
        pixels = block.astype(np.uint8) * 255 if block.dtype == bool else block
        return pixels.reshape(-1, *spec.shape)
    rows = block.astype(np.float32).reshape(-1, *spec.shape)
    flat = rows.reshape(len(rows), -1)
    bad = ~np.isfinite(flat).all(axis=1)
    if bad.any():
        row = start + int(bad.argmax())
        raise InputError(f"{what} holds NaN or infinity in row {row}. Fill such rows in, or leave them out.")
    outside = (flat.min(axis=1) < 0) | (flat.max(axis=1) > 1)
    if spec.kind == "image" and outside.any():
        row = start + int(outside.argmax())
        raise InputError(f"{what} leaves the range 0 to 1 in row {row}. Scale float images to 0 to 1.")
    return rows
