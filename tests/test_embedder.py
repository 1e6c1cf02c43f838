"""The Embedder on real models and records: what stands beside the codes in its tables."""

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import artifacts
import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import samples
import tensorflow as tf
from apache_beam.testing.util import assert_that, equal_to
from tfx.types import standard_artifacts

from components.artifacts import Embeddings
from components.embedder.component import Executor, _Model
from components.embedder.context import Context
from components.embedder.transforms import Sample
from components.evaluator import rows
from models import export
from models.features.ids import digest
from models.features.spec import Column, FeatureSpec, Target
from models.signatures import Signatures
from models.task import Task

pytestmark = samples.STACK

ASKED = {
    "examples_limit": 50,
    "slices": '["age", "town"]',
    "measures": '{"samples": 7, "noise": [0.0, 0.5], "examples": 12, "again": ["likelihood", "robustness"]}',
}
TARGETS = (Target("kind", "classification"), Target("price", "regression"), Target("tags", "multilabel", 3))
LABELS = pa.list_(pa.int8())
TYPES = {"target:kind": pa.string(), "target:price": pa.float64(), "target:tags": LABELS}


def table_of(spec: FeatureSpec, found: list[dict], slices=()) -> pa.Table:
    context = Context(spec, slices)
    batch = tf.constant([samples.example(row) for row in found])
    return pa.Table.from_arrays(context.columns(batch), schema=pa.schema(context.fields))


def test_each_kind_of_target_has_its_type_and_what_is_missing_is_null():
    spec = FeatureSpec("vector", (2,), targets=TARGETS)
    found = table_of(
        spec,
        [
            {"id": b"a", "kind": "größe".encode(), "price": -0.5, "tags": [1, 0, 1]},
            {"id": b"b", "tags": [0, -1, 1]},
            {"id": b"c", "kind": b"x", "price": float("nan"), "tags": [-1, -1, -1]},
            {"id": b"d", "price": 2.0**100},
        ],
    )
    assert {field.name: field.type for field in found.schema} == {"id": pa.string(), **TYPES}
    assert found.column("target:kind").to_pylist() == ["größe", None, "x", None]
    assert found.column("target:price").to_pylist() == [-0.5, None, None, 2.0**100]
    assert found.column("target:tags").to_pylist() == [[1, 0, 1], [0, None, 1], None, None]


def test_slices_are_text_or_numbers_as_their_columns_are():
    columns = (Column("age", "numeric"), Column("size", "numeric"), Column("job", "categorical"))
    spec = FeatureSpec("table", (3,), columns=columns, label="y")
    found = table_of(spec, [{"id": b"a", "age": 31.5, "job": b"cook", "y": b"u"}, {"id": b"b"}], ("job", "age", "y"))
    assert found.to_pydict() == {
        "id": ["a", "b"],
        "label": ["u", None],
        "slice:age": [31.5, None],
        "slice:job": ["cook", None],
    }
    assert found.schema.field("slice:age").type == pa.float64()


def test_the_baselines_hold_the_examples_that_each_probe_needs():
    def example(number: int) -> bytes:
        known = {"y": b"u"} if number % 2 else {}
        return samples.example({"id": str(number).encode(), **known, **({"t": 0.5} if number % 20 == 0 else {})})

    order = sorted(range(100), key=lambda number: digest(str(number)))
    with_label = [number for number in order if number % 2][:30]
    with_target = [number for number in order if number % 20 == 0]
    filled = [number for number in order if number % 20][: 30 - len(with_target)]
    kept = {*with_label, *with_target, *filled}
    with beam.Pipeline("FnApiRunner") as pipeline:
        found = pipeline | beam.Create([example(n) for n in range(100)]) | Sample(30, key="id", known=["y", "t"])
        assert_that(found, equal_to([example(n) for n in kept]))


