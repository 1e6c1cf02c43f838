"""Targets: columns and arrays to predict, which are read beside the inputs and are none."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sources
from sources import opened, records

from models.features.beside import slice_columns
from models.features.spec import Column, FeatureSpec, Target
from pipeline.ingestion.examples import to_example
from pipeline.ingestion.targets import FEW

save, table = sources.save, sources.table
X = np.random.default_rng(0).normal(size=(4, 2))
NAN = float("nan")

PEOPLE = """age,job,price,rooms,ok,id
31,cook,9.5,2,yes,a
?,nurse,?,1,no,b
44,cook,-1,?,?,c
58,nurse,1e3,2,no,d
"""


def beside(path, **data):
    """The records without their inputs and ids."""
    source = opened(path, **data)
    inputs = {"vector", "image", source.spec.id, *(column.name for column in source.spec.columns)}
    return [{key: value for key, value in record.items() if key not in inputs} for record in records(source)]


def test_a_tables_targets_are_no_inputs_and_their_missing_cells_stay_missing(table):
    path = table(PEOPLE)
    names = ("price", "rooms", "ok")
    spec = opened(path, targets=names).describe().spec
    assert spec.columns == (Column("age", "numeric"), Column("job", "categorical"))
    assert spec.targets == (
        Target("price", "regression"),
        Target("rooms", "classification"),
        Target("ok", "classification"),
    )
    assert beside(path, targets=names) == [
        {"price": 9.5, "rooms": "2", "ok": "yes"},
        {"rooms": "1", "ok": "no"},
        {"price": -1.0},
        {"price": 1000.0, "rooms": "2", "ok": "no"},
    ]


def test_a_parquet_tables_targets_keep_their_types(tmp_path):
    columns = {"a": [1.5, 2, 3], "n": [1, None, 2], "b": [True, False, None], "r": [0.25, None, 4]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    names = ("n", "b", "r")
    spec = opened(tmp_path / "t.parquet", targets=names).describe().spec
    assert [target.kind for target in spec.targets] == ["classification", "classification", "regression"]
    assert beside(tmp_path / "t.parquet", targets=names) == [
        {"n": "1", "b": "true", "r": 0.25},
        {"b": "false"},
        {"n": "2", "r": 4.0},
    ]


def test_whole_numbers_are_classes_as_long_as_they_are_few(table, save, caplog):
    def kinds(count: int) -> set[str]:
        numbers = np.arange(count)
        rows = table("a,n\n" + "".join(f"{value / 3},{value}\n" for value in numbers))
        arrays = save(x=np.linspace(0, 1, 2 * count).reshape(count, 2), n=numbers)
        return {opened(path, targets=("n",)).describe().spec.targets[0].kind for path in (rows, arrays)}

    assert kinds(FEW) == {"classification"}
    assert not caplog.messages
    assert kinds(FEW + 1) == {"regression"}
    assert caplog.messages == [
        "t.csv: column 'n' holds more than 20 whole numbers: taken as a quantity. "
        "Add it to data.columns.categorical for classes",
        "data.npz: array 'n' holds more than 20 whole numbers: taken as a quantity. Save it as text for classes",
    ]


def test_a_tables_overrides_decide_the_kinds_of_targets_too(table):
    path = table("a,few,many\n" + "".join(f"{i / 3},{i % 2},{i}\n" for i in range(30)))
    columns = {"numeric": ("few",), "categorical": ("many",)}
    spec = opened(path, targets=("few", "many"), columns=columns).describe().spec
    assert spec.targets == (Target("few", "regression"), Target("many", "classification"))
    # A worker of Beam opens the source with the spec that was found.
    again = opened(path, targets=("few", "many"), columns=columns, expected=spec)
    assert [records(again)[3][name] for name in ("few", "many")] == [1.0, "3"]


def test_an_ignored_column_can_be_a_target_and_a_label(table):
    path = table("a,b,c\n1.5,u,x\n2,v,y\n")
    spec = opened(path, targets=("b",), label="c", columns={"ignore": ("b", "c")}).describe().spec
    assert (spec.columns, spec.targets) == ((Column("a", "numeric"),), (Target("b", "classification"),))


def test_arrays_are_targets_by_their_type_and_missing_values_stay_missing(save):
    path = save(
        x=X,
        kind=np.array(["a", "b", " ", "?"]),
        size=np.array([[3], [1], [1], [2]], np.uint8),
        flag=np.array([True, False, True, True]),
        price=np.array([1.0, NAN, 2.0, -0.5], np.float32),
        tags=np.asfortranarray([[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1]]),
        known=np.array([[0, NAN], [1, 1], [NAN, NAN], [0, 0]]),
    )
    names = ("kind", "size", "flag", "price", "tags", "known")
    assert opened(path, targets=names).describe().spec.targets == (
        Target("kind", "classification"),
        Target("size", "classification"),
        Target("flag", "classification"),
        Target("price", "regression"),
        Target("tags", "multilabel", 3),
        Target("known", "multilabel", 2),
    )
    assert beside(path, targets=names) == [
        {"kind": "a", "size": "3", "flag": "True", "price": 1.0, "tags": [0, 1, 1], "known": [0, -1]},
        {"kind": "b", "size": "1", "flag": "False", "tags": [1, 0, 0], "known": [1, 1]},
        {"size": "1", "flag": "True", "price": 2.0, "tags": [0, 0, 0]},
        {"size": "2", "flag": "True", "price": -0.5, "tags": [1, 1, 1], "known": [0, 0]},
    ]


def test_whole_numbers_that_mean_missing_are_missing_in_quantities_too(save):
    numbers = np.where(np.arange(30) % 10 == 0, -9, np.arange(30))
    found = beside(save(x=np.ones((30, 2)), n=numbers), targets=("n",), missing=("-9",))
    assert [row.get("n") for row in found[9:12]] == [9.0, None, 11.0]


def test_both_parts_of_a_keras_file_have_their_targets(save):
    tags = np.array([[0, 1], [1, 1], [1, 0]])
    path = save(x_train=X[:3], x_test=X[3:], tags_train=tags, tags_test=tags[:1], c_train=["u", "v", "u"], c_test=["v"])
    found = beside(path, targets=("tags", "c_train"))
    assert found == [{"tags": row, "c_train": c} for row, c in zip([*tags.tolist(), [0, 1]], "uvuv", strict=True)]


IMAGES = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)


def test_labels_travel_beside_the_bytes_of_an_image(save):
    source = opened(save(x=IMAGES, t=np.eye(3)), targets=("t",))
    example = to_example(records(source)[1], source.spec)
    assert example.features.feature["t"].int64_list.value == [0, 1, 0]
    assert example.features.feature["image"].bytes_list.value == [bytes([4, 5, 6, 7])]


def test_new_data_are_read_with_the_targets_they_have(save, table):
    spec = FeatureSpec("vector", (2,), targets=(Target("r", "regression"), Target("t", "multilabel", 3)))
    with_one = opened(save(x=X, r=np.array([1, 2, 3, 4])), expected=spec)
    assert [(record["r"], record["id"]) for record in records(with_one)][:2] == [(1.0, "0"), (2.0, "1")]
    assert all("t" not in record for record in records(with_one))
    spec = FeatureSpec("table", (1,), columns=(Column("a", "numeric"),), targets=(Target("b", "regression"),))
    assert records(opened(table("a,b\n1,2\n3,?\n"), expected=spec)) == [
        {"a": 1.0, "b": 2.0, "id": "0"},
        {"a": 3.0, "id": "1"},
    ]
    assert records(opened(table("a\n1\n"), expected=spec)) == [{"a": 1.0, "id": "0"}]


def test_a_spec_from_before_targets_is_read():
    spec = FeatureSpec("vector", (2,), label="y", targets=(Target("t", "multilabel", 3), Target("r", "regression")))
    assert FeatureSpec.from_json(spec.to_json()) == spec
    fields = json.loads(spec.to_json())
    del fields["targets"]
    assert FeatureSpec.from_json(json.dumps(fields)) == dataclasses.replace(spec, targets=())


def test_everything_of_one_value_an_example_can_be_sliced_by():
    spec = FeatureSpec(
        "table",
        (1,),
        columns=(Column("age", "numeric"),),
        label="y",
        sensitive="sex",
        factors=("f",),
        factor_sizes=(2,),
        targets=(Target("r", "regression"), Target("c", "classification"), Target("m", "multilabel", 2)),
    )
    assert slice_columns(spec) == {
        "y": "label",
        "sex": "sensitive",
        "f": "factor:f",
        "r": "target:r",
        "c": "target:c",
        "age": "slice:age",
    }
