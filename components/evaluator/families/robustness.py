"""How codes, and what is read from them, move when the input is a little noisy."""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from components.evaluator.examples import Task
from components.evaluator.families.view import NOT_ANSWERED, View
from components.evaluator.finding import Finding
from components.evaluator.schema import Omission, Unit
from components.metrics import robustness as noise
from components.metrics.probes import Codes
from components.metrics.targets import Targets
from components.metrics.undefined import UndefinedError

UNITS: Mapping[str, Unit] = {"displacement": "ratio", "agreement": "score", "drop": "difference"}


def robustness(view: View) -> Iterator[Finding | Omission]:
    """Yields displacement of codes, agreement of k-NN and drop of a linear probe at every level; the encoder only."""
    if not view.trained:
        return
    levels = {level: found for level in view.settings.noise if (found := view.measured(f"noisy:{level:g}")) is not None}
    if not levels:
        names = (f"robustness/{name}/{level:g}" for level in view.settings.noise for name in UNITS)
        yield from (Omission(name, NOT_ANSWERED) for name in names)
        return
    rows = next(iter(levels.values()))[0]
    clean = Codes(view.codes.train, view.codes.test[rows])
    noisy = {level: codes for level, (_, codes) in levels.items()}
    targets = None
    try:
        if isinstance(view.label, Task):
            clean, noisy, targets, rows = _labelled(clean, noisy, view.label, rows)
        found = noise.robustness(clean, noisy, targets, seed=view.seed)
    except UndefinedError as error:
        yield Omission("robustness/displacement", str(error))
        return
    for each in found:
        facts = {"count": len(clean.test), "note": f"noise of standard deviation {each.level:g} on the input"}
        for name, unit in UNITS.items():
            estimate = getattr(each, name)
            if estimate is not None:
                metric = view.estimate(f"robustness/{name}/{each.level:g}", estimate, unit, **facts)
                yield Finding(metric, rows=rows, outcomes=each.outcomes[name])


def _labelled(
    clean: Codes, noisy: dict[float, np.ndarray], label: Task, rows: np.ndarray
) -> tuple[Codes, dict[float, np.ndarray], Targets, np.ndarray]:
    """Keeps the examples that have a label."""
    kept, mine, theirs = np.intersect1d(rows, label.test_rows, return_indices=True)
    targets = dataclasses.replace(label.targets, test=label.targets.test[theirs])
    codes = Codes(clean.train[label.train_rows], clean.test[mine])
    return codes, {level: moved[mine] for level, moved in noisy.items()}, targets, kept
