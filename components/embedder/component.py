"""The Embedder: a trained encoder over every split, beside the baselines and the last blessed encoder."""

import dataclasses
import functools
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.utils import shared
from tfx import types
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import io_utils

from components.artifacts import Embeddings
from components.embedder.encoder import Baselines, Encoder, Measures
from components.embedder.transforms import Sample, WriteTable
from models.artifact import BASELINES, SERVING, read_metadata, read_spec
from models.saved_model import signatures

TEST = "test"
NO_MEASURES: Mapping[str, Any] = {"samples": 0, "noise": [], "examples": 1, "again": []}

_log = logging.getLogger("metaprior.embedder")


@dataclass(frozen=True)
class _Model:
    """A trained model to apply: its uri, its record, and what the steps that apply it share."""

    uri: str
    record: dict[str, Any]
    encoder: shared.Shared = field(default_factory=shared.Shared)
    baselines: shared.Shared = field(default_factory=shared.Shared)
    measures: shared.Shared = field(default_factory=shared.Shared)

    @classmethod
    def at(cls, uri: str) -> "_Model":
        return cls(uri, read_metadata(Path(uri, SERVING)))

    @property
    def inputs(self) -> tuple:
        """What an example must be for the model to take it."""
        spec = read_spec(self.record)
        return spec.kind, spec.shape, spec.dtype, [(c.name, c.kind) for c in spec.columns]

    def embed(self, prefix: str, slices: Sequence[str]) -> WriteTable:
        load = functools.partial(Encoder, str(Path(self.uri, SERVING)), score=True, record=self.record, slices=slices)
        schema = Encoder.schema_of(self.record, score=True, slices=slices)
        return WriteTable(load, schema=schema, prefix=prefix, handle=self.encoder)

    def answers(self, asked: Mapping[str, Any], families: Collection[str]) -> dict[str, Any]:
        """Returns what the model can be asked of some families: an older export may lack the signature."""
        known = signatures(Path(self.uri, BASELINES))
        return {
            "samples": asked["samples"] if "likelihood" in families and "likelihood" in known else 0,
            "noise": asked["noise"] if "robustness" in families and "noisy" in known else [],
        }

    def measure(self, prefix: str, asked: dict[str, Any]) -> WriteTable:
        load = functools.partial(Measures, self.uri, record=self.record, **asked)
        return WriteTable(load, schema=Measures.schema_of(self.record, **asked), prefix=prefix, handle=self.measures)

    def compare(self, prefix: str, slices: Sequence[str]) -> WriteTable:
        load = functools.partial(Baselines, self.uri, slices=slices)
        schema = Baselines.schema_of(self.record, slices=slices)
        return WriteTable(load, schema=schema, prefix=prefix, handle=self.baselines)


