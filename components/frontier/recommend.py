"""Which configuration to take: the most useful one of the Pareto set, if it is more than luck."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

from components.frontier.schema import Configuration, Recommendation, Trial, Usefulness
from components.frontier.wording import amount, metric_parts, quoted, step

LEVEL = 0.05
SAME = 1e-12


@dataclass(frozen=True)
class Comparison:
    """Paired differences over seeds: their mean, its 95 % interval, and the t-test's p.

    `interval` and `p` are None where there are fewer than two seeds, or all differ by the very same: counts of few
    examples do so by chance, and the test would divide by a spread of zero.
    """

    difference: float
    interval: tuple[float, float] | None
    p: float | None
    seeds: int

    @property
    def significant(self) -> bool:
        """Whether chance alone would rarely do this."""
        return self.p is not None and self.p < LEVEL


def compare(candidate: np.ndarray, reference: np.ndarray) -> Comparison:
    """Returns how far a candidate is from a reference, by the paired t-test over seeds.

    Args:
        candidate: [seeds], at least one.
        reference: [seeds], of the same seeds in the same order.
    """
    differences = candidate - reference
    mean, count = float(differences.mean()), len(differences)
    if count < 2:
        return Comparison(mean, None, None, count)
    if np.ptp(differences) <= SAME:
        return Comparison(mean, None, None if abs(mean) > SAME else 1.0, count)
    test = scipy.stats.ttest_rel(candidate, reference)
    low, high = test.confidence_interval(0.95)
    return Comparison(mean, (float(low), float(high)), float(test.pvalue), count)


def recommend(
    configurations: Sequence[Configuration],
    trials: Sequence[Trial],
    *,
    pareto: Sequence[str],
    usefulness: Usefulness,
) -> Recommendation:
    """Returns what to make of a frontier.

    The candidate is the most useful configuration of the Pareto set. The reference is the sweep's first
    recipe and parameters, at the candidate's rung and latent where it got that far.

    Args:
        configurations: in the sweep's order.
        trials: all trials.
        pareto: names of the configurations of the Pareto set.
        usefulness: the third axis.
    """
    sign = 1 if usefulness.better == "higher" else -1
    members = [one for one in configurations if one.name in pareto]
    best = max(members, key=lambda one: sign * one.usefulness.value)
    reference = _reference(configurations, best)
    if best.name == reference.name:
        return _of_reference(best, configurations, usefulness)
    found = _compared(best, reference, trials)
    chosen = reference if found.p is not None and not found.significant else best
    return Recommendation(
        text=_in_words(best, reference, found, usefulness),
        configuration=chosen.name,
        reference=reference.name,
        difference=found.difference,
        interval=found.interval,
        p=found.p,
        note=_caution(len(configurations)),
    )


def _reference(configurations: Sequence[Configuration], best: Configuration) -> Configuration:
    first = configurations[0]
    alike = [one for one in configurations if (one.recipe, one.parameters) == (first.recipe, first.parameters)]
    return max(alike, key=lambda one: (one.rung == best.rung, one.latent == best.latent, one.rung))


def _compared(best: Configuration, reference: Configuration, trials: Sequence[Trial]) -> Comparison:
    own, other = (
        {t.seed: t.usefulness.value for t in trials if (t.configuration, t.rung) == (one.name, one.rung)}
        for one in (best, reference)
    )
    seeds = sorted(own.keys() & other.keys())
    if not seeds:  # nothing to pair: the means say all there is
        return Comparison(best.usefulness.value - reference.usefulness.value, None, None, 0)
    return compare(np.array([own[seed] for seed in seeds]), np.array([other[seed] for seed in seeds]))


def _of_reference(
    best: Configuration, configurations: Sequence[Configuration], usefulness: Usefulness
) -> Recommendation:
    head, at = metric_parts(usefulness.metric)
    value = amount(best.usefulness.value, usefulness.unit)
    others = len(configurations) - 1
    beside = f"none of the {others} others does better" if others != 1 else "the other one does no better"
    return Recommendation(
        text=f"{quoted(best.name)}: {head} {value}{at}; {beside if others else 'it is the only one that is complete'}.",
        configuration=best.name,
        reference=best.name,
        difference=0.0,
        interval=None,
        p=None,
    )


def _in_words(best: Configuration, reference: Configuration, found: Comparison, usefulness: Usefulness) -> str:
    head, at = metric_parts(usefulness.metric)
    reach = None if found.interval is None else (found.interval[1] - found.interval[0]) / 2
    gain = step(found.difference, reach, usefulness.unit)
    one, other = quoted(best.name), quoted(reference.name)
    epochs = "" if best.epochs == reference.epochs else f" ({best.epochs} against {reference.epochs} epochs)"
    if found.p is None:
        return f"{one}: {_distortion(best, reference)}, {head} {gain} over {other}{at}{epochs}. {_untested(found)}"
    test = f"p = {found.p:.2g}, paired t-test over {found.seeds} seeds"
    if not found.significant:
        return f"No significant difference in {head}{at}: {one} {gain} over {other}{epochs} ({test}). Keep {other}."
    return f"{one}: {_distortion(best, reference)}, {head} {gain} over {other}{at}{epochs} ({test})."


def _untested(found: Comparison) -> str:
    if found.seeds < 2:
        return "From one seed each, which does not tell a difference from chance: set sweep.seeds to at least 2."
    return f"By the very same from each of {found.seeds} seeds, of which a t-test says nothing: give more sweep.seeds."


def _distortion(best: Configuration, reference: Configuration) -> str:
    difference = best.distortion.value - reference.distortion.value
    return f"{abs(difference):.1f} nats {'worse' if difference > 0 else 'better'} distortion"


def _caution(count: int) -> str:
    return f"The best of {count} was chosen by looking at all of them: expect a somewhat smaller gain on new seeds."