@dataclass(frozen=True)
class Measured:
    """What the Embedder wrote about a table's rows: under a model with targets, and under the last blessed one."""

    root: Path
    task: Task
    model: keras.Model
    sample: samples.Sample

    @property
    def signatures(self) -> Signatures:
        return Signatures(self.model, self.sample.output, self.task.spec)

    @property
    def train(self) -> list[dict]:
        return self.sample.rows[:160]

    @property
    def test(self) -> list[dict]:
        return self.sample.rows[160:]

    def read(self, artifact: str, split: str, prefix: str) -> pa.Table:
        files = sorted((self.root / artifact / f"Split-{split}").glob(f"{prefix}-*.parquet"))
        return pq.read_table(files).sort_by("id")


def sample_of(root: Path) -> samples.Sample:
    rows = []
    for place in range(200):
        row = {"id": f"p{place:03}".encode(), "age": 20.0 + place % 40, "price": place / 4}
        row |= {"town": [b"Bern", b"Basel"][place % 2]} if place % 4 else {}
        row |= {"rich": [b"no", b"yes"][place % 2]} if place % 7 else {}
        row |= {"group": [b"a", b"b"][place % 2]} if place % 6 else {}
        row |= {"kind": [b"u", b"v"][place % 2], "tags": [0, 1, place % 2]} if place % 3 else {}
        rows.append(row)
    text, labels = tf.io.VarLenFeature(tf.string), tf.io.VarLenFeature(tf.int64)
    declared = {"id": samples.TEXT, "age": samples.NUMBER, "price": samples.NUMBER, "tags": labels}
    columns = (Column("age", "numeric"), Column("town", "categorical"))
    spec = FeatureSpec("table", (2,), columns=columns, label="rich", sensitive="group", targets=TARGETS)
    return samples.build(root, spec, rows, declared | dict.fromkeys(("town", "rich", "group", "kind"), text))


def describe_otherwise(model: Path, space: str, *targets: Target) -> None:
    """Makes a model say that it is another one, trained on data with other targets."""
    path = model / "Format-Serving/assets.extra/metaprior.json"
    record = json.loads(path.read_text())
    record["spec"]["targets"] = [dataclasses.asdict(target) for target in targets]
    path.write_text(json.dumps(record | {"space": space}))


def artifact_at(kind, folder: Path):
    artifact = kind()
    artifact.uri = str(folder)
    return artifact


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Measured:
    root = tmp_path_factory.mktemp("measured")
    sample = sample_of(root / "sample")
    task = artifacts.task_of(sample)
    model = task.build()
    splits = {"held_out": sample.examples("eval"), "train": sample.examples("train")}
    export.write(model, task, **splits, summary={}, folder=root / "new")
    shutil.copytree(root / "new", root / "last")
    describe_otherwise(root / "last", "last", Target("price", "classification"), Target("gone", "regression"))
    examples = artifact_at(standard_artifacts.Examples, root / "examples")
    examples.split_names = '["train", "test"]'
    for split, files in (("train", sample.root.glob("train-*")), ("test", sample.root.glob("eval-*"))):
        (root / "examples" / f"Split-{split}").mkdir(parents=True)
        for file in files:
            shutil.copy(file, root / "examples" / f"Split-{split}")
    inputs: dict[str, Any] = {
        "examples": [examples],
        "model": [artifact_at(standard_artifacts.Model, root / "new")],
        "baseline_model": [artifact_at(standard_artifacts.Model, root / "last")],
    }
    outputs: dict[str, Any] = {
        "embeddings": [artifact_at(Embeddings, root / "embeddings")],
        "baseline_embeddings": [artifact_at(Embeddings, root / "compared")],
    }
    flags: list[Any] = ["--runner=FnApiRunner", "--sdk_container_image=none"]
    context = Executor.Context(beam_pipeline_args=flags, tmp_dir=str(root / "tmp"), unique_id="1")
    Executor(context).Do(inputs, outputs, ASKED)
    return Measured(root, task, model, sample)


