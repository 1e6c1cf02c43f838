"""What Transform learned about the data, filled into the spec."""

import dataclasses

import tensorflow_transform as tft

from models.features.preprocessing import vocabulary_name
from models.features.spec import Column, FeatureSpec


def resolve(spec: FeatureSpec, transform_output: str) -> FeatureSpec:
    """Returns `spec` with cardinalities, classes and groups as Transform found them in the training split.

    Args:
        spec: description of the data as ingestion wrote it.
        transform_output: folder that Transform wrote (its TransformGraph artifact).
    """
    output = tft.TFTransformOutput(transform_output)
    return dataclasses.replace(
        spec,
        columns=tuple(_column(column, output) for column in spec.columns),
        classes=_values(spec.label, output),
        groups=_values(spec.sensitive, output),
    )


def _column(column: Column, output: tft.TFTransformOutput) -> Column:
    if column.kind == "numeric":
        return column
    return dataclasses.replace(column, cardinality=len(_values(column.name, output)))


def _values(name: str | None, output: tft.TFTransformOutput) -> tuple[str, ...]:
    if name is None:
        return ()
    values = output.vocabulary_by_name(vocabulary_name(name))
    return tuple(value.decode("utf-8", "replace") for value in values)
