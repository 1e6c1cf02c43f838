"""The values of arrays beside the examples: classes, numbers and labels, as they stand in examples."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from models.errors import InputError
from models.features.spec import Target
from pipeline.ingestion.source import continuous

UNKNOWN = -1
"""What stands in an example for a label that is neither 0 nor 1."""


def class_texts(values: np.ndarray, *, role: str, what: str, missing: Iterable[str]) -> list[str | None]:
    """Returns the class of each row as text, None where it is missing (NaN, or one of the `missing` texts).

    Raises:
        InputError: if the values are not classes.
    """
    if values.dtype.kind == "f":
        fractions = values[np.isfinite(values) & (values != np.floor(values))]
        if fractions.size:
            raise continuous(role, what, float(fractions[0]))
    absent = frozenset(missing)
    texts = (text(value) for value in values.tolist())
    return [None if not text or text in absent else text for text in texts]


def target_values(
    block: np.ndarray, target: Target, *, what: str, missing: Iterable[str] = (), start: int = 0
) -> list[Any]:
    """Returns the values of consecutive rows as they stand in examples, None where they are missing.

    Args:
        block: rows of the array.
        target: what they give to predict.
        what: what messages call the array.
        missing: the texts that mean "missing".
        start: index of the first row.

    Raises:
        InputError: if a value is not of the target's kind; the message names its row.
    """
    width = block.shape[1] if block.ndim == 2 else 1
    if width != target.width or block.dtype.kind not in ("biuf" if width > 1 else "biufUS"):
        held = f"{block.dtype}, {width} an example" if width > 1 or target.width > 1 else str(block.dtype)
        needed = f"{target.width} of 0 or 1" if target.kind == "multilabel" else "one text or number"
        raise InputError(f"data.targets: {what} holds {held}. Save {needed} an example.")
    if target.kind == "multilabel":
        return _labels(block, what=what, start=start)
    if target.kind == "classification":
        return list(class_texts(block, role="targets", what=what, missing=missing))
    return _numbers(block, what=what, missing=missing, start=start)


def _labels(block: np.ndarray, *, what: str, start: int) -> list[list[int] | None]:
    numbers = block.astype(np.float64)
    known = ~np.isnan(numbers)
    wrong = known & (numbers != 0) & (numbers != 1)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InputError(
            f"data.targets: {what} holds {numbers[row, column]:g} in row {start + row}. A matrix holds 0 or 1 for "
            "each label; save other values as an array each."
        )
    bits = np.where(known, numbers, UNKNOWN).astype(np.int64).tolist()
    return [None if all(bit == UNKNOWN for bit in row) else row for row in bits]


def _numbers(block: np.ndarray, *, what: str, missing: Iterable[str], start: int) -> list[float | None]:
    if block.dtype.kind in "US":
        raise InputError(f"data.targets: {what} holds text, where numbers are expected. Save it as numbers.")
    absent = np.isnan(block) if block.dtype.kind == "f" else np.isin(block.astype(str), list(missing))
    infinite = np.isinf(block)
    if infinite.any():
        row = start + int(infinite.argmax())
        raise InputError(f"data.targets: {what} holds infinity in row {row}. Correct it, or save NaN for missing.")
    numbers = block.astype(np.float64).tolist()
    return [None if gone else number for number, gone in zip(numbers, absent, strict=True)]


def text(value: Any) -> str:
    """Returns one value of an array as text, a float without its fraction; empty where it is missing."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    if isinstance(value, float):
        return str(int(value)) if np.isfinite(value) else ""
    return str(value).strip()
