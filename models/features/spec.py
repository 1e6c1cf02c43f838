"""What the data looks like: the one description that ingestion, Transform, training and serving share."""

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Literal

IMAGE = "image"
VECTOR = "vector"

Kind = Literal["image", "vector", "table"]
ColumnKind = Literal["numeric", "categorical"]
TargetKind = Literal["classification", "regression", "multilabel"]


@dataclass(frozen=True)
class Column:
    """One input column of a table.

    Args:
        name: the column's name, which is also its feature key.
        kind: `numeric` (standardised, Gaussian likelihood) or `categorical` (vocabulary, categorical likelihood).
        cardinality: number of categories; 0 until Transform has seen the data, and for numeric columns.
    """

    name: str
    kind: ColumnKind
    cardinality: int = 0


@dataclass(frozen=True)
class Target:
    """One thing to predict from the embedding; it measures a model and is never its input.

    Args:
        name: the column's or array's own name, which is also its feature key.
        kind: `classification` (one text), `regression` (one number) or `multilabel` (0 or 1 for each label).
        width: number of labels of a `multilabel` target, 1 otherwise.
    """

    name: str
    kind: TargetKind
    width: int = 1


@dataclass(frozen=True)
class FeatureSpec:
    """Kind, shape and roles of one data set.

    Feature keys in every `tf.train.Example`: `image` (raw C-order bytes of `shape` and `dtype`),
    `vector` (a float list of `shape[0]` values), or one key per column of a table (a float or bytes
    list with one value, or none where the cell is missing). Label, sensitive attribute and id travel
    as one bytes value under the user's own names, ground-truth factors as one int64 each; a target is
    one bytes value (classification), one float (regression) or an int64 for each label (multilabel: 0, 1,
    or -1 where it is not known), and absent where the example has none.

    Args:
        kind: `image`, `vector` or `table`.
        shape: raw event shape: (height, width, channels), (width,), or (number of columns,).
        dtype: element type of image bytes, `uint8` (0 to 255) or `float32` (0 to 1); `float32` otherwise.
        columns: the input columns of a table, numeric ones first.
        id: key of the example's id (always present).
        label: key of the label, if there is one.
        sensitive: key of the sensitive attribute, if there is one.
        factors: keys of the ground-truth factors.
        factor_sizes: number of values of each factor.
        classes: the label's values in index order; empty until Transform has seen the data.
        groups: the sensitive attribute's values in index order; empty until then, too.
        examples: number of training examples; 0 until training has counted them.
        targets: what else to predict from the embedding; neither Transform nor any model reads them.
    """

    kind: Kind
    shape: tuple[int, ...]
    dtype: Literal["uint8", "float32"] = "float32"
    columns: tuple[Column, ...] = ()
    id: str = "id"
    label: str | None = None
    sensitive: str | None = None
    factors: tuple[str, ...] = ()
    factor_sizes: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    examples: int = 0
    targets: tuple[Target, ...] = ()

    @property
    def numeric(self) -> tuple[Column, ...]:
        """The numeric columns, in order."""
        return tuple(c for c in self.columns if c.kind == "numeric")

    @property
    def categorical(self) -> tuple[Column, ...]:
        """The categorical columns, in order."""
        return tuple(c for c in self.columns if c.kind == "categorical")

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one model input `x`.

        Images and vectors keep their own shape. A table's `x` is one row: standardised numeric values,
        then one-hot blocks of the categorical columns, then a mask (1 = observed) over all columns.
        """
        if self.kind != "table":
            return self.shape
        one_hot = sum(c.cardinality for c in self.categorical)
        return (len(self.numeric) + one_hot + len(self.columns),)

    @property
    def width(self) -> int:
        """Number of scalars in one model input `x`."""
        return math.prod(self.event_shape)

    def to_json(self) -> str:
        """Returns the spec as one line of JSON, keys sorted, so that equal specs give equal text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "FeatureSpec":
        """Returns the spec that `to_json` wrote, now or before there were targets.

        Raises:
            ValueError: if `text` is not such JSON.
        """
        fields = json.loads(text)
        fields["columns"] = tuple(Column(**c) for c in fields["columns"])
        fields["targets"] = tuple(Target(**t) for t in fields.get("targets", ()))
        for key in ("shape", "factors", "factor_sizes", "classes", "groups"):
            fields[key] = tuple(fields[key])
        return cls(**fields)
