"""The comparison of runs: one HTML page in the report's look."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from components.evaluator.wording import heading
from components.report.comparison import Comparison
from components.report.comparison_plots import color, probes, rate_distortion, symbol
from components.report.page import fill
from models.recipes.wording import parameter_in_words

MARKS = {
    "circle": "M6 1a5 5 0 1 0 0 10a5 5 0 1 0 0-10z",
    "square": "M1.5 1.5h9v9h-9z",
    "diamond": "M6 0l6 6-6 6-6-6z",
    "triangle-up": "M6 1l5.5 10H.5z",
    "cross": "M4 0h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
    "star": "M6 0l1.5 4.1 4.4.2-3.4 2.7 1.2 4.2L6 8.8l-3.7 2.4 1.2-4.2L.1 4.3l4.4-.2z",
}
"""Plotly's markers as SVG paths of 12 by 12, for the legend."""


def render(comparison: Comparison) -> str:
    """Returns the comparison as one HTML page."""
    curves = probes(comparison)
    plane = rate_distortion(comparison)
    places = {f"probe-{rank}": (task, heading(f"probe/{kind}")) for rank, (task, kind) in enumerate(curves)}
    figures = dict(zip(places, curves.values(), strict=True)) | ({"plane": plane} if plane else {})
    first = comparison.entries[0].evaluation
    context: dict[str, Any] = {
        "comparison": comparison,
        "first": first,
        "name": PurePath(first.data.name).name,
        "keys": [(entry, color(place), MARKS[symbol(place)]) for place, entry in enumerate(comparison.entries)],
        "probes": places,
        "tasks": {task for task, _ in curves},
        "shown": _shown,
        "heading": heading,
        "figures": figures,
    }
    return fill("comparison.html.j2", context)


def _shown(value: Any) -> str:
    """Returns a setting for people; "not set" where a run has none."""
    if value is None:
        return "not set"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value) or "none"
    return parameter_in_words(value) if not isinstance(value, Mapping) or "schedule" in value else str(value)
