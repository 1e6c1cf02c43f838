"""Small real data sets as ingestion writes them, with what Transform learned from each."""

import functools
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from sklearn.datasets import load_digits
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils
from tfx_bsl.public import tfxio

from models.features.dataset import Examples
from models.features.preprocessing import preprocessing_fn
from models.features.resolve import resolve
from models.features.spec import Column, FeatureSpec

STACK = [
    # TFT divides 0 by 0 where a bundle of records has no value of a column, and goes on with the right sums.
    pytest.mark.filterwarnings("ignore:invalid value encountered in divide:RuntimeWarning"),
    # Keras and TensorFlow under NumPy 2; SWIG under Python 3.11.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:builtin type .* has no __module__ attribute:DeprecationWarning"),
]
"""Marks for what the stack warns about and nobody here can change."""

TEXT = tf.io.FixedLenFeature([1], tf.string)
NUMBER = tf.io.FixedLenFeature([1], tf.float32)


@dataclass(frozen=True)
class Sample:
    """Files of one data set in a folder: train.gz, eval.gz, transform/."""

    root: Path
    raw: FeatureSpec
    rows: list[dict]

    @property
    def transform(self) -> str:
        return str(self.root / "transform")

    @functools.cached_property
    def output(self) -> tft.TFTransformOutput:
        return tft.TFTransformOutput(self.transform)

    @functools.cached_property
    def spec(self) -> FeatureSpec:
        return resolve(self.raw, self.transform)

    def files(self, split: str) -> list[str]:
        return [str(self.root / f"{split}-*")]

    def examples(self, split: str) -> Examples:
        return Examples(self.files(split), self.output, self.spec)


def example(row: dict) -> bytes:
    features = {}
    for key, value in row.items():
        values = value if isinstance(value, (list, np.ndarray)) else [value]
        if isinstance(values[0], bytes):
            features[key] = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        elif isinstance(values[0], int):
            features[key] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            features[key] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write_records(path: Path, records: list[bytes]) -> None:
    kind = "GZIP" if path.suffix == ".gz" else ""
    with tf.io.TFRecordWriter(str(path), kind) as writer:
        for record in records:
            writer.write(record)


def build(root: Path, raw: FeatureSpec, rows: list[dict], declared: dict) -> Sample:
    """Writes four fifths of the rows as train in three files and the rest as eval, and runs Transform."""
    root.mkdir(parents=True)
    records = [example(row) for row in rows]
    train, held_out = records[: len(records) * 4 // 5], records[len(records) * 4 // 5 :]
    for index in range(3):
        write_records(root / f"train-{index}.gz", train[index::3])
    write_records(root / "eval-0.gz", held_out)
    schema = schema_utils.schema_from_feature_spec(declared)
    source = tfxio.TFExampleBeamRecord(physical_format="inmem", schema=schema)
    function = functools.partial(preprocessing_fn, custom_config={"spec": raw.to_json()})
    with beam.Pipeline("FnApiRunner") as pipeline, tft_beam.Context(temp_dir=str(root / "tmp")):
        data = pipeline | beam.Create(train) | source.BeamSource()
        learned = (data, source.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(function)
        learned | tft_beam.WriteTransformFn(str(root / "transform"))
    metadata_io.write_metadata(dataset_metadata.DatasetMetadata(schema), str(root / "transform/metadata"))
    return Sample(root, raw, rows)


@functools.cache
def digits(root: Path) -> Sample:
    """Handwritten digits, 8 x 8, with label and id."""
    images, labels = load_digits(return_X_y=True)
    pixels = np.round(images * 255 / 16).astype(np.uint8)
    rows = [
        {"image": image.tobytes(), "digit": str(label).encode(), "id": str(index).encode()}
        for index, (image, label) in enumerate(zip(pixels[:700], labels[:700], strict=True))
    ]
    raw = FeatureSpec("image", (8, 8, 1), "uint8", label="digit")
    return build(root / "digits", raw, rows, {"image": TEXT, "digit": TEXT, "id": TEXT})


@functools.cache
def blobs(root: Path) -> Sample:
    """Vectors of width 5 around two centers; the fourth entry is constant; two ground-truth factors."""
    draws = np.random.default_rng(1)
    rows = []
    for index in range(160):
        vector = draws.normal([0, 10, -3, 1e6, 0] if index % 2 else [4, 12, -3, 1e6, 0], [1, 2, 3, 0, 1e-3])
        rows.append({"vector": vector.tolist(), "id": str(index).encode(), "side": index % 2, "turn": index % 3})
    raw = FeatureSpec("vector", (5,), factors=("side", "turn"), factor_sizes=(2, 3))
    factor = tf.io.FixedLenFeature([1], tf.int64)
    declared = {"vector": tf.io.FixedLenFeature([5], tf.float32), "id": TEXT, "side": factor, "turn": factor}
    return build(root / "blobs", raw, rows, declared)


@functools.cache
def people(root: Path) -> Sample:
    """A table with missing cells in every role.

    Names that are no file names, a constant column, and two columns with values in the last row alone.
    """
    draws = np.random.default_rng(2)
    rows = []
    for index in range(200):
        row = {"age": float(draws.normal(40, 12)), "years in": 1e7, "id": f"p{index}".encode()}
        row |= {"job/kind": draws.choice([b"baker", b"cook", b"clerk"], p=[0.5, 0.3, 0.2])}
        row |= {"town": draws.choice([b"Bern", b"Basel"])} if index % 4 else {}
        row |= {"income": float(draws.lognormal(3, 1))} if index % 5 else {}
        row |= {"rich": b"yes" if draws.random() < 0.3 else b"no"} if index % 7 else {}
        row |= {"group": draws.choice([b"a", b"b", b"c"])} if index % 9 else {}
        rows.append(row)
    rows[-1] |= {"debt": 2.5, "pet": b"cat"}
    columns = [Column(name, "numeric") for name in ("age", "years in", "income", "debt")]
    columns += [Column(name, "categorical") for name in ("job/kind", "town", "pet")]
    raw = FeatureSpec("table", (7,), columns=tuple(columns), label="rich", sensitive="group")
    text, number = tf.io.VarLenFeature(tf.string), tf.io.VarLenFeature(tf.float32)
    declared = {"age": NUMBER, "years in": NUMBER, "job/kind": TEXT, "id": TEXT}
    declared |= {"income": number, "debt": number, "town": text, "pet": text, "rich": text, "group": text}
    return build(root / "people", raw, rows, declared)


def arguments(sample: Sample, folder: Path, **training) -> SimpleNamespace:
    """Returns what TFX's Trainer would call `run_fn` with; outputs and checkpoints go below `folder`."""
    model = {"recipe": "beta_vae", "latent": 4, "network": "auto", "likelihood": "auto"}
    section = {"epochs": 5, "batch": 32, "learning_rate": 2e-3, "patience": 5, "checkpoint_every": 6, "xla": "auto"}
    config = {
        "spec": sample.raw.to_json(),
        "model": model | {"parameters": {"beta": 0.5}},
        "training": section | training,
        "seed": 0,
        "data": {"images": {"size": None, "channels": None, "letterbox": True}, "missing": ["?"]},
        "code": "0",
        "checkpoints": str(folder / "checkpoints"),
    }
    return SimpleNamespace(
        train_files=sample.files("train"),
        eval_files=sample.files("eval"),
        transform_graph_path=sample.transform,
        custom_config=config,
        serving_model_dir=str(folder / "model" / "Format-Serving"),
        model_run_dir=str(folder / "run"),
    )
