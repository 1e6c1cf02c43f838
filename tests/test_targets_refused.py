"""What cannot be a target, each with one line that says why and what to do."""

import numpy as np
import pytest
import sources
from sources import opened, records, refusal

from models.errors import InputError
from models.features.spec import FeatureSpec, Target
from pipeline import loading, preflight

save, table = sources.save, sources.table
X = np.random.default_rng(0).normal(size=(4, 2))
NAN = float("nan")

NOTHING = "there is nothing to predict. Leave it out."
TABLES = {
    "data.targets: no column 'pric' in t.csv. Did you mean price?": ("a,price\n1,2\n2,3\n", "pric", {}),
    f"data.targets: t.csv: column 'y' has one value only ('u'): {NOTHING}": ("a,y\n1,u\n2,u\n3,?\n", "y", {}),
    f"data.targets: t.csv: column 'y' has no value at all: {NOTHING}": ("a,y\n1,?\n2,\n", "y", {}),
    "data.targets: t.csv: column 'y' has more than 1,000 distinct values, so it does not name classes. Bin it first, "
    "or choose another.": ("a,y\n" + "".join(f"{i},t{i}\n" for i in range(1001)), "y", {}),
    "t.csv: column 'y' holds inf in row 2. Correct the cell, or add its text to data.missing.": (
        "a,y\n1,1\n2,inf\n3,2\n",
        "y",
        {},
    ),
    "data.targets: t.csv: column 'y' is continuous (it holds 1.5). Bin it first, or choose another.": (
        "a,y\n1,1.5\n2,2\n",
        "y",
        {"categorical": ("y",)},
    ),
}
ARRAYS = {
    "data.targets: no array named 'prise' in data.npz. Did you mean price?": {"price": X[:, 0], "targets": "prise"},
    "data.targets: data.npz: array 't' has shape (4, 2, 2). Save one value an example, or a matrix of 0 and 1 "
    "(examples, labels).": {"t": np.zeros((4, 2, 2))},
    "data.targets: data.npz: array 't' has 3 values, but 'x' has 4 rows. Save one value an example.": {"t": [1, 2, 3]},
    "data.targets: data.npz: array 't' holds 3 in row 2. A matrix holds 0 or 1 for each label; save other values as "
    "an array each.": {"t": [[0, 1], [1, 1], [0, 3], [0, 0]]},
    "data.targets: data.npz: array 't' holds <U1, 2 an example. Save 2 of 0 or 1 an example.": {"t": [["u", "v"]] * 4},
    f"data.targets: data.npz: array 't' has one value only ('7'): {NOTHING}": {"t": [7, 7, 7, 7]},
    f"data.targets: data.npz: array 't' has no value at all: {NOTHING}": {"t": [NAN] * 4},
    "data.targets: data.npz: array 't' holds infinity in row 1. Correct it, or save NaN for missing.": {
        "t": [0.5, np.inf, 1, 2]
    },
    "data.targets: data.npz: array 'vector' has the key of the examples themselves. Rename it.": {
        "vector": [1, 2, 1, 2],
        "targets": "vector",
    },
}


@pytest.mark.parametrize("message", TABLES)
def test_columns_that_are_no_targets_are_refused(table, message):
    text, name, columns = TABLES[message]
    assert refusal(table(text), targets=(name,), columns=columns) == message


@pytest.mark.parametrize("message", ARRAYS)
def test_arrays_that_are_no_targets_are_refused(save, message):
    arrays = dict(ARRAYS[message])
    name = arrays.pop("targets", "t")
    assert refusal(save(x=X, **arrays), targets=(name,)) == message


def test_many_texts_and_parts_unlike_each_other_are_refused(save):
    many = save(x=np.ones((1001, 2)), t=np.array([f"t{i}" for i in range(1001)]))
    assert refusal(many, targets=("t",)) == (
        "data.targets: data.npz: array 't' has more than 1,000 distinct values, so it does not name classes. "
        "Bin it first, or choose another."
    )
    parts = save(x_train=X, x_test=X, t_train=[1, 2, 1, 2], t_test=[0.5, 1, 2, 3])
    assert refusal(parts, targets=("t",)) == (
        "data.targets: data.npz: array 't' is unlike in its parts. Save them in one type and width."
    )


