"""Asks an index for the nearest neighbors of codes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.embedder.files import ID
from models.errors import InputError
from pipeline.neighbors.build import LABEL
from pipeline.neighbors.record import ROWS_FILE, VECTORS_FILE, Record, check_parts, read_index_record
from pipeline.neighbors.vectors import distances, fault, scaled


@dataclass(frozen=True)
class Neighbor:
    """One embedding of an index: its id, its distance, and its label where it had one."""

    id: str
    distance: float
    label: str | None


class Index:
    """An index that is open for questions.

    Args:
        folder: its folder.

    Raises:
        InputError: if it is not an index, or one of its parts is not as it was written.
    """

    def __init__(self, folder: Path):
        self.record = read_index_record(folder)
        check_parts(self.record, folder)
        self._vectors = _vectors(folder, self.record)
        rows = _rows(folder / ROWS_FILE)
        self._ids = rows.column(ID)
        self._labels = rows.column(LABEL) if LABEL in rows.column_names else None
        if not len(self._ids) == self._vectors.ntotal == self.record.count:
            raise InputError(f"{folder}: its parts are not of one index. Index the embeddings again.")

    def search(self, codes: np.ndarray, names: list[str], k: int) -> list[list[Neighbor]]:
        """Returns the k nearest neighbors of each code, the nearest first; fewer where an index has or finds fewer.

        Args:
            codes: [n, latent].
            names: what messages call them.
            k: the number of neighbors.

        Raises:
            InputError: if a code has no neighbors by the index's metric.
        """
        metric = self.record.metric
        found = fault(codes, metric)
        if found:
            row, what = found
            raise InputError(f"{names[row]}: its embedding {what}.")
        asked = scaled(codes.astype(np.float32), metric)
        _, places, vectors = self._vectors.search_and_reconstruct(asked, min(k, self.record.count))
        # faiss expands squares of float32, which leaves little of a small distance.
        exact = np.where(places < 0, np.inf, distances(vectors, asked, metric))
        order = np.argsort(exact, axis=1, kind="stable")
        return [
            [self._neighbor(places[row, place], exact[row, place]) for place in order[row] if places[row, place] >= 0]
            for row in range(len(codes))
        ]

    def _neighbor(self, place: int, distance: float) -> Neighbor:
        label = self._labels[int(place)].as_py() if self._labels is not None else None
        return Neighbor(self._ids[int(place)].as_py(), float(distance), label)


def _rows(path: Path) -> pa.Table:
    try:
        rows = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read. Index the embeddings again.") from error
    if ID not in rows.column_names:
        raise InputError(f"{path}: has no column {ID}. Index the embeddings again.")
    return rows


def _vectors(folder: Path, record: Record) -> Any:
    import faiss  # heavy, and wanted by nothing but an index

    path = folder / VECTORS_FILE
    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:
        raise InputError(f"{path}: cannot be read. Index the embeddings again.") from error
    if index.d != record.dimension:
        raise InputError(f"{path}: holds codes of width {index.d}, not {record.dimension}. Index the embeddings again.")
    return index
