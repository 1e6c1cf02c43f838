"""Makes an index of embeddings: read in batches, written whole or not at all."""

import contextlib
import hashlib
import math
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.embedder.files import EMBEDDING, ID, Embeddings, matrix, read
from models.atomic import placed
from models.errors import InputError
from pipeline.failures import disk
from pipeline.neighbors.record import (
    RECORD_FILE,
    ROWS_FILE,
    VECTORS_FILE,
    VERSION,
    Kind,
    Metric,
    Record,
    digests,
    write_record,
)
from pipeline.neighbors.vectors import fault, scaled

FLAT_UP_TO, HNSW_UP_TO = 200_000, 1_000_000
LINKS, CONSTRUCTION, SEARCH = 32, 100, 128
"""Of HNSW: links of a node, and how many candidates are looked at when one is added and when one is asked for."""
CELLS, TRAINED_BY, PROBED = 4, 64, 32
"""Of IVF: cells for each root of the count, embeddings for each cell that it is found by, cells that are searched."""
LABEL = "label"


def chosen(count: int) -> Kind:
    """Returns the kind of index that suits a number of embeddings.

    Up to 200,000 an exact search takes milliseconds; up to 1,000,000 there is memory for the links of HNSW (some 270
    bytes for each embedding), which finds most; beyond, IVF needs none.
    """
    if count <= FLAT_UP_TO:
        return "flat"
    return "hnsw" if count <= HNSW_UP_TO else "ivf"


def build(source: Path, target: Path, *, metric: Metric, kind: Kind | None = None) -> Record:
    """Indexes every embedding of a file or folder.

    Memory holds the index and one batch of rows. A file that goes meanwhile, as a request log's oldest do, is
    passed over.

    Args:
        source: a Parquet file or a folder of embeddings of one space.
        target: the folder of the index; an index that stands there is replaced.
        metric: what distances are.
        kind: of index; None for what suits the number of embeddings.

    Returns:
        What the index says about itself.

    Raises:
        InputError: if the source cannot be indexed, or the target cannot be written.
    """
    if target.exists() and not (target / RECORD_FILE).is_file():
        raise InputError(f"{target}: is there already and is no index. Choose another path.")
    embeddings = read(source)
    count = sum(map(_count, embeddings.files))
    if not count:
        raise InputError(f"{source}: has no rows to index. Embed some data first.")
    kind = kind or chosen(count)
    index = _empty(kind, count, embeddings.latent)
    if not index.is_trained:
        _train(index, embeddings, metric, count)
    try:
        with placed(target) as folder:
            folder.mkdir()
            digest = _fill(index, embeddings, metric, folder / ROWS_FILE)
            _write(index, folder / VECTORS_FILE)
            record = Record(
                schema=VERSION,
                space=embeddings.space,
                count=index.ntotal,
                dimension=embeddings.latent,
                metric=metric,
                kind=kind,
                source=str(source),
                digest=digest,
                parts=digests(folder),
                faiss=metadata.version("faiss-cpu"),
                metaprior=metadata.version("metaprior"),
            )
            write_record(record, folder)
    except OSError as error:
        what, remedy = disk(error) or (error.strerror, "make it writable")
        raise InputError(f"{target}: cannot write there: {what}. Choose another path, or {remedy}.") from error
    return record


def _count(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return pq.read_metadata(path).num_rows
    return 0


def _empty(kind: Kind, count: int, dimension: int) -> Any:
    import faiss  # heavy, and wanted by nothing but an index

    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dimension, LINKS)
        index.hnsw.efConstruction, index.hnsw.efSearch = CONSTRUCTION, SEARCH
        return index
    if kind == "ivf":
        cells = max(1, min(CELLS * math.isqrt(count), count // TRAINED_BY))
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(dimension), dimension, cells)
        index.nprobe = min(PROBED, cells)
        return index
    return faiss.IndexFlatL2(dimension)


def _batches(embeddings: Embeddings, metric: Metric) -> Iterator[tuple[Path, pa.RecordBatch, np.ndarray]]:
    columns = [ID, EMBEDDING, *([LABEL] if LABEL in embeddings.columns else [])]
    for path, batch in embeddings.stream(columns):
        codes = matrix(batch, embeddings.latent, path)
        found = fault(codes, metric)
        if found:
            row, what = found
            raise InputError(f"{path}: the embedding of {batch.column(ID)[row].as_py()!r} {what}.")
        yield path, batch, scaled(codes, metric)


def _train(index: Any, embeddings: Embeddings, metric: Metric, count: int) -> None:
    sample = _sample(embeddings, metric, step=max(1, count // (index.nlist * TRAINED_BY)))
    if len(sample) < index.nlist:
        raise _gone(embeddings.place)
    index.train(sample)


def _sample(embeddings: Embeddings, metric: Metric, *, step: int) -> np.ndarray:
    """Returns every `step`-th code, whatever the batches."""
    parts, seen = [np.zeros((0, embeddings.latent), np.float32)], 0
    for _, _, codes in _batches(embeddings, metric):
        parts.append(codes[-seen % step :: step].copy())  # a view would keep the whole batch
        seen += len(codes)
    return np.concatenate(parts)


def _gone(place: Path) -> InputError:
    return InputError(f"{place}: files went while they were indexed. Index a copy.")


def _fill(index: Any, embeddings: Embeddings, metric: Metric, rows: Path) -> str:
    """Puts every embedding into the index and its name into a file; returns the digest of the files they are from."""
    writer = None
    hashes: dict[Path, bytes] = {}
    try:
        for path, batch, codes in _batches(embeddings, metric):
            if path not in hashes:
                hashes[path] = _hash(path)
            index.add(codes)
            named = pa.table(batch.drop_columns([EMBEDDING]))
            writer = writer or pq.ParquetWriter(rows, named.schema, compression="zstd")
            writer.write_table(named)
    finally:
        if writer:
            writer.close()
    if not hashes:
        raise _gone(embeddings.place)
    return hashlib.sha256(b"".join(hashes.values())).hexdigest()


def _hash(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except FileNotFoundError:
        raise _gone(path) from None


def _write(index: Any, path: Path) -> None:
    import faiss

    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:  # as which faiss raises what the system said
        if disk(error):
            raise OSError(None, (disk(error) or ("",))[0]) from error
        raise
