"""The examples a comparison looks at: a bounded sample, drawn by a rule that any order of the rows agrees with."""

import datetime
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.embedder.files import EMBEDDING, ID, RATE, Embeddings, matrix
from models.errors import InputError
from models.features.ids import digest

TIME, SIGNATURE = "time", "signature"
BORROWED = ["embed_aligned", "embed_aligned_bytes"]
"""Signatures that answer in another encoder's space, and with a rate of their own encoder's."""


@dataclass(frozen=True)
class Sample:
    """Codes and rates of a sample.

    Args:
        codes: [sample, latent], float64.
        rates: in nats, [sample] or fewer, as codes of another encoder that were led into the space have no rate that
            can be compared; None where there is none.
        total: number of examples the sample is from.
        nonfinite: number of examples with a code or a rate that is not finite, which are not among `total`.
    """

    codes: np.ndarray
    rates: np.ndarray | None
    total: int
    nonfinite: int


def draw(embeddings: Embeddings, size: int, *, since: datetime.datetime | None = None) -> Sample:
    """Returns the `size` examples whose ids have the smallest SHA-256.

    Memory grows with `size` and not with the files.

    Args:
        embeddings: the files.
        size: the most examples to draw.
        since: leave out what was asked before; the files must be a request log's.

    Raises:
        InputError: if the files lack a column, or `since` is given and they do not say when.
    """
    has = embeddings.columns
    if since is not None and TIME not in has:
        raise InputError(f"{embeddings.place}: does not say when (no column {TIME}). Leave --hours out.")
    wanted = {ID: True, EMBEDDING: True, RATE: RATE in has, SIGNATURE: SIGNATURE in has, TIME: since is not None}
    columns = [name for name, is_wanted in wanted.items() if is_wanted]
    keys = np.zeros(0, np.uint64)
    rows = np.zeros((0, embeddings.latent + (RATE in has)))
    total = nonfinite = 0
    for path, batch in embeddings.stream(columns):
        if since is not None:
            batch = batch.filter(pc.greater_equal(batch.column(TIME), since))
        if not len(batch):
            continue
        values = matrix(batch, embeddings.latent, path).astype(np.float64)
        if RATE in has:
            values = np.column_stack([values, batch.column(RATE).to_numpy(zero_copy_only=False)])
        finite = np.flatnonzero(np.isfinite(values).all(axis=1))
        if RATE in has and SIGNATURE in has:
            values[_is_borrowed(batch), -1] = np.nan
        ids = batch.column(ID).take(pa.array(finite)).to_pylist()
        total, nonfinite = total + len(ids), nonfinite + len(values) - len(ids)
        keys = np.concatenate([keys, np.array([int.from_bytes(digest(id)[:8]) for id in ids], np.uint64)])
        rows = np.concatenate([rows, values[finite]])
        smallest = np.argsort(keys, kind="stable")[:size]
        keys, rows = keys[smallest], rows[smallest]
    rates = rows[:, embeddings.latent :].ravel()
    rates = rates[~np.isnan(rates)]
    return Sample(rows[:, : embeddings.latent], rates if len(rates) else None, total, nonfinite)


def _is_borrowed(batch: pa.RecordBatch) -> np.ndarray:
    return pc.is_in(batch.column(SIGNATURE), pa.array(BORROWED)).to_numpy(zero_copy_only=False)
