"""Tables that are refused, each with one line that says why and what to do."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sources
from sources import opened, refusal

table = sources.table

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
        f"data.source: no tables in the folder {tmp_path}. Their names must end in .csv, .tsv, .csv.gz, .tsv.gz, "
        ".parquet, .pq."
    )
