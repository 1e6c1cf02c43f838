"""Beam transforms around an exported encoder."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import tensorflow as tf
from apache_beam.utils import shared

BATCH = 256

Table = Callable[[Sequence[bytes]], pa.Table]


class _Apply(beam.DoFn):
    """Loads a model once per process and applies it to batches of serialized examples."""

    def __init__(self, load: Callable[[], Table], label: str):
        self._load = load
        self._label = label
        self._handle = shared.Shared()
        self._table: Table | None = None
        self._count = 0

    def setup(self):
        self._table = self._handle.acquire(self._load)

    def process(self, batch: Sequence[bytes]) -> Iterable[pa.Table]:
        if self._table is None:
            raise RuntimeError("`setup` must run before `process`.")
        yield self._table(batch)
        self._count += len(batch)
        logging.getLogger("metaprior.progress").info("%s: %d examples", self._label, self._count)


class WriteTable(beam.PTransform):
    """Applies a model to serialized examples and writes its tables as Parquet files.

    Args:
        load: picklable, without arguments; returns what maps a batch of examples to a table. Called once a
            process, on the worker.
        schema: schema of these tables.
        prefix: path of the files, less `-00000-of-00001.parquet`.
    """

    def __init__(self, load: Callable[[], Table], *, schema: pa.Schema, prefix: str):
        super().__init__()
        self._load = load
        self._schema = schema
        self._prefix = prefix

    def expand(self, input_or_inputs):
        """Adds the steps: batch, apply, write."""
        return (
            input_or_inputs
            | "Batch" >> beam.BatchElements(min_batch_size=BATCH, max_batch_size=BATCH)
            | "Apply" >> beam.ParDo(_Apply(self._load, Path(self._prefix).parent.name.removeprefix("Split-")))
            | "Write"
            >> beam.io.WriteToParquetBatched(
                self._prefix, schema=self._schema, file_name_suffix=".parquet", codec="zstd"
            )
        )


def _digest(example: bytes, key: str) -> str:
    values = tf.train.Example.FromString(example).features.feature[key].bytes_list.value
    return hashlib.sha256(values[0] if values else example).hexdigest()


class Sample(beam.PTransform):
    """Keeps at most `count` examples: those whose id has the smallest SHA-256.

    The same examples are kept in every run and by every runner, whatever their order.

    Args:
        count: the most examples to keep.
        key: feature key of the id.
    """

    def __init__(self, count: int, *, key: str):
        super().__init__()
        self._count = count
        self._key = key

    def expand(self, input_or_inputs):
        """Adds the steps: digest, find the largest digest that stays, filter."""
        digests = input_or_inputs | "Digest" >> beam.Map(_with_digest, self._key)
        kept = (
            digests
            | "DigestOnly" >> beam.Keys()
            | "Smallest" >> beam.combiners.Top.Smallest(self._count)
            | "Last" >> beam.Map(_last)
        )
        return digests | "Keep" >> beam.FlatMap(_up_to, last=beam.pvalue.AsSingleton(kept))


def _with_digest(example: bytes, key: str) -> tuple[str, bytes]:
    return _digest(example, key), example


def _last(smallest: list[str]) -> str:
    return smallest[-1] if smallest else ""


def _up_to(pair: tuple[str, bytes], last: str) -> Iterable[bytes]:
    digest, example = pair
    if digest <= last:
        yield example
