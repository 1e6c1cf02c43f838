"""The Embedder: a trained encoder over every split, beside the baselines and the last blessed encoder."""

import functools
from pathlib import Path
from typing import Any

import apache_beam as beam
from tfx import types
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import io_utils

from components.artifacts import Embeddings
from components.embedder.encoder import SERVING, Baselines, Encoder, read_metadata
from components.embedder.transforms import Sample, WriteTable


class Executor(base_beam_executor.BaseBeamExecutor):
    """Reads every split once and writes all tables of it in one Beam pipeline."""

    def Do(self, input_dict, output_dict, exec_properties: dict[str, Any]) -> None:
        """Writes `embeddings` (with baselines) and, where a blessed model is given, `baseline_embeddings`.

        Args:
            input_dict: `examples`, `model`, and optionally `baseline_model`.
            output_dict: `embeddings` and `baseline_embeddings`.
            exec_properties: `examples_limit`, the most examples of a split in the baselines' table.
        """
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        model = artifact_utils.get_single_uri(input_dict["model"])
        output = artifact_utils.get_single_instance(output_dict["embeddings"])
        compared = artifact_utils.get_single_instance(output_dict["baseline_embeddings"])
        blessed = input_dict.get("baseline_model") or []
        splits = artifact_utils.decode_split_names(examples.split_names)
        with self._make_beam_pipeline() as pipeline:
            for split in splits:
                folder = artifact_utils.get_split_uri([examples], split)
                records = pipeline | f"Read[{split}]" >> beam.io.ReadFromTFRecord(io_utils.all_files_pattern(folder))
                self._embed(records, model, output.uri, split)
                self._baselines(records, model, output.uri, split, exec_properties["examples_limit"])
                if blessed:
                    self._embed(records, blessed[0].uri, compared.uri, split)
        _describe(output, splits, model)
        compared.split_names = artifact_utils.encode_split_names([])
        if blessed:
            _describe(compared, splits, blessed[0].uri)

    def _embed(self, records, model: str, uri: str, split: str) -> None:
        load = functools.partial(Encoder, str(Path(model, SERVING)), score=True)
        write = WriteTable(load, schema=load().schema, prefix=str(Path(uri, f"Split-{split}", "embeddings")))
        _ = records | f"Embed[{split}][{Path(uri).parent.name}]" >> write

    def _baselines(self, records, model: str, uri: str, split: str, limit: int) -> None:
        record = read_metadata(Path(model, SERVING))
        load = functools.partial(Baselines, model)
        write = WriteTable(load, schema=load().schema, prefix=str(Path(uri, f"Split-{split}", "baselines")))
        sample = Sample(limit, key=record["spec"]["id"])
        _ = records | f"Sample[{split}]" >> sample | f"Baselines[{split}]" >> write


def _describe(artifact: types.Artifact, splits: list[str], model: str) -> None:
    record = read_metadata(Path(model, SERVING))
    artifact.split_names = artifact_utils.encode_split_names(splits)
    artifact.space = record["space"]
    artifact.latent = record["latent"]


class EmbedderSpec(types.ComponentSpec):
    """Inputs, outputs and parameters of the Embedder."""

    PARAMETERS = {
        "examples_limit": component_spec.ExecutionParameter(type=int),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "baseline_model": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {
        "embeddings": component_spec.ChannelParameter(type=Embeddings),
        "baseline_embeddings": component_spec.ChannelParameter(type=Embeddings),
    }


class Embedder(base_beam_component.BaseBeamComponent):
    """Embeds every split of the examples with a trained encoder.

    Args:
        examples: channel of Examples.
        model: channel of the trained Model.
        baseline_model: channel of the last blessed Model; its artifacts may be absent.
        limit: the most examples of a split in the baselines' table.
        code: version of the code, part of the cache key.

    Outputs `embeddings` and `baseline_embeddings` (no splits where there is no blessed model), both
    of type `Embeddings`.
    """

    SPEC_CLASS = EmbedderSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, examples, *, model, baseline_model=None, limit: int, code: str):
        spec = EmbedderSpec(
            examples=examples,
            model=model,
            baseline_model=baseline_model,
            examples_limit=limit,
            code=code,
            embeddings=types.Channel(type=Embeddings),
            baseline_embeddings=types.Channel(type=Embeddings),
        )
        super().__init__(spec=spec)
