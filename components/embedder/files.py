"""Parquet files of embeddings, whoever wrote them: the Embedder, `metaprior embed` or a server's request log."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.errors import InputError

BATCH = 4096
EMBEDDING, RATE, ID = "embedding", "rate", "id"
BESIDE = ("baselines-", "measures-", ".")
"""What a split's folder holds beside its embeddings, and files that are still being written."""


@dataclass(frozen=True)
class Embeddings:
    """Files of one embedding space.

    Args:
        place: the file or folder they were found in.
        files: the files, in order.
        space: id of the space.
        latent: width of a code.
        columns: names of the columns that every file has.
        elsewhere: number of files of other spaces that were found there, by space.
    """

    place: Path
    files: tuple[Path, ...]
    space: str
    latent: int
    columns: tuple[str, ...]
    elsewhere: dict[str, int]

    def stream(self, columns: Sequence[str]) -> Iterator[tuple[Path, pa.RecordBatch]]:
        """Yields every row in batches of at most 4,096, each with the file it is from.

        A request log removes its oldest files when its disk is used up; one that went since it was found is
        passed over.

        Args:
            columns: the columns to read.

        Raises:
            InputError: if a file has no such column, or cannot be read.
        """
        for path in self.files:
            with contextlib.suppress(FileNotFoundError), _readable(path), pq.ParquetFile(path) as file:
                absent = [name for name in columns if name not in file.schema_arrow.names]
                if absent:
                    raise InputError(
                        f"{path}: has no column {absent[0]}. It must hold embeddings as `metaprior embed` writes them."
                    )
                for batch in file.iter_batches(BATCH, columns=list(columns)):
                    yield path, batch


def read_all(place: Path) -> dict[str, Embeddings]:
    """Finds the embeddings in a file, or in a folder and the folders in it, by space.

    Args:
        place: a Parquet file, or a folder: a split, a request log, any folder of such files.

    Raises:
        InputError: if there are none, or a file does not say which space it is of.
    """
    if not place.exists():
        raise InputError(f"{place}: no such file or folder. Check the path.")
    paths = [place] if place.is_file() else [p for p in sorted(place.rglob("*.parquet")) if _holds_embeddings(p)]
    found: dict[str, list[Path]] = {}
    latent: dict[str, int] = {}
    columns: dict[str, tuple[str, ...]] = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # as of `stream`
            space, width, names = _facts(path)
            found.setdefault(space, []).append(path)
            latent[space] = width
            columns[space] = tuple(name for name in columns.get(space, names) if name in names)
    if not found:
        raise InputError(f"{place}: holds no Parquet file of embeddings. `metaprior embed` writes one.")
    counts = {space: len(files) for space, files in found.items()}
    return {
        space: Embeddings(
            place,
            tuple(files),
            space,
            latent=latent[space],
            columns=columns[space],
            elsewhere={other: count for other, count in counts.items() if other != space},
        )
        for space, files in found.items()
    }


def read(place: Path) -> Embeddings:
    """Finds the embeddings in a file or folder, as `read_all` does.

    Raises:
        InputError: as of `read_all`, or if they are of several spaces.
    """
    found = read_all(place)
    if len(found) > 1:
        raise InputError(f"{place}: holds embeddings of several spaces: {', '.join(sorted(found))}. Name files of one.")
    return next(iter(found.values()))


def matrix(batch: pa.RecordBatch, latent: int, path: Path) -> np.ndarray:
    """Returns the codes of a batch, [rows, latent]; what is missing in one is NaN.

    Raises:
        InputError: if a code has another width.
    """
    codes = batch.column(EMBEDDING)
    widths = pc.unique(pc.list_value_length(codes)).to_pylist()
    if widths != [latent]:
        raise InputError(f"{path}: has embeddings that are not of width {latent}. Embed the data again.")
    return codes.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(batch), latent)


def _holds_embeddings(path: Path) -> bool:
    return not path.name.startswith(BESIDE)


def _facts(path: Path) -> tuple[str, int, tuple[str, ...]]:
    with _readable(path):
        schema = pq.read_schema(path)
    facts = json.loads((schema.metadata or {}).get(b"metaprior", b"{}"))
    if not {"space", "latent"} <= facts.keys():
        raise InputError(f"{path}: does not say which space it is of. `metaprior embed` and the Embedder write that.")
    return facts["space"], facts["latent"], tuple(schema.names)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not a Parquet file that can be read. Write it again.") from error
