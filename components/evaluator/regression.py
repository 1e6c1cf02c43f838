"""Whether a model is worse than the last blessed one: paired tests on the same examples, or over the same draws."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

from components.evaluator.finding import Finding
from components.metrics.paired import holm, regressed

# What binary fractions such as 0.91 - 0.01 may be off by.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Loss:
    """How much worse a metric is than the last blessed model's.

    Args:
        before: the last blessed model's value.
        beyond: whether it is worse by more than is allowed, significantly or not.
        p_value: probability of a loss like this if the true one were what is allowed; None without a test.
        test: name of the test, "" without one.
        significance: probability of a false refusal that is accepted.
    """

    before: float
    beyond: bool
    p_value: float | None
    test: str
    significance: float = 0.05

    @property
    def refused(self) -> bool:
        """Whether the loss is more than is allowed, and no matter of chance as far as can be tested."""
        return self.beyond and (self.p_value is None or self.p_value < self.significance)

    @property
    def verdict(self) -> str:
        """What follows the allowance in a bound's reason: the test, where a loss beyond it was tested."""
        if not self.beyond or self.p_value is None:
            return ""
        p_value = "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.3f}"
        return f"; the loss beyond it is {'' if self.refused else 'not '}significant: {self.test}, {p_value}"


def loss(before: Finding, after: Finding, *, falls: bool, allowed: float, seed: int) -> Loss:
    """Holds a metric against the last blessed model's.

    A metric that is a mean over examples is tested on the same examples: exact McNemar for right and wrong answers
    without an allowance, else sign flips. One over draws of labels is tested over the same draws, by a paired t
    test. Others are compared as they are.

    Args:
        before: the last blessed model's.
        after: this model's.
        falls: whether a loss is a fall of the metric.
        allowed: the loss that does not count, in the metric's unit.
        seed: seed of the sign flips.
    """
    sign = 1.0 if falls else -1.0
    old, new = before.metric.value, after.metric.value
    beyond = sign * (old - new) > allowed + ROUNDING
    examples = _pairs(before.outcomes, after.outcomes)
    if examples:
        found = regressed(*examples, higher_is_better=falls, allowed=allowed, seed=seed)
        return Loss(old, beyond, found.paired.p_value, found.paired.test)
    draws = _pairs(before.draws, after.draws)
    if draws:
        changes = sign * (draws[1] - draws[0]) + allowed
        if np.ptp(changes) > ROUNDING:
            p_value = float(scipy.stats.ttest_1samp(changes, 0.0, alternative="less").pvalue)
            return Loss(old, beyond, p_value, f"paired t over {len(changes)} draws")
    return Loss(old, beyond, None, "")


def adjusted(losses: Sequence[Loss], significance: float) -> list[Loss]:
    """Returns losses with p-values adjusted for their number (Holm), so that all together err as one would."""
    tested = [place for place, each in enumerate(losses) if each.p_value is not None]
    values = holm([losses[place].p_value or 0.0 for place in tested]) if tested else []
    p_values = dict(zip(tested, map(float, values), strict=True))
    return [
        dataclasses.replace(each, p_value=p_values.get(place), significance=significance)
        for place, each in enumerate(losses)
    ]


def _pairs(before: np.ndarray | None, after: np.ndarray | None) -> tuple[np.ndarray, np.ndarray] | None:
    return None if before is None or after is None or not len(before) == len(after) > 1 else (before, after)
