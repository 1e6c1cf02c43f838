"""Thresholds: which metrics a model must reach to be blessed, and whether it does."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from components.evaluator import regression
from components.evaluator.finding import Finding
from components.evaluator.names import Name, bases, known, of, probe_bases
from components.evaluator.regression import Loss
from components.evaluator.schema import BoundRecord, Metric, Omission
from components.evaluator.settings import Bound, Settings
from components.evaluator.wording import beside, number
from models.errors import InputError

Relative = Literal["drop", "rise"]
KINDS: tuple[Literal["min", "max", "drop", "rise"], ...] = ("min", "max", "drop", "rise")

NEEDS = {
    "disentanglement": "the data names no factors (data.factors)",
    "leakage": "the data names no sensitive attribute (data.sensitive)",
    "leakage_auc": "the data names no sensitive attribute (data.sensitive)",
    "attribute_inference": "the data names no sensitive attribute (data.sensitive)",
    "fairness": "that takes a label of classes and a sensitive attribute",
    "clustering": "the data names no label of classes (data.label)",
    "alignment": "evaluation.measure does not name alignment",
}


@dataclass(frozen=True)
class Reference:
    """What the last blessed model reaches on the same rows.

    Args:
        findings: its metrics by name.
        otherwise: why a metric that is not among them is not, in words.
        omitted: why those of some names are not, in words.
    """

    findings: Mapping[str, Finding]
    otherwise: str = "the last blessed model has no such number to compare with"
    omitted: Mapping[str, str] = field(default_factory=dict)

    def absence(self, name: str) -> str:
        """Returns in words why there is no metric of a name."""
        reason = self.omitted.get(name)
        return f"of the last blessed model there is no such number: {reason}" if reason else self.otherwise


def metric_names(settings: Settings, tasks: Iterable[str] = ()) -> list[str]:
    """Returns the names that bounds may use, less slices.

    Args:
        settings: what is measured.
        tasks: columns that are predicted beside the label.
    """
    columns = dict.fromkeys([*tasks, *(settings.tasks or ())])
    return [*bases(settings), *(of(base, column) for column in columns for base in probe_bases(settings))]


def unknown(name: str, settings: Settings, tasks: Iterable[str] = ()) -> str | None:
    """Returns the nearest name of a metric where a name is none, None where it is one."""
    if known(name, settings, tasks):
        return None
    base = Name.parse(name).base
    if base != name and known(base, settings, tasks):
        name = of(base, Name.parse(name).column)
    return difflib.get_close_matches(name, metric_names(settings, tasks), n=1, cutoff=0)[0]


def check_names(settings: Settings, tasks: Iterable[str] = ()) -> None:
    """Checks that bounds name metrics that exist; cheap enough for before a run.

    Raises:
        InputError: with the nearest name, if one does not.
    """
    for name in settings.bless:
        nearest = unknown(name, settings, tasks)
        if nearest is not None:
            raise InputError(f'evaluation.bless: there is no metric "{name}". Did you mean "{nearest}"?')


def check_measured(bless: Iterable[str], measured: Iterable[str], omitted: Iterable[Omission]) -> None:
    """Checks that the metrics that bounds name were measured on this data.

    Raises:
        InputError: with the reason why a bounded metric is missing.
    """
    reasons, there = {omission.metric: omission.reason for omission in omitted}, set(measured)
    for name in bless:
        if name not in there:
            family = name.split("/")[0]
            probe = reasons.get(name.replace("label_distortion", "probe"))
            reason = reasons.get(name) or probe or reasons.get(family) or NEEDS.get(family)
            raise InputError(
                f'evaluation.bless: "{name}" cannot be measured: {reason or "the data has nothing of that name"}. '
                "Remove the bound, or give the data what it needs."
            )


def without_alignment(settings: Settings) -> Settings:
    """Returns the settings without bounds on the alignment: where there is no space to keep, none can be broken."""
    kept = {name: limits for name, limits in settings.bless.items() if not name.startswith("alignment/")}
    return settings.model_copy(update={"bless": kept})


def unmet_alignment(settings: Settings, reason: str) -> tuple[BoundRecord, ...]:
    """Returns the bounds on the alignment, all unmet: where the model's own codes lead into no space.

    Args:
        settings: the bounds by metric name.
        reason: why there is no alignment, in words.
    """
    return tuple(
        BoundRecord(name, kind, bound, None, None, False, f"{name} has no value: {reason}")
        for name, limits in settings.bless.items()
        if name.startswith("alignment/")
        for kind in KINDS
        if (bound := getattr(limits, kind)) is not None
    )


def compared(bless: Mapping[str, Bound]) -> list[str]:
    """Returns the names of the metrics that are held against the last blessed model."""
    return [name for name, limits in bless.items() if limits.drop is not None or limits.rise is not None]


def judge(
    settings: Settings, findings: Iterable[Finding], reference: Reference, *, seed: int = 0
) -> tuple[BoundRecord, ...]:
    """Holds the encoder's metrics against their bounds.

    Args:
        settings: the bounds by metric name, every name checked, and the significance of losses.
        findings: what was measured.
        reference: what to hold `drop` and `rise` against.
        seed: seed of the paired tests.

    Returns:
        One record per bound, in the order of `bless`.
    """
    encoder = {f.metric.name: f for f in findings if f.metric.representation == "encoder"}
    losses = _losses(settings, encoder, reference, seed)
    records = []
    for name, limits in settings.bless.items():
        metric = encoder[name].metric
        absolute = ((limits.min, _minimum), (limits.max, _maximum))
        records += [record(metric, bound) for bound, record in absolute if bound is not None]
        for kind, bound in _relative_bounds(limits):
            if bound is not None:
                records.append(_relative(metric, kind, bound, losses.get((name, kind)), reference))
    return tuple(records)


def _relative_bounds(limits: Bound) -> tuple[tuple[Relative, float | None], ...]:
    return ("drop", limits.drop), ("rise", limits.rise)


def _losses(
    settings: Settings, encoder: Mapping[str, Finding], reference: Reference, seed: int
) -> dict[tuple[str, str], Loss]:
    """Returns every loss against the last blessed model, tested together, by metric and kind of bound."""
    asked = [
        (name, kind, bound)
        for name in compared(settings.bless)
        if name in reference.findings
        for kind, bound in _relative_bounds(settings.bless[name])
        if bound is not None
    ]
    losses = [
        regression.loss(reference.findings[name], encoder[name], falls=kind == "drop", allowed=bound, seed=seed)
        for name, kind, bound in asked
    ]
    adjusted = regression.adjusted(losses, settings.significance)
    return {(name, kind): loss for (name, kind, _), loss in zip(asked, adjusted, strict=True)}


def _minimum(metric: Metric, bound: float) -> BoundRecord:
    ok = metric.value >= bound
    where = "at or above" if ok else "below"
    reason = f"{_is(metric, bound)}, {where} the minimum {bound:g}"
    return BoundRecord(metric.name, "min", bound, metric.value, None, ok, reason)


def _maximum(metric: Metric, bound: float) -> BoundRecord:
    ok = metric.value <= bound
    where = "at or below" if ok else "above"
    reason = f"{_is(metric, bound)}, {where} the maximum {bound:g}"
    return BoundRecord(metric.name, "max", bound, metric.value, None, ok, reason)


def _relative(metric: Metric, kind: Relative, bound: float, loss: Loss | None, reference: Reference) -> BoundRecord:
    value = number(metric.value, metric.unit)
    if loss is None:
        reason = f"{metric.name} is {value}; {reference.absence(metric.name)}"
        return BoundRecord(metric.name, kind, bound, metric.value, None, True, reason)
    last, allowed = loss.before, f"a {kind} of {bound:g} is allowed{loss.verdict}"
    there = f"the last blessed model's {number(last, metric.unit)}"
    if metric.value == last:
        reason = f"{metric.name} is {value}, as the last blessed model's ({allowed})"
    else:
        distance = beside(abs(metric.value - last), 0, metric.unit)
        where = "above" if metric.value > last else "below"
        reason = f"{metric.name} is {value}, {distance} {where} {there} ({allowed})"
    return BoundRecord(metric.name, kind, bound, metric.value, last, not loss.refused, reason, loss.p_value)


def _is(metric: Metric, bound: float) -> str:
    return f"{metric.name} is {beside(metric.value, bound, metric.unit)}"
