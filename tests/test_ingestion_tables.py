"""Tables: what is inferred from CSV and Parquet files, and what becomes of missing cells."""

import csv
import decimal
import gzip
import io
import logging
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sources
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import opened, records, refusal

from models.features.spec import Column, FeatureSpec

table = sources.table

PEOPLE = """name, age ,job,income,id
ann, 31,"cook, baker",<=50K,a1
bob,?, nurse ,>50K,b2
cem,44.5,,<=50K,c3
"dee
dee",58,nurse,?,d4
"""


def test_columns_are_inferred_and_missing_cells_stay_missing(table):
    source = opened(table(PEOPLE), label="income")
    assert source.describe().count == 4
    assert source.describe().spec == FeatureSpec(
        "table",
        (3,),
        columns=(Column("age", "numeric"), Column("name", "categorical"), Column("job", "categorical")),
        label="income",
    )
    assert records(source) == [
        {"age": 31.0, "name": "ann", "job": "cook, baker", "income": "<=50K", "id": "a1"},
        {"name": "bob", "job": "nurse", "income": ">50K", "id": "b2"},
        {"age": 44.5, "name": "cem", "income": "<=50K", "id": "c3"},
        {"age": 58.0, "name": "dee\ndee", "job": "nurse", "id": "d4"},
    ]


def test_columns_can_be_overridden_and_ignored(table):
    path = table("a,b,c,d\n1,2,x,3\n2,3,y,4\n2,4,y,5\n")
    spec = opened(path, columns={"categorical": ("a",), "ignore": ("c",)}).describe().spec
    assert spec.columns == (Column("b", "numeric"), Column("d", "numeric"), Column("a", "categorical"))
    assert [record["a"] for record in records(opened(path, columns={"categorical": ("a",)}))] == ["1", "2", "2"]


def test_other_texts_can_mean_missing(table):
    path = table("a,b\n-9,x\n1,-9\n2,y\n")
    assert records(opened(path, missing=("-9",))) == [
        {"b": "x", "id": "0"},
        {"a": 1.0, "id": "1"},
        {"a": 2.0, "b": "y", "id": "2"},
    ]


def test_columns_that_say_nothing_are_left_out_with_a_warning(table, caplog):
    path = table("a,b,c,d,\n1,5,?,x,0\n2,5,,x,1\n3,5.0,?,?,2\n")
    with caplog.at_level(logging.WARNING, "metaprior.ingestion"):
        spec = opened(path).describe().spec
    assert spec.columns == (Column("a", "numeric"),)
    assert caplog.messages == [
        "t.csv: 1 column(s) without a name are left out",
        "t.csv: column 'b' is always '5': left out",
        "t.csv: column 'c' is always missing: left out",
        "t.csv: column 'd' is always 'x': left out",
    ]


def test_a_column_of_many_texts_is_kept_with_a_warning(table, caplog):
    path = table("a,b\n" + "".join(f"{i % 3},t{i}\n" for i in range(1001)))
    with caplog.at_level(logging.WARNING, "metaprior.ingestion"):
        assert opened(path).describe().spec.categorical == (Column("b", "categorical"),)
    assert caplog.messages == [
        "t.csv: column 'b' is categorical with more than 1000 values: consider adding it to data.columns.ignore"
    ]


def test_a_column_called_id_can_be_an_input(table):
    source = opened(table("id,b\n1,5\n2,6\n"), columns={"numeric": ("id",)})
    assert source.describe().spec.id == "row_id"
    assert records(source)[1] == {"id": 2.0, "b": 6.0, "row_id": "1"}


