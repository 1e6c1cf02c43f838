"""What codes tell of the sensitive attribute, and whether a probe of the label treats its groups alike."""

import contextlib
from collections.abc import Iterator

import numpy as np

from components.evaluator.examples import Task
from components.evaluator.families.both import Both
from components.evaluator.families.view import View
from components.evaluator.finding import Finding
from components.evaluator.schema import Omission
from components.metrics import fairness
from components.metrics import leakage as leaks
from components.metrics.intervals import Estimate
from components.metrics.probes import PROBES, Codes
from components.metrics.undefined import UndefinedError


def leakage(view: View) -> Iterator[Finding | Omission]:
    """Yields leakage of the sensitive attribute, and gaps between its groups in a linear probe of the label."""
    if not isinstance(view.sensitive, Task):
        return
    both = view.both
    try:
        yield from _leakage(view, view.sensitive, both)
    except UndefinedError as error:
        if view.trained:
            yield Omission("leakage/linear", str(error))
        return
    if both is not None:
        yield from _fairness(view, both, view.sensitive.classes)


def _leakage(view: View, sensitive: Task, both: Both | None) -> Iterator[Finding]:
    found = leaks.leakage(view.of(sensitive), sensitive.targets, seed=view.seed)
    rows = sensitive.test_rows
    note = f"always the most frequent group: {found.majority:.3f}"
    if both is not None:
        note += f"; from the label alone: {both.told:.3f}"
    facts = {"count": len(rows), "note": note}
    for kind, score in found.probes.items():
        metric = view.metric(f"leakage/{kind}", score.value, "accuracy", interval=score.interval, **facts)
        yield Finding(metric, rows=rows, outcomes=score.outcomes.merit if score.outcomes else None)
        if "auc" in score.scores:
            yield Finding(view.estimate(f"leakage_auc/{kind}", score.scores["auc"], "auc", **facts))
    yield Finding(view.estimate("attribute_inference/mlp", found.advantage["mlp"], "difference", **facts))


def _fairness(view: View, both: Both, names: tuple[str, ...]) -> Iterator[Finding]:
    """Yields gaps between groups of a linear probe of the label with all labels."""
    codes = Codes(view.codes.train[both.train], view.codes.test[both.test])
    probe, rows = PROBES["linear"], np.arange(len(both.label.train))
    try:
        both.label.check()
    except UndefinedError:
        return
    predictions = probe.read(probe.prepare(codes), rows, both.label.labels(rows), view.seed).predictions
    label, groups = both.label.test, both.sensitive.test
    facts = {"count": len(label), "note": "of a linear probe of the label, all labels"}

    def gap(name: str, found: Estimate) -> Finding:
        return Finding(view.estimate(f"fairness/{name}", found, "difference", **facts))

    with contextlib.suppress(UndefinedError):  # groups too small to compare
        yield gap("demographic_parity", fairness.demographic_parity_gap(predictions, groups, seed=view.seed))
    positive = 1 if both.label.classes == 2 else None
    with contextlib.suppress(UndefinedError):
        found = fairness.equal_opportunity_gap(predictions, label, groups, seed=view.seed, positive=positive)
        yield gap("equal_opportunity", found)
    with contextlib.suppress(UndefinedError):
        yield gap("equalized_odds", fairness.equalized_odds_gap(predictions, label, groups, seed=view.seed))
    with contextlib.suppress(UndefinedError):
        worst = fairness.worst_group((predictions == label).astype(float), groups, seed=view.seed)
        note = f"{names[int(worst.name)]}; linear probe, all labels"
        found = Estimate(worst.value or 0.0, worst.interval)
        yield Finding(view.estimate("fairness/worst_group", found, "accuracy", count=worst.count, note=note))
