"""What who keeps the last blessed model's vectors still has under this one, led into the same space."""

from collections.abc import Iterator

import numpy as np

from components.evaluator.examples import NoTask, Task
from components.evaluator.families.view import Last, View
from components.evaluator.finding import Finding
from components.evaluator.names import of
from components.evaluator.schema import Metric, Omission, Unit
from components.metrics import alignment as measures
from components.metrics.intervals import mean_estimate
from components.metrics.undefined import UndefinedError

UNITS: dict[str, Unit] = {"classification": "accuracy", "multilabel": "accuracy", "regression": "r2"}
K = measures.NEIGHBORS


def alignment(view: View) -> Iterator[Finding | Omission]:
    """Yields agreement of neighbors, retrieval, recall, residual and transfer of a linear probe; the encoder only.

    `alignment/neighbors` is of the model's own codes, which no alignment can help; otherwise `alignment/<name>` is
    of aligned codes and `<name>/unaligned` of codes as they are, cut or filled up to the old
    width; `alignment/probe/before` of the old codes themselves. All are about the same test examples.
    """
    if not view.trained:
        return
    last = view.last()
    if isinstance(last, str):
        yield Omission("alignment", last)
        return
    codes = {
        "": last.alignment.codes(view.codes.test.astype(np.float64)),
        "/unaligned": measures.fitted_to(view.codes.test, last.codes.test.shape[1]),
    }
    try:
        yield from _near(view, last, codes)
    except UndefinedError as error:
        yield Omission("alignment", str(error))
        return
    for task in (view.label, *view.tasks):
        yield from _probe(view, last, codes, task)


def _near(view: View, last: Last, codes: dict[str, np.ndarray]) -> Iterator[Finding]:
    old, count = last.codes.test, len(last.codes.test)
    chance = f"{K} nearest of {count:,}; {K / (count - 1):.3f} by chance"
    kept = measures.neighbor_agreement(old, view.codes.test)  # of its own codes: a projection would change neighbors
    yield _share(view, "alignment/neighbors", kept, chance)
    for place, shown in codes.items():
        found = measures.retrieval(old, shown)
        yield _share(view, f"alignment/retrieval{place}", found.agreement, chance)
        yield _share(
            view, f"alignment/recall{place}", found.recall, f"among {K} of {count:,}; {K / count:.3f} by chance"
        )
    error = measures.residual(old, codes[""], seed=view.seed)
    note = "0 is the same vectors; around 2 knows nothing of them"
    yield Finding(view.estimate("alignment/residual", error, "ratio", note=note))


def _share(view: View, name: str, values: np.ndarray, note: str) -> Finding:
    metric = view.estimate(name, mean_estimate(values, seed=view.seed), "score", note=note)
    return Finding(metric, rows=np.arange(len(values)), outcomes=values)


def _probe(view: View, last: Last, codes: dict[str, np.ndarray], task: Task | NoTask) -> Iterator[Finding | Omission]:
    name = of("alignment/probe", task.column)
    if isinstance(task, NoTask):
        yield Omission(name, task.reason)
        return
    old = type(last.codes)(last.codes.train[task.train_rows], last.codes.test[task.test_rows])
    shown = {place: values[task.test_rows] for place, values in codes.items()}
    try:
        found = measures.transfer(old, shown, task.targets, seed=view.seed)
    except UndefinedError as error:
        yield Omission(name, str(error))
        return
    unit, count = UNITS[task.targets.kind], len(task.test_rows)
    lost = found["before"] - found[""]
    for place, values in {"": found[""], "/before": found["before"], "/unaligned": found["/unaligned"]}.items():
        metric = _read(view, of(f"alignment/probe{place}", task.column), values, unit, count)
        yield Finding(metric, rows=task.test_rows, outcomes=values)
    metric = _read(view, of("alignment/probe_drop", task.column), lost, "difference", count)
    yield Finding(metric, rows=task.test_rows, outcomes=lost)


def _read(view: View, name: str, values: np.ndarray, unit: Unit, count: int) -> Metric:
    note = "a linear probe trained on the old space, all labels"
    return view.estimate(name, mean_estimate(values, seed=view.seed), unit, count=count, note=note)
