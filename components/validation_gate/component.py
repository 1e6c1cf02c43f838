"""The ValidationGate: ExampleValidator writes anomalies down, this component stops the run on them."""

# TFX reads these annotations at run time; to a type checker they mean nothing.
# pyright: reportArgumentType=false, reportInvalidTypeArguments=false

import json
from collections.abc import Container
from pathlib import Path

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts

from models.errors import InputError


def anomaly_lines(anomalies: anomalies_pb2.Anomalies, split: str, optional: Container[str] = ()) -> list[str]:
    """Returns one line per anomaly of a split: which column, what is wrong.

    Args:
        anomalies: what was found in the split.
        split: its name.
        optional: columns that it may have no value of.
    """
    lines = []
    if anomalies.HasField("dataset_anomaly_info"):
        lines.append(f"{split}: the data set: {anomalies.dataset_anomaly_info.description}")
    for column, info in sorted(anomalies.anomaly_info.items()):
        if not (_all_missing(info) and ".".join(info.path.step) in optional):
            lines.append(f"{split}: column {column}: {' '.join(info.description.split())}")
    return lines


def _all_missing(info: anomalies_pb2.AnomalyInfo) -> bool:
    return {reason.type for reason in info.reason} == {anomalies_pb2.AnomalyInfo.SCHEMA_MISSING_COLUMN}


def read_anomalies(uri: str, splits: list[str], optional: Container[str] = ()) -> list[str]:
    """Returns one line per anomaly of all splits of an ExampleAnomalies artifact; `optional` as in `anomaly_lines`."""
    lines = []
    for split in splits:
        content = Path(uri, f"Split-{split}", "SchemaDiff.pb").read_bytes()
        lines += anomaly_lines(anomalies_pb2.Anomalies.FromString(content), split, optional)
    return lines


@component
def ValidationGate(
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    checked: OutputArtifact[standard_artifacts.String],
    optional: Parameter[str] = "[]",
) -> None:
    """Passes data without anomalies; later steps depend on its output.

    Args:
        anomalies: what ExampleValidator found.
        checked: written with the names of the checked splits.
        optional: JSON list of the columns that a whole split may have no value of.

    Raises:
        InputError: if there is an anomaly; one line for each.
    """
    splits = artifact_utils.decode_split_names(anomalies.split_names)
    lines = read_anomalies(anomalies.uri, splits, json.loads(optional))
    if lines:
        heading = "the data does not match its schema; correct the data, or give another schema (data.schema):"
        raise InputError("\n".join([heading, *lines]))
    checked.value = ", ".join(splits)
