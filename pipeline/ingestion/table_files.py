"""Reading CSV and Parquet files as a stream of Arrow record batches."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from models.errors import InputError

CSV_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
PARQUET_SUFFIXES = (".parquet", ".pq")
SUFFIXES = CSV_SUFFIXES + PARQUET_SUFFIXES
UNNAMED = "Unnamed: "
"""How the name of a column without one begins; pandas writes its row numbers under such a name."""
BLOCK_BYTES = 1 << 22
BATCH_ROWS = 8192


def is_table(name: str) -> bool:
    """Tells whether a file's name is that of a table, by its ending in any case."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def _is_parquet(path: Path) -> bool:
    return path.name.lower().endswith(PARQUET_SUFFIXES)


def column_names(path: Path) -> list[str]:
    """Returns the names of a table's columns; one without a name starts with `UNNAMED`.

    Raises:
        InputError: if the file is not a table, has no rows, or gives two columns one name.
    """
    names = _parquet_names(path) if _is_parquet(path) else _csv_names(path)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path.name}: two columns are named {twice!r}. Rename one.")
    return names


def row_groups(path: Path) -> list[tuple[int, int]]:
    """Returns (first row, row group) of each independently readable piece; -1 stands for a whole CSV file."""
    if not _is_parquet(path):
        return [(0, -1)]
    metadata = _parquet(path).metadata
    groups, start = [], 0
    for group in range(metadata.num_row_groups):
        groups.append((start, group))
        start += metadata.row_group(group).num_rows
    return groups


def batches(path: Path, group: int = -1) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a file, or of one row group of it, in order.

    CSV cells are text. A quoted cell may hold line breaks, so a CSV file is read from start to end by one
    reader: no position inside it is known to be the start of a row.

    Raises:
        InputError: if the file is damaged, or a CSV row has too few or too many cells.
    """
    if not _is_parquet(path):
        yield from _csv_batches(path)
        return
    groups = None if group < 0 else [group]
    try:
        yield from _parquet(path).iter_batches(BATCH_ROWS, row_groups=groups, use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path.name}: damaged Parquet file ({_first_line(error)}). Write it again.") from error


def _parquet(path: Path) -> pyarrow.parquet.ParquetFile:
    try:
        return pyarrow.parquet.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path.name}: not a Parquet file ({_first_line(error)}). Check the file.") from error


def _parquet_names(path: Path) -> list[str]:
    file = _parquet(path)
    if not file.metadata.num_rows:
        raise InputError(f"{path.name}: the table has no rows. Give it some.")
    return file.schema_arrow.names


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields (line, cells) of each row, the slow and exact way; the line is where the row ends."""
    with pa.input_stream(str(path)) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=_delimiter(path))
        yield from ((reader.line_num, cells) for cells in reader if cells)


def _delimiter(path: Path) -> str:
    with pa.input_stream(str(path)) as raw:
        header = raw.read(1 << 16).split(b"\n", 1)[0]
    return max(",;\t|", key=lambda mark: header.count(mark.encode()))


def _csv_names(path: Path) -> list[str]:
    try:
        rows = _csv_rows(path)
        header = next(rows, (0, []))[1]
        if not header:
            raise InputError(f"{path.name}: the file is empty. It needs a line of column names and rows.")
        if next(rows, None) is None:
            raise InputError(f"{path.name}: the table has no rows. It needs a line of column names and rows.")
    except (UnicodeDecodeError, OSError, csv.Error) as error:
        raise _unreadable(path, error) from error
    return [name.strip() or f"{UNNAMED}{i}" for i, name in enumerate(header)]


def _csv_batches(path: Path) -> Iterator[pa.RecordBatch]:
    names = _csv_names(path)
    options = {
        "read_options": pa.csv.ReadOptions(
            use_threads=False, block_size=BLOCK_BYTES, column_names=names, skip_rows_after_names=1
        ),
        "parse_options": pa.csv.ParseOptions(delimiter=_delimiter(path), newlines_in_values=True),
        "convert_options": pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    }
    try:
        yield from pa.csv.open_csv(path, **options)
    except (pa.ArrowInvalid, OSError) as error:
        raise _ragged(path, len(names)) or _unreadable(path, error) from error


def _ragged(path: Path, width: int) -> InputError | None:
    try:
        for line, cells in _csv_rows(path):
            if len(cells) != width:
                amount = "few" if len(cells) < width else "many"
                return InputError(
                    f"{path.name}: line {line} has too {amount} cells: {len(cells)}, where the header has {width}. "
                    "Correct the line."
                )
    except (UnicodeDecodeError, OSError, csv.Error):
        return None  # the caller's error says more
    return None


def _unreadable(path: Path, error: Exception) -> InputError:
    if isinstance(error, UnicodeDecodeError) or "UTF8" in str(error):
        return InputError(f"{path.name}: the text is not UTF-8. Convert it, for example with iconv.")
    return InputError(f"{path.name}: cannot be read as CSV ({_first_line(error)}). Check the file.")


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0].rstrip(".")
