"""What an index says about itself, and where its parts lie."""

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from components.records import read_record
from models.errors import InputError

VERSION = 2
RECORD_FILE, VECTORS_FILE, ROWS_FILE = "index.json", "vectors.faiss", "rows.parquet"

Metric = Literal["euclidean", "cosine"]
Kind = Literal["flat", "hnsw", "ivf"]


@dataclass(frozen=True)
class Record:
    """The versioned index.json.

    Args:
        schema: version of this format.
        space: id of the embedding space.
        count: number of embeddings.
        dimension: width of a code.
        metric: what distances are.
        kind: `flat` (exact), `hnsw` or `ivf` (both approximate).
        source: the file or folder that was indexed.
        digest: SHA-256 of its files, in their order.
        parts: SHA-256 of the index's other files, by name.
        faiss: version of the library.
        metaprior: version of this program.
    """

    schema: Literal[2]
    space: str
    count: int
    dimension: int
    metric: Metric
    kind: Kind
    source: str
    digest: str
    parts: dict[str, str]
    faiss: str
    metaprior: str


_ADAPTER = TypeAdapter(Record)


def write_record(record: Record, folder: Path) -> None:
    """Writes `index.json` into a folder."""
    (folder / RECORD_FILE).write_bytes(_ADAPTER.dump_json(record, indent=1) + b"\n")


def digests(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of the parts of an index, by name.

    Raises:
        OSError: if one of them cannot be read.
    """
    return {name: _sha256(folder / name) for name in (VECTORS_FILE, ROWS_FILE)}


def check_parts(record: Record, folder: Path) -> None:
    """Refuses an index one of whose parts is gone, or other than it was written.

    Raises:
        InputError: with its path.
    """
    for name in (VECTORS_FILE, ROWS_FILE):
        try:
            same = _sha256(folder / name) == record.parts.get(name)
        except OSError as error:
            raise InputError(f"{folder / name}: cannot be read. Index the embeddings again.") from error
        if not same:
            raise InputError(f"{folder / name}: is not as it was written. Index the embeddings again.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_index_record(folder: Path) -> Record:
    """Reads and validates the `index.json` of an index.

    Raises:
        InputError: if there is none, or it is not of this version.
    """
    missing = "`metaprior index` makes the folder of an index; name that."
    return read_record(_ADAPTER, folder / RECORD_FILE, missing=missing, again="Index the embeddings again.")
