"""What a person types after `metaprior query`, as rows to be sent: read as they are sent, never all at once."""

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.errors import InputError
from pipeline.config import Data
from pipeline.ingestion import cells, table_files
from pipeline.ingestion.images import SUFFIXES, is_image
from serving.wire import SignatureInfo

MISSING = tuple(Data.model_fields["missing"].default)
Info = Callable[[], SignatureInfo]


@dataclass(frozen=True)
class Inputs:
    """Rows to be sent.

    Attributes:
        rows: what `Client.embed_many` takes.
        names: a name for each row.
        count: number of rows, None where only reading them all would tell.
        pictures: whether the rows are image files.
    """

    rows: Iterable[Any]
    names: Iterator[str]
    count: int | None
    pictures: bool = False


def read(given: tuple[str, ...], info: Info) -> Inputs:
    """Returns what was typed as rows.

    Args:
        given: picture files and folders of them; or one CSV, Parquet, NPY or JSON file, or JSON text.
        info: tells what the signature takes, for tables and for JSON with nulls.

    Raises:
        InputError: if an input cannot be read, or lacks what the signature takes.
    """
    if all(_is_picture(name) for name in given):
        return _pictures(given)
    name, *more = given
    if more:
        raise InputError(f"{more[0]}: one table, array or JSON input at a time; only pictures can be several.")
    if name.lstrip().startswith(("[", "{")):
        return _json(name, info, origin="the JSON given")
    path = Path(name)
    suffix = path.suffix.lower()
    if not (suffix in (".json", ".npy") or table_files.is_table(path.name)):
        raise InputError(
            f"{name}: cannot be queried. Give pictures ({', '.join(SUFFIXES)}) or a folder of them, a table (.csv, "
            ".parquet), an array (.npy), a .json file, or JSON text such as '[[0.1, 0.2]]'."
        )
    _check_readable(path)
    if suffix == ".json":
        return _json(_text(path), info, origin=name)
    return _array(path) if suffix == ".npy" else _table(path, info())


def _is_picture(name: str) -> bool:
    return is_image(Path(name).name) or Path(name).is_dir()


def _pictures(given: tuple[str, ...]) -> Inputs:
    """A lone folder's pictures are named by their path below it, as `metaprior embed` does."""
    named: list[tuple[str, Path]] = []
    for name in given:
        path = Path(name)
        if not path.is_dir():
            _check_readable(path)
            named.append((name, path))
            continue
        below = list(_below(path))
        if not below:
            raise InputError(f"{name}: holds no pictures. {', '.join(SUFFIXES)} files are sent.")
        named += [(child if len(given) == 1 else str(path / child), path / child) for child in below]
    return Inputs([path for _, path in named], iter([name for name, _ in named]), len(named), pictures=True)


def _below(folder: Path) -> Iterator[str]:
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name).relative_to(folder).as_posix() for name in names if is_image(name)]
    yield from sorted(found)


def _array(path: Path) -> Inputs:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"{path}: not a NumPy array that can be sent. Write numbers with numpy.save.") from error
    if not isinstance(array, np.ndarray) or not array.ndim or not len(array):
        raise InputError(f"{path}: has no rows. The first axis of the array must be that of the examples.")
    return Inputs(array, _numbers(), len(array))


def _table(path: Path, info: SignatureInfo) -> Inputs:
    names = table_files.column_names(path)
    absent = next((name for name in info.inputs if name not in names), None)
    if absent is not None:
        raise InputError(f"{path}: has no column {absent}, which the model takes. Its columns: {', '.join(names)}.")
    return Inputs(_batches(path, info), _numbers(), _count(path))


def _count(path: Path) -> int | None:
    return pq.read_metadata(path).num_rows if path.name.lower().endswith(table_files.PARQUET_SUFFIXES) else None


def _batches(path: Path, info: SignatureInfo) -> Iterator[pa.Table]:
    start = 0
    for batch in table_files.batches(path):
        columns = {
            name: _column(batch.column(name), text=tensor.kind.name == "string", what=(path, name, start))
            for name, tensor in info.inputs.items()
        }
        yield pa.table(columns)
        start += batch.num_rows


def _column(column: pa.Array, *, text: bool, what: tuple[Path, str, int]) -> pa.Array:
    """Returns a column as the signature takes it: a missing cell is null, as in training."""
    if pa.types.is_nested(column.type):
        return column
    path, name, start = what
    clean = cells.clean(column, missing=MISSING, what=f"{path}: column {name}")
    if text:
        return cells.texts(clean)
    if pa.types.is_boolean(clean.type):
        return clean
    numbers = cells.parse(clean)
    if numbers is None:
        row = next(i for i, cell in enumerate(clean) if cell.is_valid and cells.parse(clean[i : i + 1]) is None)
        raise InputError(
            f"{path}: row {start + row + 1}: {clean[row].as_py()!r} in column {name} is not a number. Leave the "
            "cell empty if it is missing."
        )
    return pc.fill_null(numbers, float("nan"))


def _json(text: str, info: Info, *, origin: str) -> Inputs:
    """Returns TF Serving's row form (a list) or column form (a value by name); null is a missing cell."""
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{origin}: not JSON: {error.msg}, line {error.lineno}, column {error.colno}.") from error
    if isinstance(given, dict):
        given = given.get("instances", given.get("inputs", given))
    if isinstance(given, list) and given and all(isinstance(row, dict) for row in given):
        names = list(given[0])
        if any(list(row) != names for row in given):
            raise InputError(f"{origin}: every row must have the same keys: {', '.join(names)}.")
    columns = list(given.values()) if isinstance(given, dict) else [given]
    if not columns or not all(isinstance(column, list) and column for column in columns):
        raise InputError(f"{origin}: must be a list of rows, or a list of values by name.")
    return Inputs(_filled(given, info, origin), _numbers(), len(columns[0]))


def _filled(given: Any, info: Info, origin: str) -> Any:
    """Returns rows, or columns, with what stands for a missing cell in place of each null."""
    if isinstance(given, dict):
        if not any(None in column for column in given.values()):
            return given
        return {
            name: [_cell(value, name, row, info, origin) for row, value in enumerate(column)]
            for name, column in given.items()
        }
    if isinstance(given[0], dict):
        if not any(None in row.values() for row in given):
            return given
        return [
            {name: _cell(value, name, row, info, origin) for name, value in cells.items()}
            for row, cells in enumerate(given)
        ]
    if None not in given:
        return given
    only = next(iter(info().inputs), "")
    return [_cell(value, only, row, info, origin) for row, value in enumerate(given)]


def _cell(value: Any, name: str, row: int, info: Info, origin: str) -> Any:
    tensor = info().inputs.get(name) if value is None else None
    if tensor is None:
        return value
    if tensor.kind.name == "string":
        return ""
    if tensor.kind.numpy.kind != "f":
        raise InputError(f"{origin}: row {row + 1}: {name} is null, and the model takes {tensor.kind.name} there.")
    return float("nan")


def _numbers() -> Iterator[str]:
    return map(str, itertools.count())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file in UTF-8.") from error


def _check_readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. Check the path.") from error
