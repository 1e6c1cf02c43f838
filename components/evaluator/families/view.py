"""One representation of the chosen examples, and everything that families of metrics may ask of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.evaluator.examples import TEST, Chosen, NoTask, Task
from components.evaluator.schema import Metric, Representation, Unit
from components.evaluator.settings import Settings
from components.metrics.intervals import Estimate
from components.metrics.probes import Codes


@dataclass(frozen=True)
class View:
    """One representation of the chosen examples.

    Args:
        representation: which one.
        codes: of all chosen examples.
        chosen: the examples.
        label: the label as a task.
        tasks: the other columns to predict.
        sensitive: the sensitive attribute as a task.
        factors: ground-truth factors of the test part, class indices [test examples, factors]; None without any.
        stddev: posterior standard deviations of the test part, [test examples, latent]; the encoder only.
        nats: rate, distortion or elbo by name, of the test part or of the split named next; the encoder only.
        measured: what the model was asked beside codes, by column of the files: which of the test examples, and
            their values; None where it was not asked. The encoder only.
        settings: what to measure.
        seed: seed of draws and intervals.
    """

    representation: Representation
    codes: Codes
    chosen: Chosen
    label: Task | NoTask
    tasks: tuple[Task | NoTask, ...]
    sensitive: Task | NoTask
    factors: np.ndarray | None
    stddev: Callable[[], np.ndarray]
    nats: Callable[..., np.ndarray]
    measured: Callable[[str], tuple[np.ndarray, np.ndarray] | None]
    settings: Settings
    seed: int

    @property
    def trained(self) -> bool:
        """Whether this is the trained encoder, not a baseline."""
        return self.representation == "encoder"

    def of(self, task: Task) -> Codes:
        """Returns the codes of the examples that have a value of a task's column."""
        return Codes(self.codes.train[task.train_rows], self.codes.test[task.test_rows])

    def metric(self, name: str, value: float, unit: Unit, **facts: Any) -> Metric:
        """Returns a metric of this representation on the test part.

        Args:
            name: its name.
            value: the number.
            unit: its unit.
            **facts: other fields of `Metric`; one draw and all chosen test examples by default.
        """
        shared = {"interval": None, "split": TEST, "count": len(self.codes.test), "seeds": 1}
        return Metric(name=name, representation=self.representation, value=float(value), unit=unit, **(shared | facts))

    def estimate(self, name: str, found: Estimate, unit: Unit, **facts: Any) -> Metric:
        """Returns a metric with the interval of an estimate."""
        return self.metric(name, found.value, unit, interval=found.interval, **facts)
