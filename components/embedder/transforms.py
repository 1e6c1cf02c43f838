"""Beam transforms around an exported encoder."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import tensorflow as tf
from apache_beam.utils import shared

from models.features.ids import digest

BATCH = 256

Table = Callable[[Sequence[bytes]], pa.Table]


class _Apply(beam.DoFn):
    """Loads a model once per process and applies it to batches of serialized examples."""

    def __init__(self, load: Callable[[], Table], label: str, handle: shared.Shared):
        self._load = load
        self._label = label
        self._handle = handle
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
        load: picklable, without arguments; returns what maps a batch of examples to a table. Called on the
            worker, once a process and handle.
        schema: schema of these tables.
        prefix: path of the files, less `-00000-of-00001.parquet`.
        handle: what steps share that apply the same model.
    """

    def __init__(self, load: Callable[[], Table], *, schema: pa.Schema, prefix: str, handle: shared.Shared):
        super().__init__()
        self._load = load
        self._schema = schema
        self._prefix = prefix
        self._handle = handle

    @property
    def _label(self) -> str:
        return Path(self._prefix).parent.name.removeprefix("Split-")

    def expand(self, input_or_inputs):
        """Adds the steps: batch, apply, write."""
        return (
            input_or_inputs
            | "Batch" >> beam.BatchElements(min_batch_size=BATCH, max_batch_size=BATCH)
            | "Apply" >> beam.ParDo(_Apply(self._load, self._label, self._handle))
            | "Write"
            >> beam.io.WriteToParquetBatched(
                self._prefix, schema=self._schema, file_name_suffix=".parquet", codec="zstd"
            )
        )


def _rank(example: bytes, key: str, label: str | None) -> bytes:
    """Returns what examples are sampled by: labeled ones first, then by the id's SHA-256."""
    features = tf.train.Example.FromString(example).features.feature
    values = features[key].bytes_list.value
    unlabeled = label is not None and not features[label].bytes_list.value
    return bytes([unlabeled]) + digest(values[0] if values else example)


class Sample(beam.PTransform):
    """Keeps at most `count` examples: labeled ones first, among equals those whose id has the smallest SHA-256.

    The same examples are kept in every run and by every runner, whatever their order. Of mostly unlabeled
    data, the few labels are what probes need.

    Args:
        count: the most examples to keep.
        key: feature key of the id.
        label: feature key of the label, if there is one.
    """

    def __init__(self, count: int, *, key: str, label: str | None):
        super().__init__()
        self._count = count
        self._key = key
        self._label = label

    def expand(self, input_or_inputs):
        """Adds the steps: rank, find the last rank that stays, filter."""
        ranked = input_or_inputs | "Rank" >> beam.Map(_with_rank, self._key, self._label)
        kept = (
            ranked
            | "RankOnly" >> beam.Keys()
            | "Smallest" >> beam.combiners.Top.Smallest(self._count)
            | "Last" >> beam.Map(_last)
        )
        return ranked | "Keep" >> beam.FlatMap(_up_to, last=beam.pvalue.AsSingleton(kept))


def _with_rank(example: bytes, key: str, label: str | None) -> tuple[bytes, bytes]:
    return _rank(example, key, label), example


def _last(smallest: list[bytes]) -> bytes:
    return smallest[-1] if smallest else b""


def _up_to(pair: tuple[bytes, bytes], last: bytes) -> Iterable[bytes]:
    rank, example = pair
    if rank <= last:
        yield example
