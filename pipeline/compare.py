"""Past runs side by side: finds them, and says what differs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from components.report.comparison import Cell, Comparison, Entry, Row, compare
from models.artifact import CONFIGURATION
from models.errors import InputError
from pipeline import history
from pipeline.store import Run

MODEL = "Model"
LIST = 5
"""Metrics that the console names."""


def comparison(output: Path, names: Sequence[str]) -> Comparison:
    """Returns runs side by side, compared with the first one.

    Args:
        output: the folder that holds the pipelines' folders.
        names: for each run its id, the beginning of one, or a pipeline's name (its latest run that was evaluated).

    Raises:
        InputError: if a run is not there, was not evaluated, or is named twice, or there is only one.
    """
    if len(names) < 2:
        raise InputError(f"{', '.join(names)}: comparing takes two runs or more. `metaprior runs` lists them.")
    runs = [_evaluated(output, name) for name in names]
    ids = [run.id for run in runs]
    twice = next((id for id in ids if ids.count(id) > 1), None)
    if twice is not None:
        raise InputError(f"{twice}: named twice. Give different runs; `metaprior runs` lists them.")
    return compare([_entry(run) for run in runs])


def facts(found: Comparison) -> dict[str, Any]:
    """Returns a comparison in plain values with stable keys."""
    return {
        "runs": [
            {
                "run": entry.name,
                "pipeline": entry.pipeline,
                "space": entry.evaluation.space,
                "model": entry.evaluation.recipe,
                "parameters": entry.evaluation.parameters,
                "objective": entry.evaluation.objective,
                "latent": entry.evaluation.latent,
                "data": entry.evaluation.data.name,
                "blessed": entry.evaluation.blessed,
            }
            for entry in found.entries
        ],
        "notes": list(found.notes),
        "differs": {key: list(values) for key, values in found.differs.items()},
        "metrics": [
            {"name": row.name, "values": [_value(cell) for cell in row.cells]}
            for group in (*found.rows.values(), *found.sliced.values())
            for row in group
        ],
    }


def lines(found: Comparison) -> Iterator[str]:
    """Yields the notes, and the first metrics whose intervals do not overlap, as lines for a console."""
    yield from (f"{note}." for note in found.notes)
    apart = found.apart
    if not found.different:  # nothing was compared, as the notes say
        return
    if not apart:
        yield "No metric's interval lies apart from the first run's."
        return
    yield "Intervals apart from the first run's:"
    width = max(len(row.words) for row in apart[:LIST])
    yield from (f"  {row.words:<{width}}  {_told(found, row)}" for row in apart[:LIST])
    if len(apart) > LIST:
        yield f"  and {len(apart) - LIST:,} more, on the page"


def _told(found: Comparison, row: Row) -> str:
    first, *others = zip(found.entries, row.cells, strict=True)
    steps = [f"{cell.text} ({cell.step}) in {entry.name}" for entry, cell in others if cell.beyond]
    return f"{first[1].text}; {', '.join(steps)}"


def _value(cell: Cell) -> dict[str, Any] | None:
    if cell.metric is None:
        return None
    metric = cell.metric
    return {
        "value": metric.value,
        "interval": list(metric.interval) if metric.interval else None,
        "unit": metric.unit,
        "difference": cell.difference,
        "beyond": cell.beyond,
    }


def _evaluated(output: Path, name: str) -> Run:
    run = history.find(output, name)
    if run.evaluation is None and name == run.pipeline:
        mine = (other for other in history.runs(output) if other.pipeline == name)
        run = next((other for other in mine if other.evaluation), run)
    if run.evaluation is None:
        raise InputError(f"{run.id}: this run was not evaluated, or not by this version. Give one that was.")
    return run


def _entry(run: Run) -> Entry:
    if run.evaluation is None:
        raise ValueError(f"`run` must be evaluated. Received: run={run.id}.")
    return Entry(run.id, run.pipeline, run.evaluation, _configuration(run))


def _configuration(run: Run) -> dict[str, Any]:
    """Returns what decided a run's training by dotted key; nothing where its model was removed."""
    model = run.artifact(MODEL)
    path = Path(model.uri, CONFIGURATION) if model else None
    if path is None or not path.is_file():
        return {}
    sections = json.loads(path.read_text(encoding="utf-8"))
    del sections["model"]["parameters"]  # the evaluation has them, defaults included
    return dict(_flat(sections, ""))


def _flat(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, Mapping) and "schedule" not in item:
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item