def test_factors_and_the_sensitive_attribute_are_columns(table):
    path = table("a,size,sex\n1,0,f\n2,2,m\n3,1,?\n")
    source = opened(path, factors=("size",), sensitive="sex")
    spec = source.describe().spec
    assert (spec.columns, spec.factors, spec.factor_sizes) == ((Column("a", "numeric"),), ("size",), (3,))
    assert records(source)[1:] == [
        {"a": 2.0, "size": 2, "sex": "m", "id": "1"},
        {"a": 3.0, "size": 1, "id": "2"},
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.tsv", b"a\tb\n1\tx\n2\ty\n"),
        ("t.csv", b"a;b\n1;x\n2;y\n"),
        ("t.CSV", b"\xef\xbb\xbfa,b\r\n1,x\r\n\r\n2,y"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,x\n2,y\n", mtime=0)),
    ],
)
def test_common_dialects_are_understood(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert records(opened(tmp_path / name)) == [{"a": 1.0, "b": "x", "id": "0"}, {"a": 2.0, "b": "y", "id": "1"}]


def test_a_folder_of_tables_is_one_table(table, tmp_path):
    table("a,b\n1,x\n2,y\n", "one.csv")
    table("b,a\nz,3\n", "two.csv")
    source = opened(tmp_path)
    assert source.describe().count == 3
    assert len(source.shards()) == 2
    assert [(record["id"], record["a"]) for record in records(source)] == [
        ("one.csv-0", 1.0),
        ("one.csv-1", 2.0),
        ("two.csv-0", 3.0),
    ]
    table("a,c\n1,x\n", "three.csv")
    assert refusal(tmp_path) == (
        "three.csv: its columns differ from those of one.csv in 'b'. All files of a folder need the same columns."
    )


def test_parquet_keeps_its_types_and_reads_by_row_groups(tmp_path):
    columns = {
        "whole": pa.array([1, 2, None, 4]),
        "float": pa.array([1.5, float("nan"), 2.0, 3.0]),
        "text": pa.array(["a", " b ", "?", None]),
        "word": pa.array(["u", "v", "u", "v"]).dictionary_encode(),
        "flag": pa.array([True, False, None, True]),
        "money": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("2.50"), decimal.Decimal("3.00")]),
        "code": pa.array([1.0, 2.5, 1.0, 2.0]),
        "y": pa.array([7, 8, 7, None]),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=3)
    source = opened(tmp_path / "t.parquet", label="y", columns={"categorical": ("code",)})
    assert [c.name for c in source.describe().spec.numeric] == ["whole", "float", "money"]
    assert [c.name for c in source.describe().spec.categorical] == ["text", "word", "flag", "code"]
    assert len(source.shards()) == 2
    common = [{"word": "u"}, {"word": "v"}, {"word": "u"}, {"word": "v"}]
    values = [
        {"whole": 1.0, "float": 1.5, "text": "a", "flag": "true", "money": 1.25, "code": "1", "y": "7", "id": "0"},
        {"whole": 2.0, "text": "b", "flag": "false", "code": "2.5", "y": "8", "id": "1"},
        {"float": 2.0, "money": 2.5, "code": "1", "y": "7", "id": "2"},
        {"whole": 4.0, "float": 3.0, "flag": "true", "money": 3.0, "code": "2", "id": "3"},
    ]
    assert records(source) == [a | b for a, b in zip(values, common, strict=True)]


def test_a_big_table_is_streamed(tmp_path):
    path = tmp_path / "big.csv"
    line = ",".join(["123.456"] * 40)
    with path.open("w") as stream:
        stream.write(",".join(f"c{i}" for i in range(40)) + "\n")
        stream.writelines(f"{i % 7}{line}\n" for i in range(60_000))
    source = opened(path, columns={"ignore": tuple(f"c{i}" for i in range(3, 40))})
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        assert sum(1 for _ in source.read(source.shards()[0])) == 60_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 19e6
    assert peak < 16e6
    assert pa.total_allocated_bytes() - before < 16e6


MISSING = st.sampled_from(["", "?", "NA", " nan "])
TEXT = st.text('ab",;\n é', min_size=1).filter(str.strip).map(lambda text: f"x{text}x")
NUMBER = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NUMBER | MISSING, TEXT | MISSING, TEXT | MISSING), max_size=30))
def test_every_row_and_every_cell_survives(tmp_path_factory, cells):
    """Numbers, texts and gaps in any order: each row comes back once, in order, with exactly its cells."""
    path = tmp_path_factory.mktemp("property") / "t.csv"
    cells = [(1.0, "x", "p"), (2.5, "y", "q"), *cells]
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["number", "text", "label"])
    writer.writerows(cells)
    path.write_text(buffer.getvalue(), newline="")
    names = ("number", "text", "label")
    absent = {"", "?", "NA", "nan"}
    expected = [
        {name: cell for name, cell in zip(names, row, strict=True) if str(cell).strip() not in absent} | {"id": str(i)}
        for i, row in enumerate(cells)
    ]
    assert records(opened(path, label="label")) == expected


def test_a_trained_models_columns_decide_what_is_read(table):
    spec = opened(table(PEOPLE), label="income").describe().spec
    few = table("job,age,extra\nnurse,?,1\n", "few.csv")
    assert refusal(few, expected=spec) == (
        "few.csv: no column 'name', which the model needs. Choose one of: job, age, extra."
    )
    new = table("job,age,extra,name\nnurse,?,1,eve\n", "new.csv")
    source = opened(new, expected=spec)
    assert source.describe().spec == spec
    assert records(source) == [{"job": "nurse", "name": "eve", "id": "0"}]
    wrong = table("job,age,name\nnurse,old,eve\n", "wrong.csv")
    assert refusal(wrong, expected=spec) == (
        "wrong.csv: column 'age' must be numeric, but row 1 holds 'old'. Correct the cell, add it to data.missing, "
        "or add the column to data.columns.categorical."
    )
