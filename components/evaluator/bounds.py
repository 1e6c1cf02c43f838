"""Thresholds: which metrics a model must reach to be blessed, and whether it does."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from components.evaluator.schema import BoundRecord, Metric, Omission
from components.evaluator.settings import Bound, Budget
from components.evaluator.wording import PLAIN, PROBES, beside, number, probe_name
from models.errors import InputError

# What binary fractions such as 0.91 - 0.01 may be off by.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Reference:
    """What the last blessed model reaches on the same rows.

    Args:
        values: its metrics by name.
        otherwise: why a metric that is not among them is not, in words.
    """

    values: Mapping[str, float]
    otherwise: str = "the last blessed model has no such number to compare with"


def metric_names(budgets: Iterable[Budget]) -> list[str]:
    """Returns the names that bounds may use, given the label budgets that are measured."""
    return [*PLAIN, *(probe_name(kind, budget) for kind in PROBES for budget in budgets)]


def check_names(bless: Iterable[str], budgets: Iterable[Budget]) -> None:
    """Checks that bounds name metrics that exist; cheap enough for before a run.

    Raises:
        InputError: with the nearest name, if one does not.
    """
    known = metric_names(budgets)
    for name in bless:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
            raise InputError(f'evaluation.bless: there is no metric "{name}". Did you mean "{nearest}"?')


def check_measured(bless: Iterable[str], omitted: Iterable[Omission]) -> None:
    """Checks that bounds name metrics that could be measured on this data.

    Raises:
        InputError: with the reason why a bounded metric is missing.
    """
    reasons = {omission.metric: omission.reason for omission in omitted}
    for name in bless:
        if name in reasons:
            raise InputError(
                f'evaluation.bless: "{name}" cannot be measured: {reasons[name]}. '
                "Remove the bound, or give the data what it needs."
            )


def compared(bless: Mapping[str, Bound]) -> list[str]:
    """Returns the names of the metrics that are held against the last blessed model."""
    return [name for name, limits in bless.items() if limits.drop is not None or limits.rise is not None]


def judge(bless: Mapping[str, Bound], metrics: Iterable[Metric], reference: Reference) -> tuple[BoundRecord, ...]:
    """Holds the encoder's metrics against their bounds.

    Args:
        bless: bounds by metric name; every name has been checked.
        metrics: what was measured.
        reference: what to hold `drop` and `rise` against.

    Returns:
        One record per bound, in the order of `bless`.
    """
    encoder = {metric.name: metric for metric in metrics if metric.representation == "encoder"}
    return tuple(
        record(encoder[name], bound, reference)
        for name, limits in bless.items()
        for record, bound in (
            (_minimum, limits.min),
            (_maximum, limits.max),
            (_drop, limits.drop),
            (_rise, limits.rise),
        )
        if bound is not None
    )


def _minimum(metric: Metric, bound: float, _: Reference) -> BoundRecord:
    ok = metric.value >= bound
    where = "at or above" if ok else "below"
    reason = f"{_is(metric, bound)}, {where} the minimum {bound:g}"
    return BoundRecord(metric.name, "min", bound, metric.value, None, ok, reason)


def _maximum(metric: Metric, bound: float, _: Reference) -> BoundRecord:
    ok = metric.value <= bound
    where = "at or below" if ok else "above"
    reason = f"{_is(metric, bound)}, {where} the maximum {bound:g}"
    return BoundRecord(metric.name, "max", bound, metric.value, None, ok, reason)


def _drop(metric: Metric, bound: float, reference: Reference) -> BoundRecord:
    last = reference.values.get(metric.name)
    ok = last is None or last - metric.value <= bound + ROUNDING
    reason = _against(metric, reference, f"a drop of {bound:g} is allowed")
    return BoundRecord(metric.name, "drop", bound, metric.value, last, ok, reason)


def _rise(metric: Metric, bound: float, reference: Reference) -> BoundRecord:
    last = reference.values.get(metric.name)
    ok = last is None or metric.value - last <= bound + ROUNDING
    reason = _against(metric, reference, f"a rise of {bound:g} is allowed")
    return BoundRecord(metric.name, "rise", bound, metric.value, last, ok, reason)


def _is(metric: Metric, bound: float) -> str:
    return f"{metric.name} is {beside(metric.value, bound, metric.unit)}"


def _against(metric: Metric, reference: Reference, allowed: str) -> str:
    """Returns how a metric compares with the last blessed model's, and what is allowed."""
    value = number(metric.value, metric.unit)
    last = reference.values.get(metric.name)
    if last is None:
        return f"{metric.name} is {value}; {reference.otherwise}"
    if metric.value == last:
        return f"{metric.name} is {value}, as the last blessed model's ({allowed})"
    distance = beside(abs(metric.value - last), 0, metric.unit)
    where = "above" if metric.value > last else "below"
    there = f"the last blessed model's {number(last, metric.unit)}"
    return f"{metric.name} is {value}, {distance} {where} {there} ({allowed})"
