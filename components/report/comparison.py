"""Runs side by side: which numbers can be compared, by how much they differ, and whether intervals tell."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.evaluator.names import Name
from components.evaluator.schema import DataFacts, Evaluation, Metric, find
from components.evaluator.wording import heading, number
from components.report.summary import interval_in_words
from components.report.tables import FAMILIES, OTHERS, family

LABELLED = ("probe", "label_distortion", "efficiency", "clustering", "fairness", "robustness")
SENSITIVE = ("leakage", "leakage_auc", "attribute_inference", "fairness")
EXPLAINED = ("distortion", "elbo", "likelihood", "membership")


@dataclass(frozen=True)
class Entry:
    """One run.

    Args:
        name: the run's id.
        pipeline: name of the pipeline it is a run of.
        evaluation: what was measured.
        configuration: what decided the training, by dotted key.
    """

    name: str
    pipeline: str
    evaluation: Evaluation
    configuration: Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One run's value of one metric.

    Args:
        metric: the number, None where it was not measured.
        difference: to the first run's; None for the first run and where the two cannot be compared.
        beyond: whether the two intervals do not overlap; None where one has no interval.
    """

    metric: Metric | None
    difference: float | None = None
    beyond: bool | None = None

    @property
    def text(self) -> str:
        """The value at its unit's precision, "" without one."""
        return number(self.metric.value, self.metric.unit) if self.metric else ""

    @property
    def interval(self) -> str:
        """The interval in words, "" without one."""
        return interval_in_words(self.metric) if self.metric else ""

    @property
    def step(self) -> str:
        """The difference with its sign, "" without one."""
        if self.difference is None or self.metric is None:
            return ""
        text = number(self.difference, self.metric.unit).removeprefix("-")
        if not text.strip("0."):
            return "±0"
        return f"{'-' if self.difference < 0 else '+'}{text}"


@dataclass(frozen=True)
class Row:
    """One metric of every run.

    Args:
        name: the metric's name.
        words: the metric in words.
        cells: a cell per run, in their order.
    """

    name: str
    words: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Args:
        entries: the runs; the first is what the others are compared with.
        rows: the encoders' metrics on all test examples by family.
        sliced: their metrics on slices by column.
        differs: what was set differently: the runs' values by key.
        notes: what cannot be compared and why, a line each.
    """

    entries: tuple[Entry, ...]
    rows: dict[str, tuple[Row, ...]]
    sliced: dict[str, tuple[Row, ...]]
    differs: dict[str, tuple[Any, ...]]
    notes: tuple[str, ...]

    @property
    def different(self) -> bool:
        """Whether any metric of another run is held against the first one's."""
        rows = (row for group in self.rows.values() for row in group)
        return any(cell.difference is not None for row in rows for cell in row.cells)

    @property
    def apart(self) -> list[Row]:
        """The metrics of which some run's interval does not overlap the first's."""
        return [row for rows in self.rows.values() for row in rows if any(cell.beyond for cell in row.cells)]


def compare(entries: Sequence[Entry]) -> Comparison:
    """Returns runs side by side.

    Args:
        entries: the runs, at least two; the first is what the others are compared with.
    """
    first, names = entries[0], _names(entries)
    rows = [_row(name, entries) for name in names]
    whole = [row for row in rows if Name.parse(row.name).slice is None]
    parts = [row for row in rows if Name.parse(row.name).slice is not None]
    notes = [note for entry in entries[1:] for note in _notes(first, entry)]
    return Comparison(
        entries=tuple(entries),
        rows=_grouped(whole, [family(row.name) for row in whole], order=(*FAMILIES, OTHERS)),
        sliced=_grouped(parts, [Name.parse(row.name).slice or "" for row in parts]),
        differs=dict(_differs(entries)),
        notes=tuple(notes),
    )


def comparable(name: str, first: DataFacts, other: DataFacts) -> bool:
    """Returns whether a metric of two evaluations is of the same thing, measured on the same examples.

    Args:
        name: the metric's name.
        first: data of the one.
        other: data of the other.
    """
    if _examples(first) != _examples(other):
        return False
    parts = Name.parse(name)
    begins = parts.base.split("/")[0]
    if parts.column is not None:
        return _kind(first, parts.column) == _kind(other, parts.column)
    about = [("label", LABELLED), ("sensitive", SENSITIVE), ("factors", ("disentanglement",)), ("explains", EXPLAINED)]
    return all(getattr(first, what) == getattr(other, what) for what, begun in about if begins in begun)


