"""Columns of pandas and Arrow tables as the inputs of a signature, missing cells included."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serving.errors import unfit
from serving.inputs import is_frame
from serving.wire import SignatureInfo

WHOLE = 2.0**53  # every integer below is exact in a double


def columns(table: Any, signature: str, info: SignatureInfo) -> dict[str, np.ndarray]:
    """Returns the columns that a signature takes.

    Args:
        table: DataFrame, Table or RecordBatch.
        signature: its name, for messages.
        info: its inputs.

    Raises:
        InvalidRequest: a column is absent, or holds what no array can.
    """
    names = list(map(str, table.columns)) if is_frame(table) else table.schema.names
    for alias in info.inputs:
        if names.count(alias) != 1:
            has = "two columns" if alias in names else "no column"
            raise unfit(
                f"the table has {has} {alias}, which signature {signature} takes. Its columns: {', '.join(names)}."
            )
    wanted = list(info.inputs)
    try:
        given = pa.Table.from_pandas(table[wanted], preserve_index=False) if is_frame(table) else table.select(wanted)
        return {name: _column(given.column(name), name, info.inputs[name].kind.name == "string") for name in wanted}
    except pa.ArrowException as error:
        raise unfit(f"the table cannot be read: {str(error).splitlines()[0].rstrip('.')}.") from None


def _column(column: Any, alias: str, text: bool) -> np.ndarray:
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _vectors(column, alias, text)
    if text:
        return _texts(column)
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        row = next((place for place, cell in enumerate(column) if cell.is_valid), 0)
        raise unfit(
            f"row {row + 1}: {column[row].as_py()!r} in column {alias} is text, and the model takes a number there. "
            "Leave the cell empty if it is missing."
        )
    return (column.cast(pa.uint8()) if pa.types.is_boolean(kind) else column).to_numpy(zero_copy_only=False)


def _vectors(column: pa.Array, alias: str, text: bool) -> np.ndarray:
    widths = pc.unique(pc.list_value_length(column)).to_pylist()
    if column.null_count or len(widths) > 1:
        raise unfit(f"column {alias} must have lists of one length, none of them missing.")
    values = _column(column.flatten(), alias, text)
    return values.reshape(len(column), widths[0] if widths else 0, *values.shape[1:])


def _texts(column: pa.Array) -> np.ndarray:
    """Numbers read as they did in training: without a fraction like an integer."""
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column.cast(pa.float64()))
        whole = pc.and_(pc.equal(column, pc.floor(column)), pc.less(pc.abs(column), WHOLE))
        integers = pc.if_else(whole, column, 0.0).cast(pa.int64())
        column = pc.if_else(whole, integers.cast(pa.string()), column.cast(pa.string()))
    elif not pa.types.is_binary(column.type) and not pa.types.is_large_binary(column.type):
        column = column.cast(pa.string())
    values = np.empty(len(column), np.object_)
    values[:] = ["" if value is None else value for value in column.to_pylist()]
    return values
