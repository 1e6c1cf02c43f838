"""What stands beside an example's code in the tables: id, label, sensitive attribute, factors, targets, slices."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from models.features.spec import FeatureSpec, Target


@dataclass(frozen=True)
class _Column:
    """One column: its name and type in the table, its feature in the examples, and the way from there."""

    name: str
    type: pa.DataType
    key: str
    feature: tf.io.FixedLenFeature
    values: Callable[[np.ndarray], Sequence[Any] | np.ndarray]


class Context:
    """The columns of an example that are not the encoder's input, and the inputs that slices go by.

    | column | type | missing |
    | --- | --- | --- |
    | `id`, `label`, `sensitive` | string | null |
    | `factor:<name>` | int64 | -1 |
    | `target:<name>` | string (classification), double (regression) | null |
    | | list<int8> (multilabel): 0 or 1 for each label | null, the list or a label of it |
    | `slice:<name>` | string (categorical column), double (numeric column) | null |

    Args:
        spec: description of the data.
        slices: input columns of a table to write, too.
    """

    def __init__(self, spec: FeatureSpec, slices: Sequence[str] = ()):
        named = {"id": spec.id, "label": spec.label, "sensitive": spec.sensitive}
        self._columns = [_text(name, key) for name, key in named.items() if key]
        self._columns += [_factor(name) for name in spec.factors]
        self._columns += [_target(target) for target in spec.targets]
        inputs = [column for column in spec.columns if column.name in slices]
        self._columns += [
            (_number if column.kind == "numeric" else _text)(f"slice:{column.name}", column.name) for column in inputs
        ]

    @property
    def fields(self) -> list[pa.Field]:
        """The Parquet fields, in the order of `columns`."""
        return [pa.field(column.name, column.type) for column in self._columns]

    def columns(self, examples: tf.Tensor) -> list[pa.Array]:
        """Returns the columns of serialized examples [batch]."""
        parsed: Any = tf.io.parse_example(examples, {column.key: column.feature for column in self._columns})
        return [pa.array(column.values(parsed[column.key].numpy()), column.type) for column in self._columns]


def _text(name: str, key: str) -> _Column:
    feature = tf.io.FixedLenFeature([], tf.string, default_value="")
    return _Column(name, pa.string(), key, feature, _texts)


def _number(name: str, key: str) -> _Column:
    feature = tf.io.FixedLenFeature([], tf.float32, default_value=float("nan"))
    return _Column(name, pa.float64(), key, feature, _numbers)


def _factor(name: str) -> _Column:
    feature = tf.io.FixedLenFeature([], tf.int64, default_value=-1)
    return _Column(f"factor:{name}", pa.int64(), name, feature, np.asarray)


def _target(target: Target) -> _Column:
    name = f"target:{target.name}"
    if target.kind == "classification":
        return _text(name, target.name)
    if target.kind == "regression":
        return _number(name, target.name)
    feature = tf.io.FixedLenFeature([target.width], tf.int64, default_value=[-1] * target.width)
    return _Column(name, pa.list_(pa.int8()), target.name, feature, _labels)


def _texts(values: np.ndarray) -> list[str | None]:
    return [value.decode("utf-8", "replace") or None for value in values]


def _numbers(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _labels(values: np.ndarray) -> list[list[int | None] | None]:
    rows = ([None if value < 0 else value for value in row] for row in values.tolist())
    return [row if any(value is not None for value in row) else None for row in rows]
