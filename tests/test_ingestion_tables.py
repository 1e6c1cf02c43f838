"""Tables: what is inferred from CSV and Parquet files, what becomes of missing cells, what is refused."""

import csv
import decimal
import gzip
import io
import logging
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InputError
from models.features.spec import Column, FeatureSpec
from pipeline.config import Data
from pipeline.ingestion import open_source

PEOPLE = """name, age ,job,income,id
ann, 31,"cook, baker",<=50K,a1
bob,?, nurse ,>50K,b2
cem,44.5,,<=50K,c3
"dee
dee",58,nurse,?,d4
"""


def opened(path, **data):
    expected = data.pop("expected", None)
    return open_source(Data(source=str(path), **data), expected=expected)


def rows(source):
    return [record for shard in source.shards() for record in source.read(shard)]


def refusal(path, **data):
    with pytest.raises(InputError) as caught:
        rows(opened(path, **data))
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def table(tmp_path):
    def write(text, name="t.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_columns_are_inferred_and_missing_cells_stay_missing(table):
    source = opened(table(PEOPLE), label="income")
    assert source.describe().count == 4
    assert source.describe().spec == FeatureSpec(
        "table",
        (3,),
        columns=(Column("age", "numeric"), Column("name", "categorical"), Column("job", "categorical")),
        label="income",
    )
    assert rows(source) == [
        {"age": 31.0, "name": "ann", "job": "cook, baker", "income": "<=50K", "id": "a1"},
        {"name": "bob", "job": "nurse", "income": ">50K", "id": "b2"},
        {"age": 44.5, "name": "cem", "income": "<=50K", "id": "c3"},
        {"age": 58.0, "name": "dee\ndee", "job": "nurse", "id": "d4"},
    ]


def test_columns_can_be_overridden_and_ignored(table):
    path = table("a,b,c,d\n1,2,x,3\n2,3,y,4\n2,4,y,5\n")
    spec = opened(path, columns={"categorical": ("a",), "ignore": ("c",)}).describe().spec
    assert spec.columns == (Column("b", "numeric"), Column("d", "numeric"), Column("a", "categorical"))
    assert [record["a"] for record in rows(opened(path, columns={"categorical": ("a",)}))] == ["1", "2", "2"]


def test_other_texts_can_mean_missing(table):
    path = table("a,b\n-9,x\n1,-9\n2,y\n")
    assert rows(opened(path, missing=("-9",))) == [
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
    assert rows(source)[1] == {"id": 2.0, "b": 6.0, "row_id": "1"}


def test_factors_and_the_sensitive_attribute_are_columns(table):
    path = table("a,size,sex\n1,0,f\n2,2,m\n3,1,?\n")
    source = opened(path, factors=("size",), sensitive="sex")
    spec = source.describe().spec
    assert (spec.columns, spec.factors, spec.factor_sizes) == ((Column("a", "numeric"),), ("size",), (3,))
    assert rows(source)[1:] == [
        {"a": 2.0, "size": 2, "sex": "m", "id": "1"},
        {"a": 3.0, "size": 1, "id": "2"},
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.tsv", b"a\tb\n1\tx\n2\ty\n"),
        ("t.csv", b"a;b\n1;x\n2;y\n"),
        ("t.CSV", b"\xef\xbb\xbfa,b\r\n1,x\r\n\r\n2,y"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,x\n2,y\n")),
    ],
)
def test_common_dialects_are_understood(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert rows(opened(tmp_path / name)) == [{"a": 1.0, "b": "x", "id": "0"}, {"a": 2.0, "b": "y", "id": "1"}]


def test_a_folder_of_tables_is_one_table(table, tmp_path):
    table("a,b\n1,x\n2,y\n", "one.csv")
    table("b,a\nz,3\n", "two.csv")
    source = opened(tmp_path)
    assert source.describe().count == 3
    assert len(source.shards()) == 2
    assert [(record["id"], record["a"]) for record in rows(source)] == [
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
    assert rows(source) == [a | b for a, b in zip(values, common, strict=True)]


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
    assert rows(opened(path, label="label")) == expected


def test_a_trained_models_columns_decide_what_is_read(table):
    spec = opened(table(PEOPLE), label="income").describe().spec
    few = table("job,age,extra\nnurse,?,1\n", "few.csv")
    assert refusal(few, expected=spec) == (
        "few.csv: no column 'name', which the model needs. Choose one of: job, age, extra."
    )
    new = table("job,age,extra,name\nnurse,?,1,eve\n", "new.csv")
    source = opened(new, expected=spec)
    assert source.describe().spec == spec
    assert rows(source) == [{"job": "nurse", "name": "eve", "id": "0"}]
    wrong = table("job,age,name\nnurse,old,eve\n", "wrong.csv")
    assert refusal(wrong, expected=spec) == (
        "wrong.csv: column 'age' must be numeric, but row 1 holds 'old'. Correct the cell, add it to data.missing, "
        "or add the column to data.columns.categorical."
    )


REFUSALS = {
    "t.csv: line 4 has too few cells: 1, where the header has 2. Correct the line.": ('a,b\n1,"x\ny"\n3\n', {}),
    "t.csv: line 3 has too many cells: 3, where the header has 2. Correct the line.": ("a,b\n1,2\n3,4,5\n", {}),
    "t.csv: the table has no rows. It needs a line of column names and rows.": ("a,b\n", {}),
    "t.csv: the file is empty. It needs a line of column names and rows.": ("", {}),
    "t.csv: two columns are named 'a'. Rename one.": ("a,b, a \n1,2,3\n", {}),
    "t.csv: no column is left to learn from: each is constant, missing, ignored or has a role. Check data.columns "
    "and the roles.": ("a,y\n1,x\n1,z\n", {"label": "y"}),
    "data.label: no column 'incom' in t.csv. Did you mean income?": ("age,income\n1,2\n", {"label": "incom"}),
    "data.id: no column 'key' in t.csv. Choose one of: age, income.": ("age,income\n1,2\n", {"id": "key"}),
    "data.factors: no column 'f' in t.csv. Choose one of: age, income.": ("age,income\n1,2\n", {"factors": ("f",)}),
    "data.columns.numeric: no column 'agee' in t.csv. Did you mean age?": (
        "age,income\n1,2\n",
        {"columns": {"numeric": ("agee",)}},
    ),
    "data.columns.ignore: no column 'x' in t.csv. Choose one of: age, income.": (
        "age,income\n1,2\n",
        {"columns": {"ignore": ("x",)}},
    ),
    "data.label: t.csv: column 'y' has one class only ('u'). At least two are needed; choose another, or leave "
    "data.label out.": ("a,y\n1,u\n2,u\n", {"label": "y"}),
    "data.label: t.csv: column 'y' is continuous (it holds 1.5). Bin it first, or choose another.": (
        "a,y\n1,1.5\n2,2\n",
        {"label": "y"},
    ),
    "data.label: t.csv: column 'y' has more than 1,000 distinct values, so it does not name classes. Bin it first, "
    "or choose another.": ("a,y\n" + "".join(f"{i},{i}\n" for i in range(1001)), {"label": "y"}),
    "t.csv: column 'b' must be numeric, but row 2 holds 'x'. Correct the cell, add it to data.missing, or add the "
    "column to data.columns.categorical.": ("a,b\n1,1\n2,x\n", {"columns": {"numeric": ("b",)}}),
    "t.csv: column 'b' holds inf in row 2. Correct the cell, or add its text to data.missing.": (
        "a,b\n1,1\n2,inf\n",
        {},
    ),
    "t.csv: column 'b' holds nan in row 1. Correct the cell, or add its text to data.missing.": (
        "a,b\n1,NaN\n2,4\n",
        {"missing": ("",)},
    ),
    "data.factors: t.csv: column 'f' must hold integers 0, 1, 2, ... in every row. Number its values.": (
        "a,f\n1,0\n2,?\n",
        {"factors": ("f",)},
    ),
    "data.id: t.csv: column 'id' is empty in row 2. Fill it in.": ("a,id\n1,x\n2,\n", {}),
}


@pytest.mark.parametrize("message", REFUSALS)
def test_tables_that_cannot_be_used_are_refused(table, message):
    text, data = REFUSALS[message]
    assert refusal(table(text), **data) == message


def test_other_encodings_are_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes("a,b\n1,2\n3,né\n".encode("latin-1"))
    assert refusal(tmp_path / "t.csv") == "t.csv: the text is not UTF-8. Convert it, for example with iconv."


def test_files_that_are_no_parquet_are_refused(tmp_path):
    (tmp_path / "t.parquet").write_text("hello, I am text")
    assert refusal(tmp_path / "t.parquet").startswith("t.parquet: not a Parquet file (")


def test_columns_of_other_types_are_refused(tmp_path):
    pq.write_table(pa.table({"a": [1, 2], "when": pa.array([1, 2], pa.timestamp("s"))}), tmp_path / "t.parquet")
    assert refusal(tmp_path / "t.parquet") == (
        "t.parquet: column 'when' holds timestamp[ms]. Turn it into text or numbers, or add it to data.columns.ignore."
    )
    assert opened(tmp_path / "t.parquet", columns={"ignore": ("when",)}).describe().count == 2


def test_a_folder_without_tables_is_refused(tmp_path):
    assert refusal(tmp_path, kind="table") == (
        f"data.source: no tables in the folder {tmp_path.name}. Their names must end in .csv, .tsv, .csv.gz, .tsv.gz, "
        ".parquet, .pq."
    )