def _names(entries: Sequence[Entry]) -> list[str]:
    every = (m.name for entry in entries for m in entry.evaluation.metrics if m.representation == "encoder")
    return list(dict.fromkeys(every))


def _row(name: str, entries: Sequence[Entry]) -> Row:
    first = entries[0].evaluation
    own = find(first.metrics, name)
    cells = [Cell(own), *(_cell(name, own, first.data, entry.evaluation) for entry in entries[1:])]
    # Only where all agree on what the distortion is of can a heading say it.
    explains = {entry.evaluation.data.explains for entry in entries}
    return Row(name, heading(name, explains=explains.pop() if len(explains) == 1 else "x"), tuple(cells))


def _cell(name: str, own: Metric | None, data: DataFacts, other: Evaluation) -> Cell:
    found = find(other.metrics, name)
    if found is None or own is None or found.unit != own.unit or not comparable(name, data, other.data):
        return Cell(found)
    return Cell(found, found.value - own.value, _apart(own, found))


def _apart(one: Metric, other: Metric) -> bool | None:
    if one.interval is None or other.interval is None:
        return None
    return one.interval[1] < other.interval[0] or other.interval[1] < one.interval[0]


def _grouped(rows: Sequence[Row], headings: Sequence[str], *, order: Sequence[str] = ()) -> dict[str, tuple[Row, ...]]:
    """Returns rows by heading: the headings in the order given, then as they come."""
    found: dict[str, list[Row]] = {name: [] for name in order}
    for row, name in zip(rows, headings, strict=True):
        found.setdefault(name, []).append(row)
    return {name: tuple(group) for name, group in found.items() if group}


def _examples(data: DataFacts) -> tuple[Any, ...]:
    return data.name, data.kind, data.shape, data.counts


def _kind(data: DataFacts, column: str) -> tuple[Any, ...] | None:
    return next(((task.kind, task.classes) for task in data.tasks if task.column == column), None)


def _notes(first: Entry, entry: Entry) -> Iterator[str]:
    """Yields why numbers of a run are not compared with the first one's."""
    one, other = first.evaluation.data, entry.evaluation.data
    if _examples(one) != _examples(other):
        yield (
            f"{entry.name} was measured on other data ({_described(other)}) than {first.name} ({_described(one)}): "
            "its numbers stand beside the others, without differences"
        )
        return
    if one.explains != other.explains:
        words = {"x": "of the example", "label": "of the label"}
        yield (
            f"the distortion of {entry.name} is {words[other.explains]}, that of {first.name} "
            f"{words[one.explains]}: distortion and ELBO are not compared"
        )
    for what, words in (("label", "label"), ("sensitive", "sensitive attribute"), ("factors", "factors")):
        mine, theirs = getattr(one, what), getattr(other, what)
        if mine and theirs and mine != theirs:
            yield f"{entry.name} has another {words} than {first.name}: what is about it is not compared"


def _described(data: DataFacts) -> str:
    counts = ", ".join(f"{count:,} {split}" for split, count in data.counts.items())
    return f"{data.name}: {counts}"


def _differs(entries: Sequence[Entry]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yields what was set differently by key; None where a run has no such key."""
    settings = [_settings(entry) for entry in entries]
    for key in dict.fromkeys(key for found in settings for key in found):
        values = tuple(found.get(key) for found in settings)
        if any(value != values[0] for value in values):
            yield key, values


def _settings(entry: Entry) -> dict[str, Any]:
    evaluation = entry.evaluation
    facts = {"data": evaluation.data.name, "recipe": evaluation.recipe, "objective": evaluation.objective}
    own = {f"model.parameters.{name}": value for name, value in evaluation.parameters.items()}
    measured = evaluation.settings.model_dump(mode="json", exclude={"bless"})
    asked = {f"evaluation.{name}": value for name, value in measured.items()}
    code = {"model.latent": evaluation.latent, "seed": evaluation.seed, "code": evaluation.code}
    return {**facts, **own, **code, **entry.configuration, **asked}
