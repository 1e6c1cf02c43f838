"""What probes predict: the label, and the columns beside it."""

from dataclasses import dataclass

from components.evaluator.names import Name
from components.evaluator.schema import Evaluation
from components.evaluator.wording import PROBES


@dataclass(frozen=True)
class Task:
    """One column that probes predict.

    Args:
        column: what metrics call it; None for the label.
        name: the user's name of it.
        kind: `classification`, `multilabel` or `regression`.
        classes: number of classes, or of labels; 0 for numbers.
        train: number of training examples with a value.
        test: number of test examples with a value.
        majority: accuracy of always guessing the most frequent class; None but for classification.
    """

    column: str | None
    name: str
    kind: str
    classes: int
    train: int
    test: int
    majority: float | None

    @property
    def words(self) -> str:
        """What it is: "10 classes", "3 labels an example", "a number"."""
        if self.kind == "regression":
            return "a number"
        return f"{self.classes} classes" if self.kind == "classification" else f"{self.classes} labels an example"


def tasks(evaluation: Evaluation) -> list[Task]:
    """Returns what was predicted, the label first."""
    data = evaluation.data
    found = []
    if data.label is not None:
        counts = (data.probed.get("train", 0), data.probed.get("test", 0))
        found.append(Task(None, data.label, "classification", data.classes, *counts, data.majority))
    others = (Task(t.column, t.column, t.kind, t.classes, t.train, t.test, t.majority) for t in data.tasks)
    return [task for task in [*found, *others] if probed(evaluation, task)]


def probed(evaluation: Evaluation, task: Task) -> list[str]:
    """Returns the kinds of probes that predicted a task, the most readable first."""
    names = (Name.parse(m.name) for m in evaluation.metrics if m.representation == "encoder")
    kinds = {n.base.split("/")[1] for n in names if n.base.startswith("probe/") and n.column == task.column}
    return [kind for kind in PROBES if kind in kinds]
