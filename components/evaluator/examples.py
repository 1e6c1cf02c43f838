"""Which examples are looked at closely, and what is known of them beside their codes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.evaluator import rows
from components.metrics.targets import Kind, Targets
from models.errors import InputError
from models.features.ids import digest

TRAIN = "train"
TEST = "test"
# 128 MiB of float32 a matrix: wide examples are probed on fewer of them, which the evaluation says.
MOST_VALUES = 2**25
MOST_CLASSES = 1_000


@dataclass(frozen=True)
class Part:
    """The chosen examples of one split, in the order of their ids' hashes.

    Args:
        ids: their ids.
        columns: by name in the files (`label`, `sensitive`, `factor:<name>`, `target:<name>`, `slice:<name>`), a
            value per example; None where it is missing.
    """

    ids: list[str]
    columns: dict[str, list[Any]]


@dataclass(frozen=True)
class Task:
    """One column that codes are asked for.

    Args:
        column: its name; None for the label.
        targets: its values for the examples that have one.
        train_rows: which of the chosen training examples these are.
        test_rows: which of the chosen test examples these are.
        classes: the values in index order; empty for numbers and several labels.
    """

    column: str | None
    targets: Targets
    train_rows: np.ndarray
    test_rows: np.ndarray
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class NoTask:
    """A column that cannot be asked for, and why, in words."""

    column: str | None
    reason: str


@dataclass(frozen=True)
class Chosen:
    """The examples that every representation and every model is measured on."""

    train: Part
    test: Part

    def task(self, key: str, name: str | None, *, column: str, kind: Kind) -> Task | NoTask:
        """Returns what there is to predict in one column.

        Args:
            key: the column's name in the files.
            name: what metrics call it; None for the label.
            column: the user's name of it.
            kind: classes, several labels or a number.
        """
        if key not in self.train.columns:
            return NoTask(name, "the data has no labels" if name is None else f'the data has no column "{column}"')
        parts = {TRAIN: self.train.columns[key], TEST: self.test.columns[key]}
        known = {
            split: np.array([i for i, v in enumerate(values) if _whole(v)], int) for split, values in parts.items()
        }
        for split, places in known.items():
            if not len(places):
                return NoTask(name, f'no example of the split "{split}" has a {"label" if name is None else "value"}')
        train, test = ([parts[split][i] for i in places] for split, places in known.items())
        if kind != "classification":
            targets = Targets(np.asarray(train), np.asarray(test), kind)
            return Task(name, targets, known[TRAIN], known[TEST])
        return _classes(name, column, train, test, known)

    def column(self, key: str) -> np.ndarray | None:
        """Returns a column of whole numbers of the test part, None where there is none, or a value is missing."""
        values = self.test.columns.get(key)
        return None if values is None or not all(_whole(value) for value in values) else np.array(values, np.int64)


def choose(root: Path, *, examples: int, width: int) -> Chosen:
    """Chooses the examples: of the `baselines` files, those with a label first, then by the sha256 of their id.

    At most `examples` of a split are taken, and at most 2^25 values in all.

    Args:
        root: folder of the Embeddings artifact.
        examples: the most examples of a split.
        width: number of values in one raw example.

    Raises:
        InputError: if an id names two examples.
    """
    most = max(min(examples, MOST_VALUES // width), 1)
    return Chosen(*(_part(root, split, most) for split in (TRAIN, TEST)))


def _part(root: Path, split: str, most: int) -> Part:
    found: dict[str, dict[str, Any]] = {}
    names = [name for name in rows.columns(root, split, "baselines") if name not in ("features", "random")]
    for batch in rows.stream(root, split, "baselines", tuple(names)):
        for row in batch.to_pylist():
            id = row.pop("id")
            if id in found:
                raise InputError(
                    f'data.id: {id!r} names more than one example of the split "{split}". '
                    "Name a column whose values are unique."
                )
            found[id] = row
    unlabelled = {id: "label" in names and row["label"] is None for id, row in found.items()}
    taken = sorted(sorted(found, key=lambda id: (unlabelled[id], digest(id)))[:most], key=digest)
    return Part(taken, {name: [found[id][name] for id in taken] for name in names if name != "id"})


def _classes(name: str | None, column: str, train: list, test: list, known: dict[str, np.ndarray]) -> Task | NoTask:
    train, test = ([str(value) for value in values] for values in (train, test))
    classes = tuple(sorted({*train, *test}))
    if len(set(train)) < 2:
        return NoTask(name, f'"{column}" has only one class in the split "{TRAIN}", "{train[0]}"')
    if len(classes) > MOST_CLASSES:
        return NoTask(name, f'"{column}" has {len(classes):,} classes, more than the {MOST_CLASSES:,} that probes take')
    index = {value: place for place, value in enumerate(classes)}
    targets = Targets(np.array([index[value] for value in train]), np.array([index[value] for value in test]))
    return Task(name, targets, known[TRAIN], known[TEST], classes)


def _whole(value: Any) -> bool:
    """Returns whether a value is there: a list needs all of its entries, a factor is missing where it is -1."""
    if isinstance(value, list):
        return all(entry is not None for entry in value)
    return value is not None and not (isinstance(value, int) and value == -1)
