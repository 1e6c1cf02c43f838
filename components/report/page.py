"""What every page has in common: templates that escape, the look, and Plotly inside."""

from importlib import resources
from typing import Any

import jinja2
import plotly.offline

from components.evaluator.wording import number
from models.recipes.wording import parameter_in_words

TEMPLATES = "templates"


def fill(template: str, context: dict[str, Any]) -> str:
    """Returns a page.

    The page has Plotly's script and its own styles inside, and a content security policy that forbids
    it to load anything.

    Args:
        template: name of the page's template.
        context: what it reads, beside `style`, `script` and `plotly`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["number"] = number
    environment.filters["parameter"] = parameter_in_words
    parts = {"style": _read("report.css"), "script": _read("report.js"), "plotly": plotly.offline.get_plotlyjs()}
    return environment.get_template(template).render(context | parts)


def _read(name: str) -> str:
    return resources.files("components.report").joinpath(TEMPLATES, name).read_text("utf-8")
