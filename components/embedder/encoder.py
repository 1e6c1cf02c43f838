"""An exported encoder over batches of serialized examples."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf

from components.embedder.context import Context
from models.artifact import BASELINES, SERVING, read_metadata, read_spec

BOUNDS = ("elbo", "iwae")


def _schema(record: dict, slices: Sequence[str], *, codes: list[str], scalars: list[str]) -> pa.Schema:
    width = pa.list_(pa.field("item", pa.float32()))
    fields = Context(read_spec(record), slices).fields
    fields += [pa.field(name, width) for name in codes]
    fields += [pa.field(name, pa.float32()) for name in scalars]
    return pa.schema(fields, metadata={"metaprior": json.dumps(record, sort_keys=True)})


def vectors(values: np.ndarray) -> pa.ListArray:
    """Returns rows of a float matrix [batch, width] as a `list<float32>` column."""
    batch, width = values.shape
    offsets = pa.array(np.arange(0, (batch + 1) * width, width, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(values.astype(np.float32).ravel()))


class Encoder:
    """Serialized examples in, a table of codes out.

    Args:
        saved_model: folder of an exported encoder (`Format-Serving`, or a pushed version).
        score: whether to add the columns `distortion` and `elbo` (nats).
        record: what the tables say about the encoder and the examples' data; None for the encoder's own.
        slices: input columns of a table to write beside the codes.

    Attributes:
        schema: schema of the tables.

    Raises:
        OSError: if there is no SavedModel there.
    """

    def __init__(self, saved_model: str, *, score: bool, record: dict | None = None, slices: Sequence[str] = ()):
        record = record or read_metadata(saved_model)
        self._context = Context(read_spec(record), slices)
        self._model = tf.saved_model.load(saved_model)
        self._encode = self._model.signatures["serving_default"]
        self._score = self._model.signatures["score"] if score else None
        self.schema = self.schema_of(record, score=score, slices=slices)

    @staticmethod
    def schema_of(record: dict, *, score: bool, slices: Sequence[str] = ()) -> pa.Schema:
        """Returns the schema of the tables of the encoder with this record; no model is loaded."""
        scalars = ["rate", "distortion", "elbo"] if score else ["rate"]
        return _schema(record, slices, codes=["embedding", "stddev"], scalars=scalars)

    def __call__(self, examples: Sequence[bytes]) -> pa.Table:
        """Returns one row per example: context columns, embedding, stddev, rate (and distortion, elbo)."""
        batch = tf.constant(examples)
        codes = {name: value.numpy() for name, value in self._encode(examples=batch).items()}
        columns = self._context.columns(batch)
        columns += [vectors(codes["embedding"]), vectors(codes["stddev"]), pa.array(codes["rate"])]
        if self._score:
            scores = self._score(examples=batch)
            columns += [pa.array(scores[name].numpy()) for name in ("distortion", "elbo")]
        return pa.Table.from_arrays(columns, schema=self.schema)


class Measures:
    """Serialized examples in, a table of what the trained model says of them beside their codes.

    Args:
        model: uri of a trained model artifact.
        samples: codes of each example behind its bounds on the likelihood; 0 for none.
        noise: levels of noise whose codes are wanted.
        record: what the tables say about the encoder and the examples' data; None for the encoder's own.
    """

    def __init__(self, model: str, *, samples: int, noise: Sequence[float], record: dict | None = None):
        record = record or read_metadata(Path(model, SERVING))
        self._context = Context(read_spec(record))
        self._samples = samples
        self._noise = noise
        self._model = tf.saved_model.load(str(Path(model, BASELINES)))
        self.schema = self.schema_of(record, samples=samples, noise=noise)

    @staticmethod
    def schema_of(record: dict, *, samples: int, noise: Sequence[float]) -> pa.Schema:
        """Returns the schema of the tables for the encoder with this record; no model is loaded."""
        scalars = [f"sampled:{name}" for name in BOUNDS] if samples else []
        return _schema(record, (), codes=[f"noisy:{level:g}" for level in noise], scalars=scalars)

    def __call__(self, examples: Sequence[bytes]) -> pa.Table:
        """Returns one row per example: context columns, codes by level of noise, sampled bounds in nats."""
        batch = tf.constant(examples)
        columns, run = self._context.columns(batch), self._model.signatures
        for level in self._noise:
            columns.append(vectors(run["noisy"](examples=batch, level=tf.constant(level))["embedding"].numpy()))
        if self._samples:
            bounds = run["likelihood"](examples=batch, samples=tf.constant(self._samples))
            columns += [pa.array(bounds[name].numpy()) for name in BOUNDS]
        return pa.Table.from_arrays(columns, schema=self.schema)


class Baselines:
    """Serialized examples in, a table of what any encoder must beat out: raw features and a random encoder.

    Args:
        model: uri of a trained model artifact.
        slices: input columns of a table to write, too.
    """

    def __init__(self, model: str, *, slices: Sequence[str] = ()):
        record = read_metadata(Path(model, SERVING))
        self._context = Context(read_spec(record), slices)
        self._model = tf.saved_model.load(str(Path(model, BASELINES)))
        self._run = self._model.signatures["serving_default"]
        self.schema = self.schema_of(record, slices=slices)

    @staticmethod
    def schema_of(record: dict, *, slices: Sequence[str] = ()) -> pa.Schema:
        """Returns the schema of the tables for the encoder with this record; no model is loaded."""
        return _schema(record, slices, codes=["features", "random"], scalars=[])

    def __call__(self, examples: Sequence[bytes]) -> pa.Table:
        """Returns one row per example: context columns, `features` [width], `random` [latent]."""
        batch = tf.constant(examples)
        outputs = self._run(examples=batch)
        columns = self._context.columns(batch)
        columns += [vectors(outputs[name].numpy()) for name in ("features", "random")]
        return pa.Table.from_arrays(columns, schema=self.schema)