@pytest.mark.parametrize(
    ("array", "target", "fault"),
    [
        (np.eye(4), Target("t", "multilabel", 3), "holds float64, 4 an example. Save 3 of 0 or 1 an example."),
        (np.ones(4), Target("t", "multilabel", 3), "holds float64, 1 an example. Save 3 of 0 or 1 an example."),
        (np.eye(4), Target("t", "regression"), "holds float64, 4 an example. Save one text or number an example."),
        (
            np.array(list("abcd")),
            Target("t", "regression"),
            "holds text, where numbers are expected. Save it as numbers.",
        ),
    ],
)
def test_new_data_with_other_targets_are_refused(save, array, target, fault):
    spec = FeatureSpec("vector", (2,), targets=(target,))
    with pytest.raises(InputError) as caught:
        records(opened(save(x=X, t=array), expected=spec))
    assert str(caught.value) == f"data.targets: array 't' {fault}"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("digits", "data.targets: digits has only the label 'label'. Remove data.targets."),
        ("sprites", "data.targets: sprites have none. Remove data.targets."),
    ],
)
def test_sources_without_names_have_no_targets(source, message):
    assert refusal(source, targets=("scale",)) == message


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (
            {"label": "y", "targets": "[y]"},
            "data.targets: y is data.label already. Give each its own column.",
        ),
        (
            {"targets": "[y, y]"},
            "data.targets: y is data.targets already. Give each its own column.",
        ),
        ({"targets": "[id]"}, "data.targets: id is data.id already. Give each its own column."),
        (
            {"targets": "y"},
            'data.targets: must be a list of values, each text. Received: "y". Write it in brackets: [y].',
        ),
    ],
)
def test_a_column_has_one_role(sets, message):
    with pytest.raises(InputError) as caught:
        loading.load(data="t.csv", sets=[(f"data.{key}", value) for key, value in sets.items()])
    assert str(caught.value) == message


SLICED = "age,job,year,y,tag,id\n31,cook,1,u,1.5,a\n35,nurse,1,v,2,b\n44,cook,1,u,2.5,c\n"


def sliced(path, slices: str) -> str:
    sets = [("data.label", "y"), ("data.targets", "[tag]"), ("evaluation.slices", slices)]
    with pytest.raises(InputError) as caught:
        preflight.check(loading.load(data=str(path), sets=sets))
    return str(caught.value)


def test_a_slice_that_the_data_lack_is_refused_with_the_nearest_one(table):
    path = table(SLICED)
    sets = [("data.label", "y"), ("data.targets", "[tag]"), ("evaluation.slices", "[y, tag, age, job]")]
    found = preflight.check(loading.load(data=str(path), sets=sets))
    assert preflight.in_words(found) == "t.csv: 3 rows of 2 columns, labeled by y, tag to predict (regression)"
    has = "of one value an example among its inputs, label, sensitive attribute, factors and targets."
    assert sliced(path, "[jop]") == f"evaluation.slices: t.csv has no column 'jop' {has} Did you mean job?"
    everything = "Choose one of: y, tag, age, job."
    assert sliced(path, "[age, year]") == f"evaluation.slices: t.csv has no column 'year' {has} {everything}"
    assert sliced(path, "[id]") == f"evaluation.slices: t.csv has no column 'id' {has} {everything}"
    assert sliced(path, "[age, age]") == "evaluation.slices: age is there more than once. Keep one."


def test_data_without_columns_cannot_be_sliced(save):
    with pytest.raises(InputError) as caught:
        preflight.check(loading.load(data=str(save(x=X)), sets=[("evaluation.slices", "[age]")]))
    assert str(caught.value).endswith(
        "has no column 'age' of one value an example among its inputs, label, "
        "sensitive attribute, factors and targets. Leave it out."
    )
