"""The frontier as one HTML page that needs nothing else, offline, on any screen, light and dark."""

from importlib import resources

import jinja2
import markupsafe
import plotly.offline

from components.evaluator.wording import in_words
from components.frontier.figures import bound_shown, colors, plane, rate_distortion, usefulness_by_rate
from components.frontier.schema import Frontier, Value
from components.frontier.wording import amount, metric_parts


def render(frontier: Frontier) -> str:
    """Returns the page: Plotly's script and all styles inside, and a policy that forbids it to load anything."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_own), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["code"] = _code
    return environment.get_template("frontier.html.j2").render(
        frontier=frontier,
        metric=in_words(frontier.usefulness.metric),
        short=metric_parts(frontier.usefulness.metric)[0],
        bound_shown=bound_shown(frontier),
        colors=colors(frontier),
        amount=amount,
        interval=_interval,
        figures={
            "curve": rate_distortion(frontier),
            "useful": usefulness_by_rate(frontier),
            "plane": plane(frontier),
        },
        style=_report("report.css"),
        own_style=_own("frontier.css"),
        script=_report("report.js"),
        plotly=plotly.offline.get_plotlyjs(),
    )


def _interval(value: Value, unit: str) -> str:
    """Returns "7.90 to 8.30 nats", "" where there is no interval."""
    if value.interval is None:
        return ""
    low, high = (amount(end, unit) for end in value.interval)
    return f"{low.split()[0]} to {high}"


def _code(text: str) -> markupsafe.Markup:
    """Returns text with what stands between backticks as code."""
    parts = [markupsafe.escape(part) for part in text.split("`")]
    marked = [markupsafe.Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts)]
    return markupsafe.Markup("").join(marked)


def _own(name: str) -> str:
    return resources.files("components.frontier").joinpath("templates", name).read_text("utf-8")


def _report(name: str) -> str:
    return resources.files("components.report").joinpath("templates", name).read_text("utf-8")
