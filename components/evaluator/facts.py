"""What an evaluation says of the data it was measured on."""

import dataclasses

from components.evaluator import rows
from components.evaluator.examples import TEST, TRAIN, Task
from components.evaluator.schema import DataFacts, TaskFacts
from components.evaluator.subject import Subject
from components.metrics.targets import majority


def data_facts(name: str, head: rows.Header, counts: dict[str, int], subject: Subject) -> DataFacts:
    """Returns the facts of the data.

    Args:
        name: the data's name.
        head: what the files say about the model and the data.
        counts: number of examples by split.
        subject: the chosen examples and what they are asked for.
    """
    spec = head.spec
    facts = DataFacts(
        name=name,
        kind=spec.kind,
        counts=counts,
        shape=spec.shape,
        tasks=tuple(_task(task) for task in subject.tasks if isinstance(task, Task)),
        sensitive=spec.sensitive,
        factors=spec.factors,
        explains=head.explains,
    )
    label = subject.label
    if not isinstance(label, Task):
        return facts
    return dataclasses.replace(
        facts,
        label=spec.label,
        classes=len(label.classes),
        majority=float(majority(label.targets).mean()),
        probed={TRAIN: len(label.train_rows), TEST: len(label.test_rows)},
    )


def _task(task: Task) -> TaskFacts:
    targets = task.targets
    classes = targets.classes if targets.train.ndim == 1 else targets.train.shape[1]
    guessed = float(majority(targets).mean()) if targets.kind == "classification" else None
    return TaskFacts(task.column or "", targets.kind, classes, len(task.train_rows), len(task.test_rows), guessed)
