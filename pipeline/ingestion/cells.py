"""Columns of tables as Arrow arrays: which cells are missing, and what the others are worth."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from models.errors import InputError


def clean(column: pa.Array, *, missing: Iterable[str], what: str) -> pa.Array:
    """Returns a column of text, numbers or truth values in which every missing cell is null.

    Text is stripped, and is missing if it is one of `missing`; a number is missing if it is NaN.

    Args:
        column: any Arrow array.
        missing: the texts that mean "missing".
        what: what messages call the column.

    Raises:
        InputError: if a column of that type cannot be used.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        return _drop(text, pc.is_in(text, value_set=pa.array(missing, pa.string())))
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = column.cast(pa.float64())
        return _drop(numbers, pc.is_nan(numbers))
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column
    raise InputError(f"{what} holds {kind}. Turn it into text or numbers, or add it to data.columns.ignore.")


def texts(column: pa.Array) -> pa.Array:
    """Returns a clean column as text; a float without a fraction reads like an integer."""
    if not pa.types.is_floating(column.type):
        return column.cast(pa.string())
    whole = pc.and_(pc.equal(column, pc.floor(column)), pc.less(pc.abs(column), 2.0**53))
    integers = pc.if_else(whole, column, 0.0).cast(pa.int64())
    return pc.if_else(whole, integers.cast(pa.string()), column.cast(pa.string()))


def parse(column: pa.Array) -> pa.Array | None:
    """Returns a clean column as float64, or None if one of its texts is no number."""
    if pa.types.is_boolean(column.type):
        return None
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:
        return None


def numbers(column: pa.Array, *, what: str, start: int = 0) -> pa.Array:
    """Returns a clean column as finite float64 numbers, missing ones as null.

    Args:
        column: what `clean` returned.
        what: what messages call the column.
        start: index of the first row.

    Raises:
        InputError: if a cell is no number, or not a finite one.
    """
    values = parse(column)
    if values is None:
        row, cell = next((i, cell) for i, cell in enumerate(column) if cell.is_valid and not _is_number(cell))
        raise InputError(
            f"{what} must be numeric, but row {start + row + 1} holds {cell.as_py()!r}. Correct the cell, add "
            "it to data.missing, or add the column to data.columns.categorical."
        )
    finite = pc.is_finite(values)
    if not pc.all(finite, min_count=0).as_py():
        row = pc.index(finite, False).as_py()
        raise InputError(
            f"{what} holds {values[row].as_py()} in row {start + row + 1}. Correct the cell, or add its text "
            "to data.missing."
        )
    return values


def _is_number(cell: pa.Scalar) -> bool:
    return parse(pa.array([cell.as_py()])) is not None


def _drop(column: pa.Array, absent: pa.Array) -> pa.Array:
    return pc.if_else(absent, pa.scalar(None, column.type), column)
