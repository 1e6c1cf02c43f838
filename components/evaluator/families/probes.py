"""Usefulness: how well simple readers predict the label, and any other column, from codes."""

import contextlib
import dataclasses
from collections.abc import Iterator

from components.evaluator.examples import NoTask, Task
from components.evaluator.families.view import View
from components.evaluator.finding import Finding
from components.evaluator.names import of, probe_name
from components.evaluator.schema import Metric, Omission, Unit
from components.metrics import baselines
from components.metrics.draws import omission
from components.metrics.efficiency import Budget, ProbeScore, label_efficiency, statistical_efficiency
from components.metrics.probes import PROBES
from components.metrics.undefined import UndefinedError

UNITS: dict[str, Unit] = {"accuracy": "accuracy", "auc": "auc", "r2": "r2"}


def probes(view: View) -> Iterator[Finding | Omission]:
    """Yields score, label distortion and label efficiency of every probe, for the label and every other task.

    `probe/<kind>/<budget>` is the score: accuracy of classes, AUC of several labels, R^2 of numbers.
    `label_distortion/<kind>/<budget>` is the survey's third axis, D_y = -E[log p(y | z)] in nats.
    `efficiency/<kind>` is the share of the score with all labels that 100 labels reach.
    """
    for task in (view.label, *view.tasks):
        for kind in view.settings.probes:
            yield from _probe(view, task, kind)


def ceiling(view: View) -> Iterator[Finding]:
    """Yields what a supervised reader of the raw features reaches with all labels, beside the first probe's score."""
    if view.representation != "raw" or "all" not in view.settings.budgets:
        return
    for task in (view.label, *view.tasks):
        if isinstance(task, Task):
            yield from _ceiling(view, task)


def _probe(view: View, task: Task | NoTask, kind: str) -> Iterator[Finding | Omission]:
    possible: list[Budget] = []
    for budget in view.settings.budgets:
        missing = isinstance(task, NoTask)
        reason = task.reason if missing else omission(task.targets.train, budget, kind=task.targets.kind)
        if reason:
            yield Omission(of(probe_name(kind, budget), task.column), reason)
        else:
            possible.append(budget)
    if isinstance(task, NoTask) or not possible:
        return
    asked = {"budgets": tuple(possible), "seeds": view.settings.seeds, "seed": view.seed}
    try:
        found = list(label_efficiency(PROBES[kind], view.of(task), task.targets, **asked))
    except UndefinedError as error:
        yield from (Omission(of(probe_name(kind, budget), task.column), str(error)) for budget in possible)
        return
    for score in found:
        yield from _findings(view, task, kind, score)
    if view.trained:
        with contextlib.suppress(UndefinedError):  # 100 labels, or all of them, were not asked for
            name, share = of(f"efficiency/{kind}", task.column), statistical_efficiency(found)
            yield Finding(view.estimate(name, share, "ratio", count=len(task.test_rows)))


def _findings(view: View, task: Task, kind: str, score: ProbeScore) -> Iterator[Finding]:
    """Yields a probe's score, and the distortion of the label that comes with it."""
    facts = {"count": len(task.test_rows), "seeds": score.seeds, "note": score.note}
    name = of(probe_name(kind, score.budget), task.column)
    metric = view.metric(name, score.value, UNITS[score.name], interval=score.interval, **facts)
    yield _finding(metric, task, score, score.name)
    name = of(probe_name(kind, score.budget, what="label_distortion"), task.column)
    yield _finding(view.estimate(name, score.scores["nll"], "nats", **facts), task, score, "nll")


def _finding(metric: Metric, task: Task, score: ProbeScore, name: str) -> Finding:
    """Returns a metric with what it is the mean of; an AUC is the mean of nothing."""
    if score.draws is not None:
        return Finding(metric, draws=score.draws[name])
    if score.outcomes is None or name == "auc":
        return Finding(metric)
    outcomes = score.outcomes.nll if name == "nll" else score.outcomes.merit
    return Finding(metric, rows=task.test_rows, outcomes=outcomes)


def _ceiling(view: View, task: Task) -> Iterator[Finding]:
    with contextlib.suppress(UndefinedError):  # the probes of this task have said why
        score = baselines.ceiling(view.of(task), task.targets, seed=view.seed)
        name = of(probe_name(view.settings.probes[0], "all"), task.column)
        facts = {"interval": score.interval, "count": len(task.test_rows), "note": score.note}
        metric = view.metric(name, score.value, UNITS[score.name], **facts)
        yield Finding(dataclasses.replace(metric, representation="ceiling"))
