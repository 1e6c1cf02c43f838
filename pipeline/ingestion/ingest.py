"""The pipeline's first component: any source into train, eval and test examples."""

import json
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tfx.components.example_gen.base_example_gen_executor import BaseExampleGenExecutor
from tfx.components.example_gen.component import QueryBasedExampleGen
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from models.errors import InputError
from models.features.spec import FeatureSpec
from pipeline import code
from pipeline.config import Data
from pipeline.ingestion.kinds import BUILT_IN, open_source
from pipeline.ingestion.read import ReadProtos
from pipeline.ingestion.source import Description, Source

SPLITS = ("train", "eval", "test")


@beam.ptransform_fn
@beam.typehints.with_input_types(beam.Pipeline)
@beam.typehints.with_output_types(tf.train.Example)
def _examples(pipeline: beam.Pipeline, exec_properties: dict[str, Any], split_pattern: str) -> beam.PCollection:
    del exec_properties
    query = json.loads(split_pattern)
    return pipeline | "ReadProtos" >> ReadProtos(_source_of(query), total=query["count"], unique=True)


class Executor(BaseExampleGenExecutor):
    """Reads the source that the query names, as Beam collections of examples."""

    def GetInputSourceToExamplePTransform(self) -> Any:
        """Returns the transform that reads the query's source."""
        return _examples

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Writes the splits.

        Raises:
            InputError: if a split came out empty.
        """
        super().Do(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        for split in SPLITS:
            files = tf.io.gfile.glob(artifact_utils.get_split_uri([examples], split) + "/*")
            if not any(tf.data.TFRecordDataset(files, "GZIP").take(1)):
                raise InputError(
                    f"data.splits: there are too few examples for a split {split!r}: none fell into it. "
                    f"Give more data, or raise data.splits.{split}."
                )


class Ingest(QueryBasedExampleGen):
    """ExampleGen for every kind of source, with splits by a hash of the id.

    The query is one line of JSON with everything the examples depend on: the data section, the spec, the
    fingerprint of the input, the seed where it matters and a digest of the code. So a run over unchanged
    data is cached, and any change is not.

    Args:
        data: the configuration's `data` section.
        seed: the run's seed.

    Attributes:
        description: what the source holds.
        data: the configuration's `data` section with absolute paths: equal wherever the command was given.
        query: that line of JSON; equal queries and splits give equal examples.

    Raises:
        InputError: if the input cannot be used.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, data: Data, *, seed: int = 0):
        source = open_source(data, seed=seed)
        self.description: Description = source.describe()
        self.data = _absolute(data, source)
        splits = [
            example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=getattr(data.splits, name)) for name in SPLITS
        ]
        split_config = example_gen_pb2.SplitConfig(splits=splits, partition_feature_name=self.description.spec.id)
        self.query = _query(source, self.data)
        query = example_gen_pb2.Input.Split(name="all", pattern=self.query)
        super().__init__(
            input_config=example_gen_pb2.Input(splits=[query]),
            output_config=example_gen_pb2.Output(split_config=split_config),
        )


def _absolute(data: Data, source: Source) -> Data:
    changes: dict[str, Any] = {}
    if source.kind not in BUILT_IN.values():
        changes["source"] = str(Path(data.source).expanduser().resolve())
    if data.schema_path is not None:
        changes["schema_path"] = data.schema_path.resolve()
    return data.model_copy(update=changes)


def _query(source: Source, data: Data) -> str:
    parts = {
        "data": json.loads(data.model_dump_json(exclude={"schema_path", "splits"})),
        "kind": source.kind,
        "seed": source.seed if source.seeded else 0,
        "spec": source.spec.to_json(),
        "count": source.describe().count,
        "fingerprint": source.describe().fingerprint,
        "code": code.version("pipeline.ingestion", "models.features"),
    }
    return json.dumps(parts, sort_keys=True)


def _source_of(query: dict[str, Any]) -> Source:
    data = Data(**query["data"] | {"kind": query["kind"]})
    return open_source(data, seed=query["seed"], expected=FeatureSpec.from_json(query["spec"]))
