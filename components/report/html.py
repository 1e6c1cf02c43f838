"""The report: one HTML page that needs nothing else, offline, on any screen, light and dark."""

from importlib import resources
from pathlib import PurePath
from typing import Any

import jinja2
import plotly.offline

from components.evaluator.sample import Sample
from components.evaluator.schema import REPRESENTATIONS, Evaluation
from components.evaluator.wording import WORDS, heading, in_words, number
from components.report.embedding_map import embedding_map
from components.report.figures import LINES, dimensions, histogram, label_efficiency, rate_distortion
from components.report.style import Figure
from components.report.summary import bounds_by_weight, interval_in_words, summary_rows, verdict
from models.recipes.wording import parameter_in_words

TEMPLATES = "templates"


def render(evaluation: Evaluation, sample: Sample) -> str:
    """Returns the report as one HTML page.

    The page has Plotly's script and its own styles inside, and a content security policy that forbids
    it to load anything.

    Args:
        evaluation: the numbers and the verdict.
        sample: the examples its plots show.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["number"] = number
    environment.filters["parameter"] = parameter_in_words
    flat, share = embedding_map(sample)
    context: dict[str, Any] = {
        "evaluation": evaluation,
        "name": PurePath(evaluation.data.name).name,
        "verdict": verdict(evaluation),
        "bounds": bounds_by_weight(evaluation),
        "rows": summary_rows(evaluation),
        "omitted": _by_reason(evaluation),
        "heading": heading,
        "interval": interval_in_words,
        "words": WORDS,
        "lines": LINES,
        "representations": REPRESENTATIONS,
        "sample": sample,
        "share": share,
        "figures": _figures(evaluation, sample) | {"map": flat},
        "style": _read("report.css"),
        "script": _read("report.js"),
        "plotly": plotly.offline.get_plotlyjs(),
    }
    return environment.get_template("report.html.j2").render(context)


def _figures(evaluation: Evaluation, sample: Sample) -> dict[str, Figure]:
    """Returns the plots by the id of their place in the page."""
    figures = {
        "linear": label_efficiency(evaluation, "linear"),
        "knn": label_efficiency(evaluation, "knn"),
        "rate": histogram(sample.rate, name="rate"),
        "distortion": histogram(sample.distortion, name="distortion"),
        "plane": rate_distortion(sample),
        "dimensions": dimensions(sample),
    }
    return {name: figure for name, figure in figures.items() if figure}


def _by_reason(evaluation: Evaluation) -> dict[str, list[str]]:
    """Returns what could not be measured, in words, by reason."""
    reasons: dict[str, list[str]] = {}
    for omission in evaluation.omitted:
        reasons.setdefault(omission.reason, []).append(in_words(omission.metric))
    return reasons


def _read(name: str) -> str:
    return resources.files("components.report").joinpath(TEMPLATES, name).read_text("utf-8")
