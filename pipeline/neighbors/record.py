"""What an index says about itself, and where its parts lie."""

from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from components.records import read_record

VERSION = 1
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
        faiss: version of the library.
        metaprior: version of this program.
    """

    schema: Literal[1]
    space: str
    count: int
    dimension: int
    metric: Metric
    kind: Kind
    source: str
    digest: str
    faiss: str
    metaprior: str


_ADAPTER = TypeAdapter(Record)


def write_record(record: Record, folder: Path) -> None:
    """Writes `index.json` into a folder."""
    (folder / RECORD_FILE).write_bytes(_ADAPTER.dump_json(record, indent=1) + b"\n")


def read_index_record(folder: Path) -> Record:
    """Reads and validates the `index.json` of an index.

    Raises:
        InputError: if there is none, or it is not of this version.
    """
    missing = "`metaprior index` makes the folder of an index; name that."
    return read_record(_ADAPTER, folder / RECORD_FILE, missing=missing, again="Index the embeddings again.")
