"""Transform's preprocessing: one graph, the same in training and in serving."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from models.errors import InputError
from models.features.encoding import observed, scale_image
from models.features.spec import IMAGE, VECTOR, FeatureSpec

Inputs = Mapping[str, tf.Tensor | tf.SparseTensor]


def preprocessing_fn(inputs: Inputs, custom_config: Mapping[str, str]) -> dict[str, tf.Tensor]:
    """Turns raw features into model features.

    Images are scaled to 0..1 without any pass over the data; vectors and numeric columns are standardized,

        z = (x - mean) / stddev, and 0 where x is missing,

    where a constant column keeps stddev 1; categorical columns, label and sensitive attribute become
    indices into vocabularies of the training split, most frequent value first.

    Args:
        inputs: raw features by key, dense or sparse as the schema has them.
        custom_config: `spec`, the `FeatureSpec` as JSON.

    Returns:
        `x` float32 [batch, *shape] for images and vectors; `numeric` float32 [batch, n], `categorical`
        int64 [batch, m] (-1: missing or not in the vocabulary) and `mask` float32 [batch, n + m] (1:
        observed) for tables; where the data has them `label` and `sensitive` int64 [batch] (-1:
        missing), `factors` int64 [batch, factors] and `id` bytes [batch].

    Raises:
        InputError: if the schema lacks a column, because no example has a value there.
    """
    spec = FeatureSpec.from_json(custom_config["spec"])
    _check(spec, inputs)
    lookups = {name: _index(_text(inputs[name]), name) for name in _vocabularies(spec)}
    outputs = _table(spec, inputs, lookups) if spec.kind == "table" else {"x": _event(spec, inputs)}
    if spec.label:
        outputs["label"] = lookups[spec.label]
    if spec.sensitive:
        outputs["sensitive"] = lookups[spec.sensitive]
    if spec.factors:
        outputs["factors"] = tf.concat([_dense(inputs[name], -1) for name in spec.factors], axis=1)
    if spec.id in inputs:
        outputs["id"] = _text(inputs[spec.id])
    return outputs


def vocabulary_name(column: str) -> str:
    """Returns the name of a column's vocabulary file: the column's own, made safe and kept unique."""
    if re.fullmatch(r"\w+", column, re.ASCII):
        return column
    digest = hashlib.sha256(column.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^a-zA-Z0-9]', '_', column)}_{digest}"


def _check(spec: FeatureSpec, inputs: Inputs) -> None:
    events = [c.name for c in spec.columns] if spec.kind == "table" else [spec.kind]
    wanted = [*events, spec.label, spec.sensitive, *spec.factors]
    missing = next((name for name in wanted if name and name not in inputs), None)
    if missing is not None:
        raise InputError(
            f"data.source: {missing!r} has no value in any example. Leave it out of the configuration, or "
            "out of the inputs with data.columns.ignore."
        )


def _vocabularies(spec: FeatureSpec) -> list[str]:
    names = [c.name for c in spec.categorical] + [name for name in (spec.label, spec.sensitive) if name]
    return list(dict.fromkeys(names))


def _event(spec: FeatureSpec, inputs: Inputs) -> tf.Tensor:
    if spec.kind == "vector":
        return _standardize(_dense(inputs[VECTOR], float("nan"), width=spec.shape[0]))
    pixels = tf.io.decode_raw(_text(inputs[IMAGE]), tf.as_dtype(spec.dtype))
    return scale_image(tf.reshape(pixels, [tf.shape(pixels)[0], *spec.shape]))  # [batch, height, width, channels]


def _table(spec: FeatureSpec, inputs: Inputs, lookups: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    outputs, masks = {}, []
    if spec.numeric:
        columns = [_dense(inputs[c.name], float("nan")) for c in spec.numeric]
        numbers = tf.concat(columns, axis=1)  # [batch, numeric]
        outputs["numeric"] = _standardize(numbers)
        masks.append(observed(numbers))
    if spec.categorical:
        indices = tf.stack([lookups[c.name] for c in spec.categorical], axis=1)  # [batch, categorical]
        outputs["categorical"] = indices
        masks.append(indices >= 0)
    return outputs | {"mask": tf.cast(tf.concat(masks, axis=1), tf.float32)}


def _standardize(values: tf.Tensor) -> tf.Tensor:
    wide = tf.cast(values, tf.float64)
    # Both analyzers leave out what is not finite; a column without a single value gives NaN.
    mean = tft.mean(wide, reduce_instance_dims=False)
    stddev = tf.sqrt(tft.var(wide, reduce_instance_dims=False))
    # Rounding in the sums leaves a constant column of large values a tiny spread.
    varies = stddev > 1e-7 * tf.abs(mean)
    z = (wide - mean) / tf.where(varies, stddev, tf.ones_like(stddev))
    return tf.cast(tf.where(tf.math.is_finite(z), z, tf.zeros_like(z)), tf.float32)


def _index(text: tf.Tensor, column: str) -> tf.Tensor:
    vocabulary = tft.vocabulary(tf.boolean_mask(text, observed(text)), vocab_filename=vocabulary_name(column))
    return tft.apply_vocabulary(text, vocabulary, default_value=-1)


def _text(value: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    return tf.reshape(_dense(value, ""), [-1])


def _dense(value: Any, missing: object, *, width: int = 1) -> tf.Tensor:
    if isinstance(value, tf.SparseTensor):
        shape = tf.stack([value.dense_shape[0], width])
        value = tf.sparse.to_dense(tf.SparseTensor(value.indices, value.values, shape), missing)
    return tf.reshape(value, [-1, width])
