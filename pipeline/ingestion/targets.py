"""What there is to predict in a column or an array: classes, numbers, or several labels an example."""

from collections.abc import Iterable

import numpy as np

from models.errors import InputError
from models.features.spec import Target
from pipeline.config import Columns
from pipeline.ingestion.columns import Profile
from pipeline.ingestion.source import MOST_CLASSES, Classes, log
from pipeline.ingestion.values import target_values

FEW = 20
"""Whole numbers with more distinct values than this are quantities, such as an age, and not classes."""


def table_target(profile: Profile, overrides: Columns) -> Target:
    """Returns what a table's column gives to predict.

    Args:
        profile: what the column was seen to hold.
        overrides: columns that are numbers, or classes, whatever they seem to be.

    Raises:
        InputError: if it has fewer than two values, holds infinite numbers, or names more than classes.
    """
    if profile.constant:
        raise _constant(profile.what, profile.values)
    name = profile.name
    number = profile.numeric and name not in overrides.categorical
    if number and profile.infinite:
        raise profile.infinite
    if number and (profile.fraction is not None or name in overrides.numeric):
        return Target(name, "regression")
    if number and len(profile.values) > FEW:
        _say_counted(profile.what, "Add it to data.columns.categorical")
        return Target(name, "regression")
    profile.check_classes("targets")
    return Target(name, "classification")


class TargetArray:
    """What an array of targets has been seen to hold, in bounded memory.

    Its type decides: text, truth values and few whole numbers are classes, floats are numbers.

    Args:
        name: the array's name.
        what: what messages call it.
        missing: the texts that mean "missing".
    """

    def __init__(self, name: str, what: str, *, missing: Iterable[str]):
        self.name = name
        self.what = what
        self.missing = tuple(missing)
        self.values: set[str | float] = set()
        self.forms: set[tuple[Target, bool]] = set()

    def add(self, block: np.ndarray, start: int) -> None:
        """Takes the next rows of the array.

        Raises:
            InputError: if a value cannot be predicted; the message names its row.
        """
        kind = "multilabel" if block.ndim == 2 else "regression" if block.dtype.kind == "f" else "classification"
        target = Target(self.name, kind, block.shape[1] if block.ndim == 2 else 1)
        self.forms.add((target, block.dtype.kind in "iu"))
        values = target_values(block, target, what=self.what, missing=self.missing, start=start)
        if kind != "multilabel" and len(self.values) <= MOST_CLASSES:
            self.values.update(value for value in values if value is not None)

    def close(self) -> Target:
        """Returns what the array gives to predict.

        Raises:
            InputError: if it has fewer than two values, or its parts are unlike each other.
        """
        if len(self.forms) > 1:
            raise InputError(f"data.targets: {self.what} is unlike in its parts. Save them in one type and width.")
        ((target, whole),) = self.forms
        if target.kind == "multilabel":
            return target
        if len(self.values) < 2:
            raise _constant(self.what, self.values)
        if target.kind == "regression":
            return target
        if whole and len(self.values) > FEW:
            _say_counted(self.what, "Save it as text")
            return Target(self.name, "regression")
        classes = Classes("targets", self.what)
        classes.add(str(value) for value in self.values)
        return target


def _constant(what: str, values: Iterable[str | float]) -> InputError:
    only = next(iter(values), None)
    held = "no value at all" if only is None else f"one value only ({only!r})"
    return InputError(f"data.targets: {what} has {held}: there is nothing to predict. Leave it out.")


def _say_counted(what: str, otherwise: str) -> None:
    log.warning("%s holds more than %d whole numbers: taken as a quantity. %s for classes", what, FEW, otherwise)