class Executor(base_beam_executor.BaseBeamExecutor):
    """Reads every split once and writes all tables of it in one Beam pipeline."""

    def Do(self, input_dict, output_dict, exec_properties: dict[str, Any]) -> None:
        """Writes `embeddings` (with baselines) and, where a blessed model is given, `baseline_embeddings`.

        A blessed model that takes other inputs (another shape, other columns) is left out: there is
        nothing to compare.

        Args:
            input_dict: `examples`, `model`, and optionally `baseline_model`.
            output_dict: `embeddings` and `baseline_embeddings`.
            exec_properties: `examples_limit`, the most examples of a split in the baselines' table for each
                column that probes may predict, `slices`, a JSON list of input columns to write, too, and
                `measures`, what is asked of the model beside codes of some test examples: a JSON object with
                `samples` behind bounds on the likelihood, levels of `noise`, `examples`, the most of them, and
                `again`, which of `likelihood` and `robustness` the last blessed model is asked, too.
        """
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        model = _Model.at(artifact_utils.get_single_uri(input_dict["model"]))
        blessed = _comparable(model, [artifact.uri for artifact in input_dict.get("baseline_model") or []])
        output = artifact_utils.get_single_instance(output_dict["embeddings"])
        compared = artifact_utils.get_single_instance(output_dict["baseline_embeddings"])
        splits = artifact_utils.decode_split_names(examples.split_names)
        spec = read_spec(model.record)
        known = (spec.label, spec.sensitive, *(target.name for target in spec.targets))
        sample = Sample(exec_properties["examples_limit"], key=spec.id, known=[name for name in known if name])
        slices, asked = tuple(json.loads(exec_properties["slices"])), json.loads(exec_properties["measures"])
        some = Sample(asked.pop("examples"), key=spec.id, known=[spec.label] if spec.label else [])
        again = asked.pop("again")
        with self._make_beam_pipeline() as pipeline:
            for split in splits:
                files = io_utils.all_files_pattern(artifact_utils.get_split_uri([examples], split))
                records = pipeline | f"Read[{split}]" >> beam.io.ReadFromTFRecord(files)
                _ = records | f"Embed[{split}]" >> model.embed(_prefix(output, split, "embeddings"), slices)
                baselines = model.compare(_prefix(output, split, "baselines"), slices)
                _ = records | f"Sample[{split}]" >> sample | f"Baselines[{split}]" >> baselines
                for last in blessed:
                    _ = records | f"Compare[{split}]" >> last.embed(_prefix(compared, split, "embeddings"), slices)
                if split != TEST or not any(asked.values()):
                    continue
                few = records | "Some" >> some
                _ = few | "Measures" >> model.measure(_prefix(output, split, "measures"), asked)
                for last in blessed:
                    same = last.answers(asked, again)
                    if any(same.values()):
                        _ = few | "Again" >> last.measure(_prefix(compared, split, "measures"), same)
        _describe(output, splits, model)
        compared.split_names = artifact_utils.encode_split_names([])
        for last in blessed:
            _describe(compared, splits, last)


def _comparable(model: _Model, uris: list[str]) -> list[_Model]:
    blessed = [_Model.at(uri) for uri in uris]
    for last in blessed:
        if last.inputs != model.inputs:
            _log.warning("the last blessed model takes other inputs and is not compared: %s", last.uri)
    # The examples are the new model's: its spec says under which keys they hold ids, labels and targets.
    return [
        dataclasses.replace(last, record=last.record | {"spec": model.record["spec"]})
        for last in blessed
        if last.inputs == model.inputs
    ]


def _prefix(artifact: types.Artifact, split: str, name: str) -> str:
    return str(Path(artifact.uri, f"Split-{split}", name))


def _describe(artifact: types.Artifact, splits: list[str], model: _Model) -> None:
    artifact.split_names = artifact_utils.encode_split_names(splits)
    artifact.space = model.record["space"]
    artifact.latent = model.record["latent"]


class EmbedderSpec(types.ComponentSpec):
    """Inputs, outputs and parameters of the Embedder."""

    PARAMETERS = {
        "examples_limit": component_spec.ExecutionParameter(type=int),
        "slices": component_spec.ExecutionParameter(type=str),
        "measures": component_spec.ExecutionParameter(type=str),
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
        limit: the most examples of a split in the baselines' table for each column that probes may predict.
        slices: input columns of a table to write beside the codes.
        measures: what is asked of the model beside codes; see `Executor.Do`. Nothing by default.
        code: version of the code, part of the cache key.

    Outputs `embeddings` and `baseline_embeddings` (no splits where there is no blessed model), both
    of type `Embeddings`.
    """

    SPEC_CLASS = EmbedderSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples,
        *,
        model,
        baseline_model=None,
        limit: int,
        slices: Sequence[str] = (),
        measures: Mapping[str, Any] = NO_MEASURES,
        code: str,
    ):
        spec = EmbedderSpec(
            examples=examples,
            model=model,
            baseline_model=baseline_model,
            examples_limit=limit,
            slices=json.dumps(list(slices)),
            measures=json.dumps(dict(measures)),
            code=code,
            embeddings=types.Channel(type=Embeddings),
            baseline_embeddings=types.Channel(type=Embeddings),
        )
        super().__init__(spec=spec)
