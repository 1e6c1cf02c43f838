"""The versioned evaluation.json: the one format that gates, reports, consoles and frontiers read."""

import re
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

from pydantic import FiniteFloat, TypeAdapter
from pydantic.dataclasses import dataclass

from components.evaluator.settings import Settings
from components.records import read_record
from models.atomic import write_whole

VERSION = 2
EVALUATION_FILE = "evaluation.json"
REPORT_FILE = "report.html"

Representation = Literal["encoder", "pca", "random", "raw", "ceiling"]
REPRESENTATIONS: tuple[Representation, ...] = ("encoder", "pca", "random", "raw")
"""What is probed: the encoder and what costs nothing. The ceiling, a supervised reader of raw features, is none."""
Unit = Literal["nats", "count", "accuracy", "auc", "r2", "score", "ratio", "difference"]


@dataclass(frozen=True)
class Metric:
    """One number and everything needed to read it.

    Args:
        name: such as `rate` or `probe/linear/100`; see `components.evaluator.names`.
        representation: `encoder`, or the baseline the number belongs to.
        value: the number.
        unit: `nats` (per example), `count`, `accuracy` and `auc` (0 to 1), `r2` (up to 1), `score` (a scale of its
            own without a unit, mostly 0 to 1), `ratio` (of two numbers) or `difference` (of two shares).
        interval: 95 % interval, None where it has no meaning.
        split: split it was measured on.
        count: number of examples it was measured on.
        seeds: number of draws that `value` is the mean of.
        note: how the interval came about and what else to know.
    """

    name: str
    representation: Representation
    value: FiniteFloat
    unit: Unit
    interval: tuple[FiniteFloat, FiniteFloat] | None
    split: str
    count: int
    seeds: int
    note: str = ""


@dataclass(frozen=True)
class Omission:
    """A metric that was asked for and could not be measured, and why."""

    metric: str
    reason: str


@dataclass(frozen=True)
class BoundRecord:
    """One bound, and whether it is met.

    Args:
        metric: name of the bounded metric.
        kind: `min` or `max` (absolute), `drop` or `rise` (against the last blessed model).
        bound: the limit, in the metric's unit.
        value: the encoder's value; None where it has none.
        reference: the last blessed model's value on the same rows; None for absolute bounds and where
            no model has been blessed.
        p_value: of the paired test for a loss beyond the bound, adjusted for the number of such tests; None where
            nothing was tested.
        ok: whether the bound is met.
        reason: one line for people.
    """

    metric: str
    kind: Literal["min", "max", "drop", "rise"]
    bound: FiniteFloat
    value: FiniteFloat | None
    reference: FiniteFloat | None
    ok: bool
    reason: str
    p_value: FiniteFloat | None = None


@dataclass(frozen=True)
class TaskFacts:
    """One column that probes predict.

    Args:
        column: its name.
        kind: `classification`, `multilabel` or `regression`.
        classes: number of classes, or of labels; 0 for numbers.
        train: number of training examples with a value.
        test: number of test examples with a value.
        majority: accuracy of always guessing the most frequent class; None but for classification.
    """

    column: str
    kind: Literal["classification", "multilabel", "regression"]
    classes: int
    train: int
    test: int
    majority: FiniteFloat | None = None


@dataclass(frozen=True)
class DataFacts:
    """The data a representation was measured on.

    Args:
        name: the data's name, as the run configuration gives it.
        kind: `image`, `vector` or `table`.
        counts: number of examples by split.
        shape: shape of one raw example.
        label: name of the label that probes predict, None without probes.
        classes: number of the label's values, 0 without probes.
        majority: accuracy of always guessing the most frequent class, None without probes.
        probed: number of labelled examples that probes looked at by split, empty without probes.
        tasks: the columns predicted beside the label.
        sensitive: name of the sensitive attribute, if the data has one.
        factors: names of the ground-truth factors.
        explains: what the distortion is of: the example, or its label.
    """

    name: str
    kind: str
    counts: dict[str, int]
    shape: tuple[int, ...] = ()
    label: str | None = None
    classes: int = 0
    majority: FiniteFloat | None = None
    probed: dict[str, int] = field(default_factory=dict)
    tasks: tuple[TaskFacts, ...] = ()
    sensitive: str | None = None
    factors: tuple[str, ...] = ()
    explains: Literal["x", "label"] = "x"


@dataclass(frozen=True)
class AlignedTo:
    """The space that the encoder's signature `embed_aligned` answers in.

    Args:
        space: its id.
        recipe: the recipe of the model it is of.
        latent: width of a code there.
        scale: how much distances are stretched on the way.
        residual: squared error of the training examples, in units of the old codes' spread.
        examples: number of training examples it was fitted on.
    """

    space: str
    recipe: str
    latent: int
    scale: FiniteFloat
    residual: FiniteFloat
    examples: int


@dataclass(frozen=True)
class Evaluation:
    """Everything measured on one representation, and the verdict.

    Args:
        schema: version of this format.
        space: id of the embedding space.
        recipe: name of the model's recipe.
        parameters: the recipe's parameters.
        objective: what the model was trained to minimize, in one line.
        latent: width of a code.
        data: what it was measured on.
        metrics: the numbers; for one name, the encoder's comes first.
        bounds: the bounds and whether they are met.
        blessed: whether all bounds are met.
        omitted: what was asked for and could not be measured.
        warnings: what a reader should not overlook, one line each.
        widths: number of values in a code of each representation.
        importance: how much each dimension of the code [latent] says of each factor [factors], in shares of all
            importance; empty without factors.
        settings: the `evaluation` section of the run configuration.
        seed: seed of draws and intervals.
        code: version of the code that measured.
        aligned_to: the last blessed model's space, where the encoder answers in it.
    """

    schema: Literal[2]
    space: str
    recipe: str
    parameters: dict[str, Any]
    objective: str
    latent: int
    data: DataFacts
    metrics: tuple[Metric, ...]
    bounds: tuple[BoundRecord, ...]
    blessed: bool
    omitted: tuple[Omission, ...] = ()
    warnings: tuple[str, ...] = ()
    widths: dict[str, int] = field(default_factory=dict)
    importance: tuple[tuple[FiniteFloat, ...], ...] = ()
    settings: Settings = Settings()
    seed: int = 0
    code: str = ""
    aligned_to: AlignedTo | None = None


def find(metrics: tuple[Metric, ...], name: str, representation: Representation = "encoder") -> Metric | None:
    """Returns the metric of that name and representation, None if it was not measured."""
    return next((m for m in metrics if (m.name, m.representation) == (name, representation)), None)


def largest_probe(metrics: tuple[Metric, ...], kind: str) -> Metric | None:
    """Returns the encoder's score for the label at the largest budget that was measured, None without probes."""
    found = [m for m in metrics if m.representation == "encoder" and re.fullmatch(rf"probe/{kind}/\w+", m.name)]
    return found[-1] if found else None


_ADAPTER = TypeAdapter(Evaluation)


def write_evaluation(evaluation: Evaluation, folder: Path) -> Path:
    """Writes `evaluation.json` into a folder, all of it or nothing, and returns its path."""
    return write_whole(folder / EVALUATION_FILE, _ADAPTER.dump_json(evaluation, indent=2))


def read_evaluation(path: Path) -> Evaluation:
    """Reads and validates an `evaluation.json`.

    Raises:
        InputError: if there is no such file, or it is not a valid evaluation of this version.
    """
    again = "Evaluate the model again with this version."
    return read_record(_ADAPTER, path, missing="Check the path.", again=again)
