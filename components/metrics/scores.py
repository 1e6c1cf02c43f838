"""From a probe's reading to numbers: per example and in all."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from components.metrics.auc import class_auc, label_auc
from components.metrics.intervals import Estimate, mean_estimate, ratio_interval
from components.metrics.probes import Reading
from components.metrics.targets import Kind
from components.metrics.undefined import UndefinedError

# Of each kind of target, the score that stands for a reading.
MAIN: dict[Kind, str] = {"classification": "accuracy", "multilabel": "auc", "regression": "r2"}
RANGE: dict[str, tuple[float, float]] = {
    "accuracy": (0.0, 1.0),
    "auc": (0.0, 1.0),
    "subset_accuracy": (0.0, 1.0),
    "r2": (-np.inf, 1.0),
    "nll": (-np.inf, np.inf),
}


@dataclass(frozen=True)
class Outcomes:
    """How a reading fares on every test example.

    Args:
        correct: 1 where the class, or every one of several labels, is right, else 0; None for numbers.
        error: squared error of a number; None for labels.
        nll: negative log-likelihood of the target given the code, nats.
        merit: what the share of right examples, or R^2, is the mean of: `correct`, or one minus the squared
            error in units of the test part's variance.
    """

    correct: np.ndarray | None
    error: np.ndarray | None
    nll: np.ndarray
    merit: np.ndarray


def outcomes(reading: Reading, values: np.ndarray) -> Outcomes:
    """Holds a reading against the test part's targets.

    Args:
        reading: a probe's answer.
        values: class indices [test examples], 0/1 [test examples, columns], or numbers [test examples].
    """
    if reading.variance is not None:
        error = (values - reading.predictions) ** 2
        nll = 0.5 * (np.log(2 * np.pi * reading.variance) + error / reading.variance)
        return Outcomes(None, error, nll, 1 - error / values.var())
    right = reading.predictions == values
    correct = (right if right.ndim == 1 else right.all(axis=1)).astype(np.float64)
    return Outcomes(correct, None, _surprise(reading, values), correct)


def _surprise(reading: Reading, values: np.ndarray) -> np.ndarray:
    """Returns -log p(label | code) of every example; of several labels, summed."""
    probabilities = np.asarray(reading.probabilities, np.float64)
    if values.ndim == 1:
        likelihood = probabilities[np.arange(len(values)), values][:, None]
    else:
        likelihood = np.where(values > 0, probabilities, 1 - probabilities)
    # As scikit-learn's log_loss: a probability that rounds to 0 is worth 36 nats, not infinitely many.
    return np.abs(np.log(np.clip(likelihood, np.finfo(np.float64).eps, 1.0))).sum(axis=1)


def scores(reading: Reading, values: np.ndarray, kind: Kind) -> dict[str, float]:
    """Returns every score of a reading that has a value, by name, without intervals.

    Args:
        reading: a probe's answer.
        values: the test part's targets.
        kind: what they are.
    """
    return {name: found.value for name, found in _estimates(reading, outcomes(reading, values), values, kind, None)}


def estimates(reading: Reading, found: Outcomes, values: np.ndarray, kind: Kind, *, seed: int) -> dict[str, Estimate]:
    """Returns every score of a reading that has a value, by name, with intervals over the test examples.

    `accuracy` and `auc` of classes, `auc` and `subset_accuracy` of several labels, `r2` of numbers; of all of
    them `nll`, the usefulness D_y = -E[log p(y | z)] in nats.

    Args:
        reading: a probe's answer.
        found: its outcomes.
        values: the test part's targets.
        kind: what they are.
        seed: seed of the bootstrap.

    Reference:
        Tschannen, Bachem, Lucic, "Recent Advances in Autoencoder-Based Representation Learning" (2018), section 5.
    """
    return dict(_estimates(reading, found, values, kind, seed))


def _estimates(
    reading: Reading, found: Outcomes, values: np.ndarray, kind: Kind, seed: int | None
) -> Iterator[tuple[str, Estimate]]:
    def mean(values: np.ndarray) -> Estimate:
        return Estimate(float(values.mean()), None) if seed is None else mean_estimate(values, seed=seed)

    if kind == "classification":
        yield "accuracy", mean(found.merit)
    elif kind == "multilabel":
        yield "subset_accuracy", mean(found.merit)
    else:
        yield "r2", _explained(found, values, seed)
    if kind != "regression":
        area = class_auc if kind == "classification" else label_auc
        with contextlib.suppress(UndefinedError):
            yield "auc", area(np.asarray(reading.probabilities), values)
    yield "nll", mean(found.nll)


def _explained(found: Outcomes, values: np.ndarray, seed: int | None) -> Estimate:
    """Returns R^2 = 1 - sum (y - prediction)^2 / sum (y - mean of y)^2; both sums are resampled together."""
    error, spread = np.asarray(found.error), (values - values.mean()) ** 2
    interval = None if seed is None else ratio_interval(error, spread, seed=seed)
    if interval:
        interval = 1 - interval[1], 1 - interval[0]
    return Estimate(float(1 - error.sum() / spread.sum()), interval)
