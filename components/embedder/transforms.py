"""Beam transforms around an exported encoder."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
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


class Sample(beam.PTransform):
    """Keeps examples for the probes: at most `count` for each column that they may predict.

    For each these are the ones that have it before those that lack it, and among equals those whose id has
    the smallest SHA-256: the same in every run and by every runner, whatever the order, and `count` examples
    altogether where nothing is missing. Of mostly unlabeled data, the few labels are what probes need.

    Args:
        count: the most examples to keep for each.
        key: feature key of the id.
        known: feature keys of these columns: label, sensitive attribute, targets.
    """

    def __init__(self, count: int, *, key: str, known: Sequence[str]):
        super().__init__()
        self._count = count
        self._key = key
        self._known = known

    def expand(self, input_or_inputs):
        """Adds the steps: rank for each, find the last ranks that stay, filter."""
        ranked = input_or_inputs | "Rank" >> beam.Map(_with_ranks, self._key, self._known)
        last = (
            ranked
            | "RanksOnly" >> beam.FlatMap(lambda pair: enumerate(pair[0]))
            | "Smallest" >> beam.combiners.Top.SmallestPerKey(self._count)
            | "Last" >> beam.MapTuple(lambda place, ranks: (place, ranks[-1]))
        )
        return ranked | "Keep" >> beam.FlatMap(_up_to, last=beam.pvalue.AsDict(last))


def _with_ranks(example: bytes, key: str, known: Sequence[str]) -> tuple[list[bytes], bytes]:
    features = tf.train.Example.FromString(example).features.feature
    values = features[key].bytes_list.value
    order = digest(values[0] if values else example)
    lacking = [features[name].WhichOneof("kind") is None for name in known]
    return [bytes([lacks]) + order for lacks in lacking or [False]], example


def _up_to(pair: tuple[list[bytes], bytes], last: Mapping[int, bytes]) -> Iterable[bytes]:
    ranks, example = pair
    if any(rank <= last[place] for place, rank in enumerate(ranks)):
        yield example
