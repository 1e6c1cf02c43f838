"""The rows of an Embeddings artifact: streamed, or gathered for a few chosen ids."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.errors import InputError
from models.features.spec import FeatureSpec

BATCH = 4096
SPLIT = "Split-"
USUAL = ("train", "eval", "test")

Read = Callable[[pa.RecordBatch, str, str], np.ndarray]


class NotFiniteError(InputError):
    """A value of the rows is missing or not finite."""


@dataclass(frozen=True)
class Header:
    """What every file says about the model that wrote it (its `metaprior` metadata).

    Args:
        space: id of the embedding space.
        recipe: name of the recipe.
        parameters: the recipe's parameters.
        objective: the objective in one line.
        latent: width of a code.
        spec: what the data looks like.
        explains: what the distortion is of: the example, or its label.
    """

    space: str
    recipe: str
    parameters: dict[str, Any]
    objective: str
    latent: int
    spec: FeatureSpec
    explains: Literal["x", "label"] = "x"


def splits(root: Path) -> dict[str, int]:
    """Returns the number of examples of every split, counted from the files' footers."""
    names = {path.name.removeprefix(SPLIT) for path in root.glob(f"{SPLIT}*")}
    ordered = [name for name in USUAL if name in names] + sorted(names.difference(USUAL))
    return {name: sum(pq.read_metadata(path).num_rows for path in _files(root, name, "embeddings")) for name in ordered}


def header(root: Path) -> Header:
    """Returns what the files say about their model.

    Raises:
        InputError: if there are no files, or they do not say.
    """
    path = next(iter(sorted(root.glob(f"{SPLIT}*/embeddings-*.parquet"))), None)
    if path is None:
        raise InputError(f"{root}: no embeddings-*.parquet in any split. Embed the data again.")
    metadata = pq.read_schema(path).metadata or {}
    if b"metaprior" not in metadata:
        raise InputError(f"{path}: no `metaprior` metadata. Write the file with the embedder.")
    facts = json.loads(metadata[b"metaprior"])
    facts["spec"] = FeatureSpec.from_json(json.dumps(facts["spec"]))
    return Header(**{field.name: facts[field.name] for field in dataclasses.fields(Header) if field.name in facts})


def stream(root: Path, split: str, prefix: str, columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    """Yields the rows of one split in batches of at most 4,096, in the order of the files.

    Args:
        root: folder of the artifact.
        split: name of the split.
        prefix: `embeddings` or `baselines`.
        columns: the columns to read.
    """
    for path in _files(root, split, prefix):
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(BATCH, columns=list(columns))


def columns(root: Path, split: str, prefix: str) -> list[str]:
    """Returns the names of the columns that the files of one split have; none without files."""
    files = _files(root, split, prefix)
    return pq.read_schema(files[0]).names if files else []


def matrix(batch: pa.RecordBatch, column: str, split: str) -> np.ndarray:
    """Returns a list column as an array, [rows, width].

    Raises:
        InputError: if lists differ in width.
        NotFiniteError: if a value is missing or not finite.
    """
    lists = batch.column(column)
    widths = pc.unique(pc.list_value_length(lists)).to_pylist()
    if len(widths) != 1 or None in widths:
        raise InputError(f"Split {split!r}: lists of column {column!r} differ in width. Embed the data again.")
    values = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(batch), widths[0])
    return _finite(values, batch, column=column, split=split)


def scalars(batch: pa.RecordBatch, column: str, split: str) -> np.ndarray:
    """Returns a number column as an array, [rows].

    Raises:
        NotFiniteError: if a value is missing or not finite.
    """
    values = batch.column(column).to_numpy(zero_copy_only=False)
    return _finite(values, batch, column=column, split=split)


def gather(root: Path, split: str, *, prefix: str, column: str, ids: list[str]) -> np.ndarray:
    """Returns a list column of the rows with the given ids, in their order, [ids, width].

    Raises:
        InputError: if an id is not there.
        NotFiniteError: if a value is not finite.
    """
    return gathered(root, split, prefix, column, ids=ids, read=matrix)


def gather_scalars(root: Path, split: str, column: str, *, ids: list[str]) -> np.ndarray:
    """Returns a number column of the embeddings with the given ids, in their order, [ids].

    Raises:
        InputError: if an id is not there.
        NotFiniteError: if a value is not finite.
    """
    return gathered(root, split, "embeddings", column, ids=ids, read=scalars)


def gathered(root: Path, split: str, prefix: str, column: str, *, ids: list[str], read: Read) -> np.ndarray:
    """Returns what `read` makes of a column of the rows with the given ids, in their order, [ids, ...].

    Raises:
        InputError: if an id is not there.
        NotFiniteError: if a value is not finite.
    """
    places = {id: place for place, id in enumerate(ids)}
    found = np.zeros(len(ids), bool)
    values = np.empty((len(ids), 0), np.float32)
    for batch in stream(root, split, prefix, ("id", column)):
        here = np.array([places.get(id, -1) for id in batch.column("id").to_pylist()])
        kept = np.flatnonzero(here >= 0)
        if not len(kept):
            continue
        rows = read(batch.take(pa.array(kept)), column, split)
        if not found.any():
            values = np.empty((len(ids), *rows.shape[1:]), np.float32)
        values[here[kept]] = rows
        found[here[kept]] = True
    if not found.all():
        raise InputError(
            f"Split {split!r}: {np.sum(~found):,} of {len(ids):,} examples are not among the {prefix}, such as "
            f"{ids[int(np.argmin(found))]!r}. Embed the same data again."
        )
    return values


def _files(root: Path, split: str, prefix: str) -> list[Path]:
    return sorted((root / f"{SPLIT}{split}").glob(f"{prefix}-*.parquet"))


def _finite(values: np.ndarray, batch: pa.RecordBatch, *, column: str, split: str) -> np.ndarray:
    bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if bad.any():
        id = batch.column("id")[int(np.argmax(bad))].as_py()
        raise NotFiniteError(
            f"Split {split!r}: {column} of example {id!r} is not finite. Train again with a lower "
            "training.learning_rate, and look for extreme values in the data."
        )
    return values
