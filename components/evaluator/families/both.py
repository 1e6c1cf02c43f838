"""The examples that have both a label of classes and a sensitive attribute."""

import functools
from dataclasses import dataclass

import numpy as np

from components.evaluator.examples import NoTask, Task
from components.metrics.leakage import from_label
from components.metrics.targets import Targets


@dataclass(frozen=True, eq=False)
class Both:
    """What is known of these examples.

    Args:
        train: which of the chosen training examples they are, [train].
        test: which of the chosen test examples they are, [test].
        label: their labels.
        sensitive: their values of the sensitive attribute.
        seed: seed of intervals.
    """

    train: np.ndarray
    test: np.ndarray
    label: Targets
    sensitive: Targets
    seed: int

    @classmethod
    def of(cls, label: Task | NoTask, sensitive: Task | NoTask, *, seed: int) -> "Both | None":
        """Returns the examples that have both; None where a part has none, or the label is not one of classes."""
        if not (isinstance(label, Task) and isinstance(sensitive, Task)) or label.targets.kind != "classification":
            return None
        train, first, second = np.intersect1d(label.train_rows, sensitive.train_rows, return_indices=True)
        test, third, fourth = np.intersect1d(label.test_rows, sensitive.test_rows, return_indices=True)
        if not (len(train) and len(test)):
            return None
        labels = Targets(label.targets.train[first], label.targets.test[third])
        groups = Targets(sensitive.targets.train[second], sensitive.targets.test[fourth])
        return cls(train, test, labels, groups, seed)

    @functools.cached_property
    def told(self) -> float:
        """Accuracy of guessing the attribute by the label alone; it depends on no representation."""
        return from_label(self.label, self.sensitive, seed=self.seed)[0].value
