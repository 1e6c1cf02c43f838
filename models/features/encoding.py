"""From one form of an example to the next: serialized, raw tensors, Transform's inputs, the model's batch.

    serialized --parse--> raw --graph_inputs--> Transform graph --assemble--> batch

Training, `serving_default` and `embed` share these steps, so a value means the same everywhere. In raw
tensors a missing number is NaN and a missing text is the empty string.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from models.features.spec import IMAGE, VECTOR, FeatureSpec

Tensors = Mapping[str, tf.Tensor]


def raw_features(spec: FeatureSpec, *, roles: bool) -> dict[str, tf.io.FixedLenFeature]:
    """Returns how to parse an example so that a missing cell gets its marker and never an error.

    Args:
        spec: description of the data.
        roles: whether to read label, sensitive attribute, factors and id beside the inputs.
    """
    text = tf.io.FixedLenFeature([], tf.string, default_value="")
    number = tf.io.FixedLenFeature([], tf.float32, default_value=float("nan"))
    factor = tf.io.FixedLenFeature([], tf.int64, default_value=-1)
    features = {}
    if roles:
        features = {key: text for key in (spec.id, spec.label, spec.sensitive) if key}
        features |= dict.fromkeys(spec.factors, factor)
    if spec.kind == "image":
        return features | {IMAGE: tf.io.FixedLenFeature([], tf.string)}
    if spec.kind == "vector":
        return features | {VECTOR: tf.io.FixedLenFeature(list(spec.shape), tf.float32)}
    return features | {c.name: number if c.kind == "numeric" else text for c in spec.columns}


def parse(examples: tf.Tensor, spec: FeatureSpec, *, roles: bool = False) -> dict[str, tf.Tensor]:
    """Returns the raw tensors of serialized examples [batch]: one value each, a vector [batch, width].

    Raises:
        tf.errors.InvalidArgumentError: if an example holds other types or numbers of values.
    """
    raw: Any = tf.io.parse_example(examples, raw_features(spec, roles=roles))
    return raw


def graph_inputs(raw: Tensors, declared: Mapping[str, Any]) -> dict[str, tf.Tensor | tf.SparseTensor]:
    """Returns raw tensors in the form in which Transform's graph declares its inputs.

    The schema decides that form: a column that was complete when the schema was inferred is dense, one
    with missing cells sparse.

    Args:
        raw: raw tensors by feature key.
        declared: Transform's raw feature spec; its other keys are ignored.
    """
    return {key: _as_declared(value, declared[key]) for key, value in raw.items()}


def _as_declared(value: tf.Tensor, feature: Any) -> tf.Tensor | tf.SparseTensor:
    if not isinstance(feature, tf.io.VarLenFeature):
        return tf.reshape(value, [-1, *feature.shape])
    row = tf.reshape(value, [tf.shape(value)[0], -1])
    where = tf.where(observed(row))
    return tf.SparseTensor(where, tf.gather_nd(row, where), tf.shape(row, out_type=tf.int64))


def observed(values: tf.Tensor) -> tf.Tensor:
    """Returns which raw values are there: numbers that are finite, texts that are not empty."""
    if values.dtype == tf.string:
        return tf.not_equal(values, "")
    if values.dtype.is_floating:
        return tf.math.is_finite(values)
    return tf.ones_like(values, tf.bool)


def scale_image(pixels: tf.Tensor) -> tf.Tensor:
    """Returns pixels as float32: uint8 from 0..255 to 0..1, float32 as it is."""
    if pixels.dtype == tf.uint8:
        # Not a division: graphs turn that into this product, eager execution does not.
        return tf.cast(pixels, tf.float32) * (1 / 255)
    return tf.cast(pixels, tf.float32)


def assemble(features: Tensors, spec: FeatureSpec) -> dict[str, tf.Tensor]:
    """Returns the model's batch from Transform's outputs.

    Args:
        features: Transform's outputs by key (see `preprocessing_fn`); what is absent stays absent.
        spec: description of the data, resolved.

    Returns:
        `x` float32 [batch, *event_shape], and where present `label` and `sensitive` int64 [batch],
        `factors` int64 [batch, factors].
    """
    x = features["x"] if spec.kind != "table" else _row(features, spec)
    roles = {"label": [], "sensitive": [], "factors": [len(spec.factors)]}
    batch = {"x": tf.ensure_shape(x, [None, *spec.event_shape])}
    rows = batch["x"].shape[0]
    return batch | {
        key: tf.ensure_shape(features[key], [rows, *shape]) for key, shape in roles.items() if key in features
    }


def _row(features: Tensors, spec: FeatureSpec) -> tf.Tensor:
    blocks = [features["numeric"]] if spec.numeric else []
    for index, column in enumerate(spec.categorical):
        blocks.append(tf.one_hot(features["categorical"][:, index], column.cardinality))
    return tf.concat([*blocks, features["mask"]], axis=1)  # [batch, event]
