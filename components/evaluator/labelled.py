"""Which examples the probes look at, and what there is to predict."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.evaluator import rows
from components.metrics.efficiency import Targets
from models.errors import InputError
from models.features.ids import digest

TRAIN = "train"
TEST = "test"
# 128 MiB of float32 a matrix: wide examples are probed on fewer of them, which the evaluation says.
MOST_VALUES = 2**25
MOST_CLASSES = 1_000


@dataclass(frozen=True)
class Labelled:
    """The labelled examples that every representation is probed on.

    Args:
        train: ids of the training part.
        test: ids of the test part.
        targets: class indices, in the order of the ids.
        classes: the label's values in index order.
    """

    train: list[str]
    test: list[str]
    targets: Targets
    classes: tuple[str, ...]

    @property
    def majority(self) -> float:
        """Accuracy on the test part of always guessing the training part's most frequent class."""
        return float(np.mean(self.targets.test == np.argmax(np.bincount(self.targets.train))))


@dataclass(frozen=True)
class Unlabelled:
    """Why there is nothing for probes to predict, in words."""

    reason: str


def find_labelled(root: Path, *, label: str | None, examples: int, width: int) -> Labelled | Unlabelled:
    """Chooses the examples that probes look at: those of the `baselines` files that have a label.

    Where that is more than `examples`, or more than 2^25 values in all, those with the smallest sha256
    of their id are taken, in the order of that hash.

    Args:
        root: folder of the Embeddings artifact.
        label: name of the label, if the data has one.
        examples: the most examples of a split.
        width: number of values in one raw example.

    Returns:
        The examples, or why there are none.

    Raises:
        InputError: if an id names two examples.
    """
    if label is None or not rows.has_column(root, TRAIN, "baselines", "label"):
        return Unlabelled("the data has no labels")
    most = max(min(examples, MOST_VALUES // width), 1)
    train, test = (_labels(root, split, most) for split in (TRAIN, TEST))
    for split, labels in ((TRAIN, train), (TEST, test)):
        if not labels:
            return Unlabelled(f'no example of the split "{split}" has a label')
    classes = tuple(sorted(set(train.values()) | set(test.values())))
    if len(set(train.values())) < 2:
        return Unlabelled(f'"{label}" has only one class in the split "{TRAIN}", "{next(iter(train.values()))}"')
    if len(classes) > MOST_CLASSES:
        return Unlabelled(f'"{label}" has {len(classes):,} classes, more than the {MOST_CLASSES:,} that probes take')
    return Labelled(list(train), list(test), Targets(_indices(train, classes), _indices(test, classes)), classes)


def _labels(root: Path, split: str, most: int) -> dict[str, str]:
    """Returns the labels of the chosen examples by id, in the order of the ids' hashes."""
    found: dict[str, str | None] = {}
    for batch in rows.stream(root, split, "baselines", ("id", "label")):
        for id, label in zip(batch.column("id").to_pylist(), batch.column("label").to_pylist(), strict=True):
            if id in found:
                raise InputError(
                    f'data.id: {id!r} names more than one example of the split "{split}". '
                    "Name a column whose values are unique."
                )
            found[id] = label
    labelled = {id: label for id, label in found.items() if label is not None}
    return {id: labelled[id] for id in sorted(labelled, key=digest)[:most]}


def _indices(labels: dict[str, str], classes: tuple[str, ...]) -> np.ndarray:
    index = {name: place for place, name in enumerate(classes)}
    return np.array([index[label] for label in labels.values()])
