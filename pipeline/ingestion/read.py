"""Any source as a Beam collection of examples."""

import logging
import time
from collections.abc import Iterator

import apache_beam as beam
import tensorflow as tf

from pipeline.ingestion.examples import to_example
from pipeline.ingestion.source import Shard, Source
from pipeline.ingestion.unique import RefuseRepeated

progress = logging.getLogger("metaprior.progress")
SECONDS = 2.0
IDS = "ids"


@beam.typehints.with_input_types(Shard)
@beam.typehints.with_output_types(tf.train.Example)
class ReadShard(beam.DoFn):
    """Reads the shards of one described source, and says now and then how far it has come.

    Where the input names the examples, each one's id and place come as the output `IDS`, too.
    """

    def __init__(self, source: Source, total: int | None):
        self._source = source
        self._total = total
        self._named = source.ids is not None
        self._done = 0
        self._said = 0.0

    def setup(self) -> None:
        """Starts the clock of the progress messages."""
        self._said = time.monotonic()

    def process(self, shard: Shard) -> Iterator[tf.train.Example | beam.pvalue.TaggedOutput]:
        """Yields the examples of one shard."""
        spec = self._source.spec
        for row, record in enumerate(self._source.read(shard), shard.start):
            yield to_example(record, spec)
            if self._named:
                yield beam.pvalue.TaggedOutput(IDS, (record[spec.id], (shard.name, row)))
            self._done += 1
            if self._done % 256 == 0:
                self._say()

    def _say(self) -> None:
        if time.monotonic() - self._said < SECONDS:
            return
        self._said = time.monotonic()
        if self._total:
            fraction = min(1.0, self._done / self._total)
            progress.info("%s of %s examples", f"{self._done:,}", f"{self._total:,}", extra={"fraction": fraction})
        else:
            progress.info("%s examples", f"{self._done:,}")


class ReadProtos(beam.PTransform):
    """Pipeline -> `tf.train.Example` messages of a source.

    Args:
        source: it is described here, before the pipeline runs.
        total: number of its examples, where that is known better than its description says.
        unique: whether an id that names two examples is refused.
    """

    def __init__(self, source: Source, *, total: int | None = None, unique: bool = False):
        super().__init__()
        self._source = source
        self._unique = unique
        self._total = source.describe().count or total

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Spreads the shards over the workers and reads them."""
        read = beam.ParDo(ReadShard(self._source, self._total)).with_outputs(IDS, main="examples")
        shards = pipeline | "Shards" >> beam.Create(self._source.shards()) | "Spread" >> beam.Reshuffle()
        outputs = shards | "Read" >> read
        if self._unique and self._source.ids:
            _ = outputs[IDS] | "Unique" >> RefuseRepeated(self._source.ids)
        return outputs.examples
