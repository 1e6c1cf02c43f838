"""What a probe predicts: classes, several labels at once, or a number."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from components.metrics.undefined import UndefinedError

Kind = Literal["classification", "multilabel", "regression"]

LEAST_NUMBERS = 5
"""Fewer numbers than this cannot be cross-validated, hence have no variance around a prediction."""


@dataclass(frozen=True)
class Labels:
    """The targets that a probe is given to learn from.

    Args:
        values: class indices [labels], 0/1 [labels, columns], or numbers [labels].
        kind: which of the three.
        classes: number of classes there are, seen among `values` or not; 0 but for classification.
    """

    values: np.ndarray
    kind: Kind = "classification"
    classes: int = 0

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Targets:
    """Targets of the labelled examples, in the order of the codes.

    Args:
        train: class indices [train examples], 0/1 [train examples, columns], or numbers [train examples].
        test: the same of the test part.
        kind: which of the three.
    """

    train: np.ndarray
    test: np.ndarray
    kind: Kind = "classification"

    @property
    def classes(self) -> int:
        """One more than the largest class index of either part; 0 but for classification."""
        return int(max(self.train.max(), self.test.max())) + 1 if self.kind == "classification" else 0

    def labels(self, rows: np.ndarray) -> Labels:
        """Returns what a probe may see: the targets of so many rows of the training part."""
        return Labels(self.train[rows], self.kind, self.classes)

    def check(self) -> None:
        """Checks that there is something to learn and something to measure.

        Raises:
            UndefinedError: if a part is empty, a number is not finite, or the targets do not vary.
        """
        for split, values in (("training", self.train), ("test", self.test)):
            if not len(values):
                raise UndefinedError(f"the {split} part has no labelled example")
            if not np.isfinite(values).all():
                raise UndefinedError(f"the target has values in the {split} part that are not finite")
        if self.kind == "regression" and len(self.train) < LEAST_NUMBERS:
            raise UndefinedError(f"the training part has fewer than {LEAST_NUMBERS} labelled examples")
        varied = (self.train != self.train[0]).any()
        if self.kind == "classification" and not varied:
            raise UndefinedError("the training part has one class only")
        if not varied:
            raise UndefinedError("the target has one value only in the training part")
        if self.kind == "regression" and (self.test == self.test[0]).all():
            raise UndefinedError("the target has one value only in the test part")


def majority(targets: Targets) -> np.ndarray:
    """Returns which test examples are right by always guessing the most frequent class of the training part.

    Args:
        targets: classes.

    Returns:
        0/1 [test examples]; the mean is the majority's accuracy.
    """
    return (targets.test == np.argmax(np.bincount(targets.train))).astype(float)
