"""The report: one HTML page that needs nothing else, offline, on any screen, light and dark."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from components.evaluator.names import LIKELIHOOD, PRIVACY
from components.evaluator.sample import Sample
from components.evaluator.schema import REPRESENTATIONS, Evaluation
from components.evaluator.wording import WORDS, heading, in_words
from components.report import alignment, nats, tables
from components.report.curves import LINES, SCORES, ceiling_of, label_distortion, label_efficiency
from components.report.embedding_map import embedding_map, legend
from components.report.factors import heatmap
from components.report.omissions import by_reason
from components.report.page import fill
from components.report.pictures import pictures
from components.report.slices import slices
from components.report.style import Figure
from components.report.summary import bounds_by_weight, interval_in_words, summary_rows, verdict
from components.report.tasks import Task, probed, tasks

UNITS = {"classification": "accuracy", "multilabel": "auc", "regression": "r2"}


@dataclass(frozen=True)
class Place:
    """Where a probe's plots stand: `score-<id>` and `untold-<id>`."""

    id: str
    kind: str
    title: str
    score: str


@dataclass(frozen=True)
class Probed:
    """A task and the places of its plots."""

    task: Task
    probes: tuple[Place, ...]


def render(evaluation: Evaluation, sample: Sample, files: Mapping[str, bytes] | None = None, *, made: str = "") -> str:
    """Returns the report as one HTML page.

    Args:
        evaluation: the numbers and the verdict.
        sample: the examples its plots show.
        files: PNG files of what the decoder makes of codes, by name; see `components.report.pictures`.
        made: when and in which run it was measured, in words; "" where that is not known.
    """
    flat, share = embedding_map(sample)
    places = [_probed(evaluation, task, rank) for rank, task in enumerate(tasks(evaluation))]
    parts, shown = nats.rate_parts(evaluation), slices(evaluation)
    figures = _figures(evaluation, sample) | _curves(evaluation, places) | {one.id: one.figure for one in shown}
    context: dict[str, Any] = {
        "evaluation": evaluation,
        "made": made,
        "name": PurePath(evaluation.data.name).name,
        "verdict": verdict(evaluation),
        "bounds": bounds_by_weight(evaluation),
        "judged": tables.bounds(evaluation),
        "rows": summary_rows(evaluation),
        "probed": places,
        "ceilings": [place for place in places if ceiling_of(evaluation, place.task)],
        "panels": tables.panels(evaluation) | {"alignment": alignment.rows(evaluation)},
        "privacy": tables.measured(evaluation, PRIVACY),
        "likelihood": tables.measured(evaluation, LIKELIHOOD),
        "heatmap": heatmap(evaluation),
        "slices": shown,
        "pictures": pictures(files or {}),
        "parts": parts,
        "part_colors": nats.PARTS,
        "most_information": nats.most_information(parts) if parts else None,
        "groups": tables.groups(evaluation.metrics),
        "sliced": tables.sliced(evaluation.metrics),
        "omitted": by_reason(evaluation),
        "heading": heading,
        "in_words": in_words,
        "interval": interval_in_words,
        "words": WORDS,
        "lines": LINES,
        "representations": REPRESENTATIONS,
        "sample": sample,
        "share": share,
        "map_legend": legend(flat),
        "figures": figures | {"map": flat},
    }
    return fill("report.html.j2", context)


def _figures(evaluation: Evaluation, sample: Sample) -> dict[str, Figure]:
    """Returns the plots that every evaluation has by the id of their place in the page."""
    explains = evaluation.data.explains
    figures = {
        "rate": nats.histogram(sample.rate, name="rate"),
        "distortion": nats.histogram(sample.distortion, name=in_words("distortion", explains=explains)),
        "plane": nats.rate_distortion(sample, explains=explains),
        "dimensions": nats.dimensions(sample),
    }
    parts = nats.parts(evaluation)
    return figures | ({"parts": parts} if parts else {})


def _probed(evaluation: Evaluation, task: Task, rank: int) -> Probed:
    score = SCORES[UNITS[task.kind]]
    kinds = probed(evaluation, task)
    return Probed(task, tuple(Place(f"{rank}-{kind}", kind, heading(f"probe/{kind}"), score) for kind in kinds))


def _curves(evaluation: Evaluation, places: list[Probed]) -> dict[str, Figure]:
    """Returns a plot of the score and one of the label's distortion for every probe of every task."""
    figures = {}
    for one in places:
        for place in one.probes:
            figures[f"score-{place.id}"] = label_efficiency(evaluation, place.kind, one.task)
            figures[f"untold-{place.id}"] = label_distortion(evaluation, place.kind, one.task)
    return {name: figure for name, figure in figures.items() if figure}
