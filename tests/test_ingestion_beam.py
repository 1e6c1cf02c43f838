"""Ingestion on Beam: the component that writes the splits."""

import hashlib
import json
import logging

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from models.errors import InputError
from models.features.encoding import parse
from models.features.spec import Column, FeatureSpec
from pipeline.config import Data
from pipeline.failures import reason
from pipeline.ingestion import open_source, read
from pipeline.ingestion.examples import to_example
from pipeline.ingestion.ingest import Executor, Ingest

ARGS = ["--runner=FnApiRunner", "--sdk_container_image=none"]  # the image: or TFX packs itself up for workers
SPLITS = ("train", "eval", "test")


def properties(component):
    """What TFX hands the executor: protos as JSON."""
    found = component.exec_properties.items()
    return {key: proto_utils.proto_to_json(v) if hasattr(v, "DESCRIPTOR") else v for key, v in found}


def ingest(data, folder):
    """Runs the executor as TFX does; returns the serialized examples of each split."""
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder / "examples")
    context = Executor.Context(beam_pipeline_args=ARGS, tmp_dir=str(folder / "tmp"), unique_id="1")
    Executor(context).Do({}, {"examples": [artifact]}, properties(Ingest(data)))
    assert json.loads(artifact.split_names) == list(SPLITS)
    return {
        split: list(
            tf.data.TFRecordDataset(tf.io.gfile.glob(f"{artifact.uri}/Split-{split}/*.gz"), "GZIP").as_numpy_iterator()
        )
        for split in SPLITS
    }


def ids(serialized, spec):
    return [key.decode() for key in parse(tf.constant(serialized), spec, roles=True)[spec.id].numpy()]


def expected_split(key, shares=(8, 1, 1)):
    """The split of an id, computed from the documented hash alone."""
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[key.encode()]))
    bucket = int(hashlib.sha256(feature.SerializeToString()).hexdigest(), 16) % sum(shares)
    return SPLITS[int(np.searchsorted(np.cumsum(shares), bucket, side="right"))]


def test_digits_become_splits_by_a_hash_of_the_id(tmp_path):
    splits = ingest(Data(source="digits"), tmp_path)
    spec = Ingest(Data(source="digits")).description.spec
    assert sum(map(len, splits.values())) == 1797
    assert len(splits["train"]) == pytest.approx(0.8 * 1797, rel=0.05)
    found = {key: split for split, examples in splits.items() for key in ids(examples, spec)}
    assert found == {str(i): expected_split(str(i)) for i in range(1797)}
    raw = parse(tf.constant(splits["test"]), spec, roles=True)
    pixels = tf.reshape(tf.io.decode_raw(raw["image"], tf.uint8), (-1, 8, 8, 1))
    assert pixels.shape[0] == len(splits["test"])
    assert set(raw["label"].numpy()) == {str(digit).encode() for digit in range(10)}


def test_a_table_keeps_its_gaps_through_to_the_records(tmp_path):
    lines = [f"{i if i % 3 else '?'},{'uv'[i % 2] if i % 5 else ''},{'ab'[i % 2] if i % 4 else ''}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["n,c,y", *lines]))
    data = Data(source=str(tmp_path / "t.csv"), label="y", splits={"train": 2, "eval": 1, "test": 1})
    splits = ingest(data, tmp_path)
    examples = [tf.train.Example.FromString(e) for split in splits.values() for e in split]
    assert len(examples) == 60
    for example in examples:
        features = example.features.feature
        i = int(features["id"].bytes_list.value[0])
        assert ("n" in features, "c" in features, "y" in features) == (i % 3 > 0, i % 5 > 0, i % 4 > 0)
        assert not i % 3 or features["n"].float_list.value == [i]
    spec = Ingest(data).description.spec
    for split, serialized in splits.items():
        assert all(expected_split(key, (2, 1, 1)) == split for key in ids(serialized, spec))


def test_an_image_folder_becomes_raw_bytes(tmp_path):
    rng = np.random.default_rng(0)
    images = {f"{'ab'[i % 2]}/{i}.png": rng.integers(0, 256, (5, 6, 3), dtype=np.uint8) for i in range(40)}
    for name, pixels in images.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "in" / name)
    data = Data(source=str(tmp_path / "in"), splits={"train": 2, "eval": 1, "test": 1})
    splits = ingest(data, tmp_path)
    spec = Ingest(data).description.spec
    raw = parse(tf.constant([e for split in splits.values() for e in split]), spec, roles=True)
    assert len(raw["image"]) == 40
    for key, content, label in zip(*(raw[name].numpy() for name in ("id", "image", "class")), strict=True):
        assert content == images[key.decode()].tobytes()
        assert label == key[:1]


def test_too_few_examples_for_a_split_are_refused(tmp_path):
    np.savez(tmp_path / "few.npz", x=np.eye(3))
    with pytest.raises(InputError) as caught:
        ingest(Data(source=str(tmp_path / "few.npz"), splits={"train": 1, "eval": 1, "test": 1000}), tmp_path)
    assert str(caught.value) == (
        "data.splits: there are too few examples for a split 'train': none fell into it. Give more data, or raise "
        "data.splits.train."
    )


