"""Streams of examples through an encoder, each by one worker, into parts that a later process can go on after."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import apache_beam as beam
import pyarrow as pa
from apache_beam.utils import shared

from components.embedder.transforms import BATCH, Table
from pipeline.ingestion.examples import to_example
from pipeline.ingestion.source import Shard, Source
from pipeline.parts import Parts, Position

STREAMS = 64
"""The most streams of a source: as many workers can share it, and small shards next to each other fill batches."""


@dataclass(frozen=True)
class Stream:
    """Shards next to each other, read as one; cheap to pickle.

    Args:
        index: its place among the streams.
        shards: shards of the source, in order.
    """

    index: int
    shards: tuple[Shard, ...]


def streams(source: Source) -> list[Stream]:
    """Returns all shards of a source in at most `STREAMS` streams; how many depends on nothing but the source."""
    shards = source.shards()
    size = -(-len(shards) // STREAMS)
    return [Stream(n, tuple(shards[at : at + size])) for n, at in enumerate(range(0, len(shards), size))]


class EmbedStream(beam.DoFn):
    """Embeds a stream from where its parts end, and writes its further parts.

    Which examples make a batch depends on the source alone, so that the codes do, to the last bit.

    Args:
        source: the described source of the streams.
        parts: the parts.
        load: picklable, without arguments; returns what maps a batch of examples to a table. Called once a process.
        schema: schema of these tables.
        batches: number of batches in a part.
    """

    def __init__(self, source: Source, parts: Parts, *, load: Callable[[], Table], schema: pa.Schema, batches: int):
        self._source = source
        self._parts = parts
        self._load = load
        self._schema = schema
        self._batches = batches
        self._handle = shared.Shared()
        self._table: Table | None = None

    def setup(self):
        """Loads the encoder."""
        self._table = self._handle.acquire(self._load)

    def process(self, stream: Stream) -> None:
        """Writes what is left to write of one stream."""
        if self._table is None:
            raise RuntimeError("`setup` must run before `process`.")
        position, tables = self._parts.position(stream.index), []
        for batch, following in self._cut(stream, position):
            tables.append(self._table(batch) if batch else self._schema.empty_table())
            if following is None or len(tables) == self._batches:
                part = pa.concat_tables(tables)
                position = position.after(part.num_rows, following)
                self._parts.write(stream.index, part, position)
                logging.getLogger("metaprior.progress").info("%s examples", f"{position.rows:,}")
                tables = []

    def _cut(self, stream: Stream, start: Position) -> Iterator[tuple[Sequence[bytes], tuple[int, int] | None]]:
        """Yields batches, each with shard and row of the example that follows; of an empty stream, an empty batch."""
        if start.end:
            return
        batch: list[bytes] = []
        for place, example in self._examples(stream, start):
            if len(batch) == BATCH:
                yield batch, place
                batch = []
            batch.append(example)
        yield batch, None

    def _examples(self, stream: Stream, start: Position) -> Iterator[tuple[tuple[int, int], bytes]]:
        spec, first = self._source.spec, start.row
        for number in range(start.shard, len(stream.shards)):
            records = islice(self._source.read(stream.shards[number]), first, None)
            for row, record in enumerate(records, first):
                yield (number, row), to_example(record, spec).SerializeToString()
            first = 0
