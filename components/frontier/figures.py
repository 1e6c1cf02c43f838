"""The frontier's plots, as Plotly figures in the report's look."""

from collections.abc import Sequence

import numpy as np

from components.evaluator.wording import in_words
from components.frontier.schema import Configuration, Frontier
from components.frontier.wording import amount
from components.report.style import DOTTED, Figure, bars, layout, rounded

COLORS = 10
RATE, DISTORTION = "rate, nats", "distortion, nats"
OVER = 44
"""Pixels above a plot for a colorbar: where Plotly makes room for one by itself, it misplaces the axis's title."""


def rate_distortion(frontier: Frontier) -> Figure:
    """Returns distortion by rate: a point per configuration, its Pareto set as a line, the knee, and the bound."""
    members = [one for one in frontier.configurations if one.name in frontier.pareto_rate_distortion]
    lines = [_line(members, "rate", "distortion")]
    if bound_shown(frontier):
        lines.append(_entropy(frontier))
    look = layout(x=RATE, y=DISTORTION)
    knee = frontier.knee.configuration
    if knee is not None:
        lines.append(_ring(frontier.configuration(knee)))
    return {"data": [*lines, *_by_recipe(frontier, "rate", "distortion")], "layout": look}


def usefulness_by_rate(frontier: Frontier) -> Figure:
    """Returns usefulness by rate, a point per configuration, the Pareto set of all three axes ringed."""
    look = layout(x=RATE, y=_usefulness(frontier))
    rings = [_ring(one, "usefulness") for one in frontier.configurations if one.name in frontier.pareto]
    return {"data": [*rings, *_by_recipe(frontier, "rate", "usefulness")], "layout": look}


def plane(frontier: Frontier) -> Figure:
    """Returns distortion by rate, colored by usefulness: all three axes at once."""
    shown = frontier.configurations
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": rounded(np.array([one.rate.value for one in shown])),
        "y": rounded(np.array([one.distortion.value for one in shown])),
        "text": [_hover(frontier, one) for one in shown],
        "marker": {
            "size": 15,
            "color": rounded(np.array([one.usefulness.value for one in shown])),
            "colorscale": [[0, "var(--pca)"], [0.5, "var(--grid)"], [1, "var(--encoder)"]],
            "reversescale": frontier.usefulness.better == "lower",
            "line": {"width": 1, "color": "var(--ink)"},
            "colorbar": {
                "orientation": "h",
                "thickness": 10,
                "yref": "container",
                "y": 1,
                "yanchor": "top",
                "tickfont": {"color": "var(--muted)", "size": 12},
                "outlinewidth": 0,
            },
        },
        "hovertemplate": "%{text}<extra></extra>",
    }
    look = layout(x=RATE, y=DISTORTION)
    look["margin"] |= {"t": OVER}
    return {"data": [trace], "layout": look}


def bound_shown(frontier: Frontier) -> bool:
    """Returns whether the line D = H - R is near enough to the configurations to be drawn without squeezing them."""
    if frontier.bound.entropy is None:
        return False
    distortions = [one.distortion.value for one in frontier.configurations]
    least = min(one.rate.value for one in frontier.configurations)
    return frontier.bound.entropy - least > min(distortions) - (max(distortions) - min(distortions))


def colors(frontier: Frontier) -> dict[str, str]:
    """Returns the page's color of each recipe; beyond ten they repeat."""
    recipes = dict.fromkeys(one.recipe for one in frontier.configurations)
    return {recipe: f"class-{place % COLORS}" for place, recipe in enumerate(recipes)}


def _by_recipe(frontier: Frontier, x: str, y: str) -> list[Figure]:
    found = colors(frontier)
    return [
        _points(frontier, [one for one in frontier.configurations if one.recipe == recipe], (x, y), color=color)
        for recipe, color in found.items()
    ]


def _points(frontier: Frontier, shown: Sequence[Configuration], axes: tuple[str, str], *, color: str) -> Figure:
    horizontal, vertical = ([getattr(one, axis) for one in shown] for axis in axes)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": rounded(np.array([value.value for value in horizontal])),
        "y": rounded(np.array([value.value for value in vertical])),
        "error_x": bars(horizontal, color=color),
        "error_y": bars(vertical, color=color),
        "text": [_hover(frontier, one) for one in shown],
        "marker": {"size": 9, "color": f"var(--{color})"},
        "hovertemplate": "%{text}<extra></extra>",
    }


def _line(members: Sequence[Configuration], x: str, y: str) -> Figure:
    ordered = sorted(members, key=lambda one: one.rate.value)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": rounded(np.array([getattr(one, x).value for one in ordered])),
        "y": rounded(np.array([getattr(one, y).value for one in ordered])),
        "line": {"color": "var(--random)", "width": 1.5},
        "hoverinfo": "skip",
    }


def _ring(one: Configuration, y: str = "distortion") -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": rounded(np.array([one.rate.value])),
        "y": rounded(np.array([getattr(one, y).value])),
        "marker": {"size": 18, "color": "rgba(0,0,0,0)", "line": {"width": 1.5, "color": "var(--ink)"}},
        "hoverinfo": "skip",
    }


def _entropy(frontier: Frontier) -> Figure:
    """Returns the line D = H - R over the rates shown, cut off where D would be negative."""
    entropy = frontier.bound.entropy or 0.0
    rates = np.array([one.rate.value for one in frontier.configurations])
    ends = np.clip(np.array([rates.min(), rates.max()]), None, entropy)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": rounded(ends),
        "y": rounded(entropy - ends),
        "line": DOTTED,
        "hoverinfo": "skip",
    }


def _usefulness(frontier: Frontier) -> str:
    return in_words(frontier.usefulness.metric)


def _hover(frontier: Frontier, one: Configuration) -> str:
    return (
        f"{one.name}<br>rate {amount(one.rate.value, 'nats')}, distortion {amount(one.distortion.value, 'nats')}"
        f"<br>{_usefulness(frontier)} {amount(one.usefulness.value, frontier.usefulness.unit)}"
    )
