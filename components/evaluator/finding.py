"""One measured number, with what it takes to hold it against another model's."""

from dataclasses import dataclass, field

import numpy as np

from components.evaluator.schema import Metric


@dataclass(frozen=True)
class Finding:
    """A metric, and the numbers it is the mean of.

    Args:
        metric: the number.
        rows: which of the chosen test examples `outcomes` are about, [outcomes]; None without outcomes.
        outcomes: per example, such as 0/1 for right or the distortion in nats; None where the metric is no mean
            over examples.
        draws: the metric of every draw of labels, [seeds]; None at the budget `all` and without draws.
    """

    metric: Metric
    rows: np.ndarray | None = field(default=None, compare=False, repr=False)
    outcomes: np.ndarray | None = field(default=None, compare=False, repr=False)
    draws: np.ndarray | None = field(default=None, compare=False, repr=False)
