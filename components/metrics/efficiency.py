"""Label efficiency: a probe's accuracy at growing label budgets, with intervals."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from components.metrics.draws import stratified
from components.metrics.intervals import Interval, Mean, draws_interval
from components.metrics.probes import Codes, Probe, Reading

Budget = int | str


@dataclass(frozen=True)
class Targets:
    """Class indices of the labelled examples, in the order of the codes.

    Args:
        train: [train examples].
        test: [test examples].
    """

    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of one probe at one label budget.

    Args:
        budget: the label budget, a number or `all`.
        value: share of the test examples that are predicted right, mean over the draws.
        interval: 95 % interval.
        seeds: number of draws.
        note: how the interval came about, and what the probe had to say.
    """

    budget: Budget
    value: float
    interval: Interval | None
    seeds: int
    note: str


def accuracies(
    probe: Probe, codes: Codes, targets: Targets, *, budgets: tuple[Budget, ...], seeds: int, seed: int
) -> Iterator[Accuracy]:
    """Measures a probe at every label budget.

    A budget of n labels is drawn `seeds` times, stratified by class; the interval is Student's t over
    the draws. The budget `all` uses every label once; its interval is the bootstrap over test examples.
    Draws depend on `seed`, the budget and the labels only: every representation gets the same ones.

    Args:
        probe: the kind of probe.
        codes: one representation.
        targets: the classes to predict, at least two in the training part.
        budgets: label budgets that can be drawn from `targets.train`.
        seeds: number of draws, at least two.
        seed: seed of the draws and of the bootstrap.

    Yields:
        One `Accuracy` per budget.
    """
    prepared = probe.prepare(codes)
    for budget in budgets:
        if budget == "all":
            yield _with_all_labels(probe, prepared, targets, seed=seed)
        else:
            yield _with_draws(probe, prepared, targets, draws=_draws(targets.train, int(budget), seeds, seed))


def _draws(labels: np.ndarray, budget: int, seeds: int, seed: int) -> list[np.ndarray]:
    """Returns the rows that get a label, once per draw."""
    return [stratified(labels, budget, np.random.default_rng([seed, budget, draw])) for draw in range(seeds)]


def _with_draws(probe: Probe, codes: Codes, targets: Targets, *, draws: list[np.ndarray]) -> Accuracy:
    """Returns the mean accuracy over draws of equally many labels."""
    readings = [probe.read(codes, rows, targets.train[rows]) for rows in draws]
    values = np.array([np.mean(reading.predictions == targets.test) for reading in readings])
    low, high = draws_interval(values)
    return Accuracy(
        budget=len(draws[0]),
        value=float(values.mean()),
        interval=(max(low, 0.0), min(high, 1.0)),
        seeds=len(draws),
        note=_note("t over draws", readings),
    )


def _with_all_labels(probe: Probe, codes: Codes, targets: Targets, *, seed: int) -> Accuracy:
    """Returns the accuracy when every training label is used."""
    reading = probe.read(codes, np.arange(len(targets.train)), targets.train)
    correct = Mean()
    correct.add(reading.predictions == targets.test)
    return Accuracy(
        budget="all",
        value=correct.value,
        interval=correct.interval(np.random.default_rng(seed)),
        seeds=1,
        note=_note("bootstrap", [reading]),
    )


def _note(interval: str, readings: list[Reading]) -> str:
    """Returns one line: how the interval came about, then each different thing the probe said."""
    said = sorted({reading.note for reading in readings} - {""})
    return "; ".join([f"interval: {interval}", *said])
