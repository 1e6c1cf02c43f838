"""How codes, and what is read from them, move when the input is a little noisy."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from components.evaluator.examples import Task
from components.evaluator.families.view import View
from components.evaluator.finding import Finding
from components.evaluator.schema import Omission
from components.metrics import robustness as noise
from components.metrics.probes import Codes
from components.metrics.targets import Targets
from components.metrics.undefined import UndefinedError


def robustness(view: View) -> Iterator[Finding | Omission]:
    """Yields displacement of codes, agreement of k-NN and drop of a linear probe at every level; the encoder only."""
    if not view.trained:
        return
    levels = {level: found for level in view.settings.noise if (found := view.measured(f"noisy:{level:g}")) is not None}
    if not levels:
        return
    rows = next(iter(levels.values()))[0]
    clean = Codes(view.codes.train, view.codes.test[rows])
    noisy = {level: codes for level, (_, codes) in levels.items()}
    try:
        if isinstance(view.label, Task):
            clean, noisy, targets = _labelled(clean, noisy, view.label, rows)
        else:
            targets = None
        found = noise.robustness(clean, noisy, targets, seed=view.seed)
    except UndefinedError as error:
        yield Omission("robustness/displacement", str(error))
        return
    for each in found:
        facts = {"count": len(clean.test), "note": f"noise of standard deviation {each.level:g} on the input"}
        yield Finding(view.estimate(f"robustness/displacement/{each.level:g}", each.displacement, "ratio", **facts))
        if each.agreement is not None:
            yield Finding(view.estimate(f"robustness/agreement/{each.level:g}", each.agreement, "score", **facts))
        if each.drop is not None:
            yield Finding(view.estimate(f"robustness/drop/{each.level:g}", each.drop, "difference", **facts))


def _labelled(
    clean: Codes, noisy: dict[float, np.ndarray], label: Task, rows: np.ndarray
) -> tuple[Codes, dict[float, np.ndarray], Targets]:
    """Keeps the examples that have a label."""
    _, mine, theirs = np.intersect1d(rows, label.test_rows, return_indices=True)
    targets = dataclasses.replace(label.targets, test=label.targets.test[theirs])
    kept = Codes(clean.train[label.train_rows], clean.test[mine])
    return kept, {level: codes[mine] for level, codes in noisy.items()}, targets
