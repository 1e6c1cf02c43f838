"""What a request log writes: a table of embeddings, and TF Serving's PredictionLog."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.tensors import fill

EMBEDDING, RATE = "embedding", "rate"
COLUMNS = (EMBEDDING, RATE)
"""Outputs of a signature that the table holds."""
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("time", pa.timestamp("us", tz="UTC")),
        pa.field("model", pa.string()),
        pa.field("version", pa.int64()),
        pa.field("space", pa.string()),
        pa.field("signature", pa.string()),
        pa.field(EMBEDDING, pa.list_(pa.field("item", pa.float32()))),
        pa.field(RATE, pa.float32()),
    ]
)

FAILURES = (OSError, pa.ArrowException, tf.errors.OpError)
"""What writing to a disk may raise."""


@dataclass(frozen=True)
class Answered:
    """One answered request: when it was answered, of which model, in which space, and what was in it."""

    nanoseconds: int
    model: str
    version: int
    space: str
    signature: str
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]

    @property
    def size(self) -> int:
        """About how many bytes it keeps in memory."""
        arrays = [*self.inputs.values(), *self.outputs.values()]
        texts = (text for array in arrays if array.dtype == object for text in array.ravel())
        return 256 + sum(array.nbytes for array in arrays) + sum(map(len, texts))


def table(entries: Sequence[Answered], *, name: str) -> pa.Table:
    """Returns a row for each example that was embedded; none for signatures that embed nothing.

    Args:
        entries: requests to one version of a model, answered in one space: the table's metadata names it, and the
            width of its codes, as that of the Embedder's files does.
        name: what no other table is called: the examples' ids begin with it.
    """
    space = entries[0].space or None
    rows = [
        (f"{name}-{number}-{row}", entry.nanoseconds // 1000, entry.model, entry.version, space, entry.signature, *code)
        for number, entry in enumerate(entries)
        for row, code in enumerate(_embedded(entry))
    ]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(SCHEMA)
    codes = columns[SCHEMA.get_field_index(EMBEDDING)]
    known = {"space": space, "latent": len(codes[0])} if space and codes else None
    metadata = known and {"metaprior": json.dumps(known, sort_keys=True)}
    return pa.table(
        [pa.array(values, f.type) for values, f in zip(columns, SCHEMA, strict=True)],
        schema=SCHEMA.with_metadata(metadata),
    )


def write_table(rows: pa.Table, path: Path) -> None:
    """Writes a Parquet file."""
    pq.write_table(rows, path, compression="zstd")


def write_predictions(entries: Sequence[Answered], path: Path, *, rate: float) -> None:
    """Writes a TFRecord file of PredictionLog.

    Args:
        entries: the requests.
        path: the file.
        rate: the sampling rate they are logged at.
    """
    with tf.io.TFRecordWriter(str(path)) as writer:
        for entry in entries:
            writer.write(_prediction(entry, rate).SerializeToString())


def _embedded(entry: Answered) -> Iterator[tuple[np.ndarray, float | None]]:
    embeddings, rates = entry.outputs.get(EMBEDDING), entry.outputs.get(RATE)
    if embeddings is None or embeddings.ndim != 2 or embeddings.dtype.kind != "f":
        return
    aligned = rates is not None and rates.shape == (len(embeddings),)
    for row, embedding in enumerate(embeddings):
        yield embedding.astype(np.float32), float(rates[row]) if rates is not None and aligned else None


def _prediction(entry: Answered, rate: float) -> prediction_log_pb2.PredictionLog:
    found = prediction_log_pb2.PredictionLog()
    request, response = found.predict_log.request, found.predict_log.response
    for spec in (found.log_metadata.model_spec, request.model_spec, response.model_spec):
        spec.name, spec.signature_name, spec.version.value = entry.model, entry.signature, entry.version
    found.log_metadata.sampling_config.sampling_rate = rate
    found.log_metadata.saved_model_tags.append(tf.saved_model.SERVING)
    found.log_metadata.timestamp_secs = entry.nanoseconds // 10**9
    for alias, array in entry.inputs.items():
        fill(request.inputs[alias], array, content=False)
    for alias, array in entry.outputs.items():
        fill(response.outputs[alias], array, content=False)
    return found