@pytest.mark.parametrize(
    ("artifact", "prefix"), [("embeddings", "embeddings"), ("embeddings", "baselines"), ("compared", "embeddings")]
)
def test_targets_and_slices_stand_in_every_table(measured, artifact, prefix):
    found = measured.read(artifact, "test", prefix)
    assert TYPES | {"slice:age": pa.float64(), "slice:town": pa.string()} == {
        field.name: field.type for field in found.schema if field.name.startswith(("target:", "slice:"))
    }
    given = {key: [row.get(key) for row in measured.test] for key in ("id", "kind", "price", "tags", "town", "age")}
    assert [id.encode() for id in found.column("id").to_pylist()] == given["id"]
    assert [text and text.encode() for text in found.column("target:kind").to_pylist()] == given["kind"]
    assert found.column("target:price").to_pylist() == given["price"]
    assert found.column("target:tags").to_pylist() == given["tags"]
    assert [text and text.encode() for text in found.column("slice:town").to_pylist()] == given["town"]
    assert found.column("slice:age").to_pylist() == given["age"]


def test_the_files_say_of_which_kind_each_target_is(measured):
    new, last = (rows.header(measured.root / artifact) for artifact in ("embeddings", "compared"))
    assert new.spec.targets == last.spec.targets == TARGETS
    assert (new.space, last.space) == (export.space(measured.model, measured.task), "last")


def test_the_baselines_hold_as_many_examples_as_are_asked_for_of_each(measured):
    order = sorted(measured.train, key=lambda row: digest(row["id"]))
    wanted = ("rich", "group", "kind", "price", "tags")
    kept = {row["id"].decode() for key in wanted for row in sorted(order, key=lambda row: key not in row)[:50]}
    assert 50 < len(kept) < len(order)
    assert set(measured.read("embeddings", "train", "baselines").column("id").to_pylist()) == kept
    assert len(measured.read("embeddings", "train", "embeddings")) == len(order)


@pytest.mark.parametrize("artifact", ["embeddings", "compared"])
def test_what_is_asked_beside_codes_is_asked_of_some_test_examples_and_of_the_last_blessed_model(measured, artifact):
    found = measured.read(artifact, "test", "measures")
    assert len(found) == 12
    assert found["id"] == measured.read("embeddings", "test", "measures")["id"]
    assert not list((measured.root / "embeddings" / "Split-train").glob("measures-*"))
    whole = measured.read("embeddings", "test", "embeddings")
    codes = dict(zip(whole["id"].to_pylist(), whole["embedding"].to_pylist(), strict=True))
    for id, still, moved in zip(*(found[name].to_pylist() for name in ("id", "noisy:0", "noisy:0.5")), strict=True):
        np.testing.assert_allclose(still, codes[id], atol=1e-5)
        assert np.any(np.abs(np.subtract(moved, still)) > 1e-3)
    elbo, iwae = (np.array(found[f"sampled:{name}"].to_pylist()) for name in ("elbo", "iwae"))
    assert np.all(iwae >= elbo)


def test_a_model_is_asked_again_for_what_is_bounded_and_its_export_answers(measured, tmp_path):
    asked = {"samples": 7, "noise": [0.5]}
    last = _Model.at(str(measured.root / "last"))
    assert last.answers(asked, ["likelihood"]) == {"samples": 7, "noise": []}
    assert last.answers(asked, ["robustness"]) == {"samples": 0, "noise": [0.5]}
    shutil.copytree(measured.root / "last", tmp_path / "old", ignore=shutil.ignore_patterns("Format-Baselines"))
    assert _Model.at(str(tmp_path / "old")).answers(asked, ["likelihood", "robustness"]) == {"samples": 0, "noise": []}


def test_the_model_is_served_without_its_targets(measured):
    inputs = {column.name for column in measured.task.spec.columns}
    bare = [samples.example({key: row[key] for key in inputs & row.keys()}) for row in measured.test]
    served = tf.saved_model.load(str(measured.root / "new" / "Format-Serving"))
    codes = served.signatures["serving_default"](examples=tf.constant(bare))["embedding"]
    written = {row["id"]: row["embedding"] for row in measured.read("embeddings", "test", "embeddings").to_pylist()}
    np.testing.assert_allclose(codes, [written[row["id"].decode()] for row in measured.test], rtol=1e-6)
    assert set(measured.signatures.tensors) == inputs == {"age", "town"}


def test_targets_make_no_other_space(measured):
    def space(**changes) -> str:
        spec = dataclasses.replace(measured.task.spec, **changes)
        return export.space(measured.model, dataclasses.replace(measured.task, spec=spec))

    assert space(targets=()) == space()
    assert space(label=None) != space()
