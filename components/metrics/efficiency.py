"""Label efficiency: a probe's score and log-likelihood at growing label budgets, with intervals."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from components.metrics.draws import draw
from components.metrics.intervals import Estimate, Interval, draws_estimate
from components.metrics.probes import Codes, Probe, Reading
from components.metrics.scores import MAIN, RANGE, Outcomes, estimates, outcomes, scores
from components.metrics.targets import Targets
from components.metrics.undefined import UndefinedError

Budget = int | str


@dataclass(frozen=True)
class ProbeScore:
    """How well one probe reads a target at one label budget.

    Args:
        budget: the label budget, a number or `all`.
        name: what `value` is: `accuracy` of classes, `auc` of several labels, `r2` of numbers.
        value: the score, mean over the draws.
        interval: 95 % interval.
        seeds: number of draws.
        note: how the interval came about, and what the probe had to say.
        scores: every score by name, the main one among them; `nll` is D_y, nats.
        outcomes: per test example, at the budget `all`; None at others, where every draw has its own.
        draws: every score of every draw by name, [seeds]; None at the budget `all`.
    """

    budget: Budget
    name: str
    value: float
    interval: Interval | None
    seeds: int
    note: str
    scores: Mapping[str, Estimate]
    outcomes: Outcomes | None = field(default=None, compare=False, repr=False)
    draws: Mapping[str, np.ndarray] | None = field(default=None, compare=False, repr=False)


def label_efficiency(
    probe: Probe, codes: Codes, targets: Targets, *, budgets: tuple[Budget, ...], seeds: int, seed: int
) -> Iterator[ProbeScore]:
    """Measures a probe at every label budget.

    A budget of n labels is drawn `seeds` times, stratified by class; the interval is Student's t over
    the draws. The budget `all` uses every label once; its interval is the bootstrap over test examples
    (of an AUC, DeLong's). Draws depend on `seed`, the budget and the labels only: every representation gets
    the same ones.

    Args:
        probe: the kind of probe.
        codes: one representation.
        targets: what to predict.
        budgets: label budgets.
        seeds: number of draws, at least two.
        seed: seed of the draws, of the probe and of the bootstrap.

    Yields:
        One `ProbeScore` per budget.

    Raises:
        UndefinedError: if the codes or targets allow no measurement, or a budget cannot be drawn.
    """
    targets.check()
    _check_codes(codes)
    prepared = probe.prepare(codes)
    for budget in budgets:
        if budget == "all":
            yield _with_all_labels(probe, prepared, targets, seed=seed)
        else:
            draws = [draw(targets, int(budget), np.random.default_rng([seed, int(budget), i])) for i in range(seeds)]
            yield _with_draws(probe, prepared, targets, draws=draws, seed=seed)


def statistical_efficiency(found: Iterable[ProbeScore], *, budget: Budget = 100, full: Budget = "all") -> Estimate:
    """Statistical efficiency: score(budget) / score(full), the share of the score that few labels reach.

    Args:
        found: scores of one probe on one representation.
        budget: the small label budget.
        full: the large one.

    Returns:
        About 0 to 1. The interval is that of score(budget), divided by score(full) as if that were exact.

    Raises:
        UndefinedError: if either budget was not measured, or score(full) is not positive.

    Reference:
        Locatello et al., "Challenging Common Assumptions in the Unsupervised Learning of Disentangled
        Representations" (2019), section 5.5.
    """
    by_budget = {score.budget: score for score in found}
    for wanted in (budget, full):
        if wanted not in by_budget:
            raise UndefinedError(f"the label budget {wanted} was not measured")
    few, most = by_budget[budget], by_budget[full]
    if most.value <= 0:
        raise UndefinedError(f"the score at the label budget {full} is not above zero")
    interval = few.interval and (few.interval[0] / most.value, few.interval[1] / most.value)
    return Estimate(few.value / most.value, interval)


def _check_codes(codes: Codes) -> None:
    for split, values in (("training", codes.train), ("test", codes.test)):
        if not np.isfinite(values).all():
            raise UndefinedError(f"codes of the {split} part have values that are not finite")


def _with_draws(probe: Probe, codes: Codes, targets: Targets, *, draws: list[np.ndarray], seed: int) -> ProbeScore:
    """Returns the mean scores over draws of equally many labels."""
    readings = [probe.read(codes, rows, targets.labels(rows), seed) for rows in draws]
    found = [scores(reading, targets.test, targets.kind) for reading in readings]
    by_draw = {name: np.array([values[name] for values in found]) for name in found[0]}
    every = {name: draws_estimate(values, within=_range(name, targets)) for name, values in by_draw.items()}
    score = _score(len(draws[0]), targets, every, seeds=len(draws), note=_note("t over draws", readings))
    return dataclasses.replace(score, draws=by_draw)


def _with_all_labels(probe: Probe, codes: Codes, targets: Targets, *, seed: int) -> ProbeScore:
    """Returns the scores when every training label is used."""
    rows = np.arange(len(targets.train))
    reading = probe.read(codes, rows, targets.labels(rows), seed)
    found = outcomes(reading, targets.test)
    every = estimates(reading, found, targets.test, targets.kind, seed=seed)
    return _score("all", targets, every, seeds=1, note=_note("bootstrap", [reading]), found=found)


def _score(
    budget: Budget,
    targets: Targets,
    every: dict[str, Estimate],
    *,
    seeds: int,
    note: str,
    found: Outcomes | None = None,
) -> ProbeScore:
    name = MAIN[targets.kind]
    if name not in every:
        raise UndefinedError("every label is on all or on none of the test examples")
    main = every[name]
    return ProbeScore(budget, name, main.value, main.interval, seeds, note, every, found)


def _range(name: str, targets: Targets) -> Interval:
    """Returns what a score can be: the log-likelihood of a label is not positive, that of a number can be."""
    return (0.0, np.inf) if name == "nll" and targets.kind != "regression" else RANGE[name]


def _note(interval: str, readings: list[Reading]) -> str:
    """Returns one line: how the interval came about, then each different thing the probe said."""
    said = sorted({reading.note for reading in readings} - {""})
    return "; ".join([f"interval: {interval}", *said])
