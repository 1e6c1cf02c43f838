"""One representation of the chosen examples, and everything that families of metrics may ask of it."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.evaluator.examples import TEST, Chosen, NoTask, Task
from components.evaluator.families.both import Both
from components.evaluator.families.factored import Factored
from components.evaluator.schema import Metric, Representation, Unit
from components.evaluator.settings import Settings
from components.metrics.codes import standard_normal_rate
from components.metrics.intervals import Estimate
from components.metrics.probes import Codes
from components.metrics.procrustes import Alignment

NOT_ANSWERED = "its export does not answer that"
NOT_NORMAL = "the posterior is not a diagonal normal, or the prior not the standard normal"


@dataclass(frozen=True, eq=False)
class Last:
    """The last blessed model's codes of the same examples.

    Args:
        codes: of all chosen examples.
        alignment: leads this model's codes into their space.
    """

    codes: Codes
    alignment: Alignment


@dataclass(frozen=True, eq=False)
class View:
    """One representation of the chosen examples.

    Args:
        representation: which one.
        codes: of all chosen examples.
        chosen: the examples.
        label: the label as a task.
        tasks: the other columns to predict.
        sensitive: the sensitive attribute as a task.
        both: the examples that have a label and a sensitive attribute; None without any.
        factors: ground-truth factors of the test part, class indices [test examples, factors]; None without any.
        stddev: posterior standard deviations of the test part, [test examples, latent]; the encoder only.
        nats: rate, distortion or elbo by name, of the test part or of the split named next; the encoder only.
        measured: what the model was asked beside codes, by column of the files: which of the test examples, and
            their values; None where it was not asked. The encoder only.
        last: the last blessed model's codes, or why there are none. The encoder only.
        settings: what to measure.
        seed: seed of draws and intervals.
    """

    representation: Representation
    codes: Codes
    chosen: Chosen
    label: Task | NoTask
    tasks: tuple[Task | NoTask, ...]
    sensitive: Task | NoTask
    both: Both | None
    factors: np.ndarray | None
    stddev: Callable[[], np.ndarray]
    nats: Callable[..., np.ndarray]
    measured: Callable[[str], tuple[np.ndarray, np.ndarray] | None]
    last: Callable[[], Last | str]
    settings: Settings
    seed: int

    @property
    def trained(self) -> bool:
        """Whether this is the trained encoder, not a baseline."""
        return self.representation == "encoder"

    @functools.cached_property
    def posterior(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Means and standard deviations of the test part's posteriors, [test examples, latent], where they are normal.

        The files do not name posterior and prior: they are a diagonal normal and the standard normal where the closed
        form gives the rates that were measured. Else, and for baselines, it is None.
        """
        if not self.trained:
            return None
        mean, stddev = (values.astype(np.float64) for values in (self.codes.test, self.stddev()))
        if not (stddev > 0).all():
            return None
        rate = standard_normal_rate(mean, stddev).sum(axis=1).mean()
        return (mean, stddev) if np.isclose(rate, self.nats("rate").mean(), rtol=0.01, atol=1e-3) else None

    @functools.cached_property
    def factored(self) -> Factored | None:
        """The test part's codes with their factors; None without factors."""
        if self.factors is None:
            return None
        stddev = None if self.posterior is None else self.posterior[1]
        return Factored(self.codes.test, self.factors, self.seed, stddev)

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
