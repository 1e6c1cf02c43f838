"""What the columns of a table hold, inferred from all of its rows."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from models.errors import InputError
from models.features.spec import Column
from pipeline.config import Columns
from pipeline.ingestion import cells
from pipeline.ingestion.source import MOST_CLASSES, Classes, continuous, log


class Profile:
    """What one column has been seen to hold, in bounded memory.

    Args:
        name: the column's name.
        what: what messages call it.
        strict: refuse at once what is not a number.
    """

    def __init__(self, name: str, what: str, *, strict: bool = False):
        self.name = name
        self.what = what
        self.strict = strict
        self.numeric = True
        self.missing = False
        self.values: set[str] = set()
        self.fraction: float | None = None
        self.low, self.high = float("inf"), float("-inf")
        self.infinite: InputError | None = None

    def add(self, column: pa.Array, start: int) -> None:
        """Takes the next rows of the column, as `cells.clean` returned them.

        Raises:
            InputError: if the column is strict and holds anything but finite numbers.
        """
        self.missing |= column.null_count > 0
        if len(self.values) <= MOST_CLASSES:
            self.values.update(pc.unique(cells.texts(column.drop_null())).to_pylist())
        if not self.numeric:
            return
        try:
            self._measure(cells.numbers(column, what=self.what, start=start).drop_null())
        except InputError as error:
            if self.strict:
                raise
            self.numeric = cells.parse(column) is not None
            self.infinite = self.infinite or error

    def _measure(self, numbers: pa.Array) -> None:
        if not numbers:
            return
        extremes = pc.min_max(numbers).as_py()
        self.low, self.high = min(self.low, extremes["min"]), max(self.high, extremes["max"])
        if self.fraction is None:
            fractions = numbers.filter(pc.not_equal(numbers, pc.floor(numbers)))
            self.fraction = fractions[0].as_py() if fractions else None

    @property
    def constant(self) -> bool:
        """Whether every cell that is not missing holds the same value."""
        return self.low == self.high if self.numeric and self.values else len(self.values) < 2

    def check_classes(self, role: str) -> None:
        """Refuses a column that does not hold at least two classes.

        Raises:
            InputError: if it is continuous, a name, or constant.
        """
        if self.numeric and self.fraction is not None:
            raise continuous(role, self.what, self.fraction)
        classes = Classes(role, self.what)
        classes.add(self.values)
        classes.close()

    def factor_size(self) -> int:
        """Returns the number of values of a ground-truth factor.

        Raises:
            InputError: if the column holds anything but whole numbers from 0.
        """
        whole = self.numeric and not self.missing and self.infinite is None and self.fraction is None
        if not whole or self.low < 0:
            raise InputError(
                f"data.factors: {self.what} must hold integers 0, 1, 2, ... in every row. Number its values."
            )
        return int(self.high) + 1


def infer_columns(profiles: Iterable[Profile], overrides: Columns, *, source: str) -> tuple[Column, ...]:
    """Returns the input columns, numeric ones first, otherwise in the table's order.

    A column is numeric if every cell that is not missing is a number (integers with few values, too),
    and categorical otherwise. Columns that are constant or always missing are left out with a warning.

    Args:
        profiles: what each column that may be an input was seen to hold.
        overrides: kinds from the configuration.
        source: what messages call the table.

    Raises:
        InputError: if no column is left, or a numeric one holds an infinite value.
    """
    kept = [profile for profile in profiles if not _says_nothing(profile)]
    if not kept:
        raise InputError(
            f"{source}: no column is left to learn from: each is constant, missing, ignored or has a role. "
            "Check data.columns and the roles."
        )
    kinds = {profile.name: _kind(profile, overrides) for profile in kept}
    numeric = [Column(name, "numeric") for name, kind in kinds.items() if kind == "numeric"]
    return (*numeric, *(Column(name, "categorical") for name, kind in kinds.items() if kind == "categorical"))


def _kind(profile: Profile, overrides: Columns) -> str:
    if profile.numeric and profile.name not in overrides.categorical:
        if profile.infinite:
            raise profile.infinite
        return "numeric"
    if len(profile.values) > MOST_CLASSES:
        log.warning(
            "%s is categorical with more than %d values: consider adding it to data.columns.ignore",
            profile.what,
            MOST_CLASSES,
        )
    return "categorical"


def _says_nothing(profile: Profile) -> bool:
    if profile.constant:
        value = f"always {min(profile.values)!r}" if profile.values else "always missing"
        log.warning("%s is %s: left out", profile.what, value)
    return profile.constant
