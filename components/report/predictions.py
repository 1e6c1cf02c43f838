"""What the linear probe answers about each class of the label, for curves of precision by recall."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from components.evaluator import rows
from components.evaluator.examples import Task, choose
from components.evaluator.schema import Evaluation
from components.evaluator.subject import Subject
from components.metrics.probes import PROBES
from components.metrics.undefined import UndefinedError

MOST = 20
"""The most classes that get a curve, the first ones."""


@dataclass(frozen=True)
class Answers:
    """A probe's answers about one class.

    Args:
        name: the class.
        truth: whether a test example is of the class, [test examples].
        probability: what the probe gives it, [test examples].
    """

    name: str
    truth: np.ndarray
    probability: np.ndarray


def answers(embeddings: Path, evaluation: Evaluation) -> Iterator[Answers]:
    """Yields the answers of a linear probe with all labels, class by class; none where the label has no classes.

    Args:
        embeddings: folder of the Embeddings artifact.
        evaluation: what was measured of it: the same examples are asked about.
    """
    settings = evaluation.settings
    if evaluation.data.label is None or not {"linear"} <= set(settings.probes) or "probes" not in settings.measure:
        return
    head = rows.header(embeddings)
    chosen = choose(embeddings, examples=settings.examples, width=head.spec.width)
    subject = Subject(embeddings, head, chosen, settings, seed=evaluation.seed)
    task = subject.label
    if not isinstance(task, Task):
        return
    probabilities = _probabilities(subject, task)
    if probabilities is None:
        return
    places = list(enumerate(task.classes))[:MOST]
    if len(task.classes) == 2:  # one curve says it: the other class's answers are the same turned around
        places = places[1:]
    for place, name in places:
        yield Answers(name, task.targets.test == place, probabilities[:, place])


def _probabilities(subject: Subject, task: Task) -> np.ndarray | None:
    """Returns the probabilities of every class, [test examples, classes]; None where no probe can be fit."""
    probe, known = PROBES["linear"], np.arange(len(task.targets.train))
    codes = subject.encoder().of(task)
    try:
        task.targets.check()
        with threadpool_limits(1):
            reading = probe.read(probe.prepare(codes), known, task.targets.labels(known), subject.seed)
    except UndefinedError:
        return None
    return reading.probabilities
