"""Records as `tf.train.Example`."""

from typing import Any

import tensorflow as tf

from models.features.spec import FeatureSpec
from pipeline.ingestion.source import Record


def to_example(record: Record, spec: FeatureSpec) -> tf.train.Example:
    """Returns a record as an example on the wire (see `FeatureSpec` for its keys).

    Args:
        record: what a source yields: image or vector as an array, table cells as float or text, factors
            as integers, label, sensitive attribute and id as text, targets as text, float or a list of integers.
        spec: the source's spec.

    Example:
        >>> import numpy as np
        >>> spec = FeatureSpec("vector", (2,))
        >>> to_example({"vector": np.zeros(2), "id": "7"}, spec).features.feature["id"].bytes_list.value
        [b'7']
    """
    raw = spec.kind == "image"
    example = tf.train.Example()
    features = example.features.feature
    for key, value in record.items():
        _fill(features[key], value, raw)
    return example


def _fill(feature: tf.train.Feature, value: Any, raw: bool) -> None:
    if isinstance(value, str):
        feature.bytes_list.value.append(value.encode("utf-8", "replace"))
    elif isinstance(value, float):
        feature.float_list.value.append(value)
    elif isinstance(value, int):
        feature.int64_list.value.append(value)
    elif isinstance(value, list):
        feature.int64_list.value.extend(value)
    elif raw:
        feature.bytes_list.value.append(value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes())
    else:
        feature.float_list.value.extend(value.tolist())