def test_a_failure_inside_beam_keeps_its_one_line_reason(tmp_path):
    x = np.zeros((1200, 8192), np.float32)
    x[1100, 5] = np.nan
    np.savez(tmp_path / "bad.npz", x=x)
    with pytest.raises(InputError) as caught:
        ingest(Data(source=str(tmp_path / "bad.npz")), tmp_path)
    line = "bad.npz: array 'x' holds NaN or infinity in row 1100. Fill such rows in, or leave them out."
    assert reason(caught.value) == (line, True)


def refusal(data, folder) -> str:
    with pytest.raises(InputError) as caught:
        ingest(data, folder)
    line, mendable = reason(caught.value)
    assert mendable
    return line


def test_an_id_that_names_two_examples_is_refused(tmp_path):
    rows = [f"{i},{'uv'[i % 2]},k{i % 57}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["n,c,key", *rows]))
    assert refusal(Data(source=str(tmp_path / "t.csv"), id="key"), tmp_path) == (
        "data.id: t.csv: column 'key' holds 'k0' in row 1 of t.csv and in row 58 of t.csv. Name one whose values are "
        "unique, or leave data.id out to number the rows."
    )
    np.savez(tmp_path / "a.npz", x_train=np.eye(9), x_test=np.eye(9), id_train=range(9), id_test=range(8, 17))
    assert refusal(Data(source=str(tmp_path / "a.npz"), id="id_train"), tmp_path / "npz") == (
        "data.id: a.npz: array 'id_train' holds '8' in row 0 of test and in row 8 of train. Name one whose values are "
        "unique, or leave data.id out to number the rows."
    )


def test_a_column_called_id_that_names_examples_twice_can_be_ignored(tmp_path):
    for name, offset in (("a.csv", 0), ("b.csv", 30)):
        rows = [f"{i},{'uv'[i % 2]},{i % 59}" for i in range(offset, offset + 30)]
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_text("\n".join(["n,c,id", *rows]))
    data = {"source": str(tmp_path / "in"), "splits": {"train": 2, "eval": 1, "test": 1}}
    assert refusal(Data(**data), tmp_path / "twice") == (
        "data.id: in: column 'id' holds '0' in row 1 of a.csv and in row 30 of b.csv. Name one whose values are "
        "unique, or add 'id' to data.columns.ignore to number the rows."
    )
    splits = ingest(Data(**data, columns={"ignore": ("id",)}), tmp_path / "numbered")
    assert sum(map(len, splits.values())) == 60


def test_the_query_changes_exactly_when_the_examples_do(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,y\n1,2,u\n3,4,v\n")

    def query(seed=0, **data):
        return properties(Ingest(Data(**data), seed=seed))["input_config"]

    first = query(source=str(path))
    assert query(source=str(path)) == first
    assert query(seed=1, source=str(path)) == first  # nothing is drawn here
    assert query(source=str(path), schema="schema.pbtxt") == first
    assert query(source=str(path), label="y") != first
    path.write_text("a,b,y\n1,2,u\n3,5,v\n")
    assert query(source=str(path)) != first
    drawn = {"source": "sprites", "sprites": {"count": 10}}
    assert query(seed=1, **drawn) != query(seed=0, **drawn)


def test_input_that_cannot_be_used_is_refused_before_the_pipeline_runs():
    with pytest.raises(InputError, match="no such file or folder: nowhere.csv"):
        Ingest(Data(source="nowhere.csv"))


def test_reading_for_a_trained_model_needs_no_labels(tmp_path):
    (tmp_path / "new.csv").write_text("extra,job,age\n1,nurse,31\n2,?,\n")
    spec = FeatureSpec(
        "table",
        (2,),
        columns=(Column("age", "numeric"), Column("job", "categorical")),
        id="key",
        label="income",
        sensitive="sex",
        factors=("f",),
        factor_sizes=(3,),
    )
    source = open_source(Data(source=str(tmp_path / "new.csv")), expected=spec)
    assert source.spec == spec
    read_rows = [record for shard in source.shards() for record in source.read(shard)]
    assert read_rows == [{"age": 31.0, "job": "nurse", "key": "0"}, {"key": "1"}]


def test_reading_says_how_far_it_has_come(caplog, monkeypatch):
    monkeypatch.setattr(read, "SECONDS", 0)
    source = open_source(Data(source="digits"))
    step = read.ReadShard(source, source.describe().count)
    step.setup()
    with caplog.at_level(logging.INFO, "metaprior.progress"):
        assert sum(1 for _ in step.process(source.shards()[0])) == 1797
    assert caplog.messages[-1] == "1,792 of 1,797 examples"
    assert caplog.records[-1].fraction == 1792 / 1797


@pytest.mark.parametrize(
    ("value", "spec", "feature"),
    [
        (np.arange(6, dtype=np.uint8).reshape(1, 2, 3), FeatureSpec("image", (1, 2, 3), "uint8"), [bytes(range(6))]),
        (np.array([[[0.5]]], np.float32), FeatureSpec("image", (1, 1, 1)), [b"\x00\x00\x00\x3f"]),
        (np.array([0.5, 2], np.float32), FeatureSpec("vector", (2,)), [0.5, 2.0]),
    ],
)
def test_arrays_travel_as_the_spec_says(value, spec, feature):
    example = to_example({spec.kind: value, "id": "é"}, spec)
    found = example.features.feature[spec.kind]
    assert list(found.bytes_list.value or found.float_list.value) == feature
    assert example.features.feature["id"].bytes_list.value == ["é".encode()]
