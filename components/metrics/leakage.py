"""How much of an attribute can be read from codes: leakage of a sensitive attribute, attribute inference."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from components.metrics.auc import class_auc
from components.metrics.efficiency import ProbeScore, label_efficiency
from components.metrics.intervals import Estimate, mean_estimate
from components.metrics.probes import PROBES, Codes, gbt
from components.metrics.targets import Labels, Targets, majority
from components.metrics.undefined import UndefinedError

READERS = ("linear", "mlp")


@dataclass(frozen=True)
class Leakage:
    """How well probes tell an attribute from codes, beside what is possible without codes.

    Args:
        probes: by probe, its score: accuracy and, in `scores`, `auc` (macro one-vs-rest of several groups).
        majority: accuracy of always guessing the most frequent value of the training part.
        from_label: accuracy of guessing by the task's label alone: what codes that keep the label cannot help
            leaking; None without a label.
        from_label_auc: the same as AUC; None where the test part has one value only.
        advantage: by probe, its accuracy minus the majority's on the same examples: attribute inference.
    """

    probes: Mapping[str, ProbeScore]
    majority: float
    from_label: Estimate | None
    from_label_auc: Estimate | None
    advantage: Mapping[str, Estimate]


def leakage(
    codes: Codes,
    attribute: Targets,
    *,
    label: Targets | None = None,
    readers: tuple[str, ...] = READERS,
    seed: int,
) -> Leakage:
    """Leakage of an attribute s: accuracy and AUC of probes for s from z, on the test part.

    Attribute inference, an attacker's view of the same number, is the advantage over the base rate: accuracy of
    the probe minus accuracy of the majority guess, with a paired bootstrap interval.

    Args:
        codes: one representation.
        attribute: the attribute's values as classes.
        label: the task's target, of any kind.
        readers: names of probes.
        seed: seed of the probes and of the bootstrap.

    Raises:
        UndefinedError: if the attribute is not one of classes, has one value in the training part, or codes are
            not finite.

    Reference:
        Louizos et al., "The Variational Fair Autoencoder" (2016), section 4.1; Yeom et al., "Privacy Risk in
        Machine Learning" (2018), section 4 (advantage).
    """
    if attribute.kind != "classification":
        raise UndefinedError("leakage takes an attribute of classes")
    probes = {
        name: next(label_efficiency(PROBES[name], codes, attribute, budgets=("all",), seeds=1, seed=seed))
        for name in readers
    }
    guessed = majority(attribute)
    found, area = (None, None) if label is None else from_label(label, attribute, seed=seed)
    return Leakage(
        probes=probes,
        majority=float(guessed.mean()),
        from_label=found,
        from_label_auc=area,
        advantage={name: mean_estimate(_correct(score) - guessed, seed=seed) for name, score in probes.items()},
    )


def _correct(score: ProbeScore) -> np.ndarray:
    if score.outcomes is None:
        raise ValueError(f"`score` must be of the budget all. Received: budget={score.budget}.")
    return score.outcomes.merit


def from_label(label: Targets, attribute: Targets, *, seed: int) -> tuple[Estimate, Estimate | None]:
    """Returns accuracy and AUC of the attribute predicted from the label: counted for classes, else boosted trees.

    Args:
        label: the task's target, of any kind.
        attribute: the attribute's values as classes, of the same examples.
        seed: seed of the trees and of the bootstrap.

    Returns:
        Both; no AUC where the test part has one value of the attribute only.
    """
    known = attribute.labels(np.arange(len(attribute.train)))
    if label.kind == "classification":
        probabilities = _counted(label, known)
    else:
        columns = Codes(label.train.reshape(len(label.train), -1), label.test.reshape(len(label.test), -1))
        probabilities = np.asarray(gbt(columns, np.arange(len(known)), known, seed).probabilities)
    right = (probabilities.argmax(axis=1) == attribute.test).astype(float)
    try:
        area = class_auc(probabilities, attribute.test)
    except UndefinedError:
        area = None
    return mean_estimate(right, seed=seed), area


def _counted(label: Targets, known: Labels) -> np.ndarray:
    """P(attribute | label) by counting; a label that the training part lacks gets the frequencies, [test, groups]."""
    counts = np.zeros((label.classes, known.classes))
    np.add.at(counts, (label.train, known.values), 1)
    totals = counts.sum(axis=1, keepdims=True)
    overall = counts.sum(axis=0) / counts.sum()
    return np.where(totals > 0, counts / np.maximum(totals, 1), overall)[label.test]
