"""The common look of the plots: no frame, hairline grid, the page's own colors and type."""

import html
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

Figure = dict[str, Any]

DOTTED = {"color": "var(--ink)", "width": 1.5, "dash": "dot"}
CEILING = DOTTED
GUESS = {"color": "var(--muted)", "width": 1, "dash": "solid"}
LONGEST_NAME = 24


class Measured(Protocol):
    """A number with its interval, None where there is none."""

    @property
    def value(self) -> float:
        """The number."""
        ...

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the true one lies, with 95 % confidence."""
        ...


def layout(*, x: str, y: str, xaxis: Figure | None = None, yaxis: Figure | None = None) -> Figure:
    """Returns a Plotly layout; colors are `var(--name)`, which the page resolves for light and dark.

    Args:
        x: title of the horizontal axis.
        y: title of the vertical axis.
        xaxis: what differs on the horizontal axis.
        yaxis: what differs on the vertical axis.
    """
    axis = {
        "fixedrange": True,
        "zeroline": False,
        "exponentformat": "power",
        "gridcolor": "var(--grid)",
        "linecolor": "var(--line)",
        "ticks": "",
        "automargin": True,
        "tickfont": {"color": "var(--muted)", "size": 12},
    }
    return {
        "autosize": True,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "var(--type)", "color": "var(--ink)", "size": 13},
        "hoverlabel": {"bgcolor": "var(--ink)", "bordercolor": "var(--ink)", "font": {"color": "var(--paper)"}},
        "showlegend": False,
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "itemsizing": "constant"},
        "dragmode": False,
        "bargap": 0.08,
        "xaxis": axis | {"title": title(x), "showgrid": False} | (xaxis or {}),
        "yaxis": axis | {"title": title(y)} | (yaxis or {}),
    }


def title(text: str) -> Figure:
    """Returns an axis title in the page's quiet color."""
    return {"text": text, "font": {"color": "var(--muted)", "size": 12}, "standoff": 8}


def points(x: np.ndarray, y: np.ndarray, *, color: str, name: str, hover: str) -> Figure:
    """Returns a scatter of examples.

    Args:
        x: horizontal places, [examples].
        y: vertical places, [examples].
        color: name of the page's color.
        name: what the examples have in common.
        hover: what a point says, in Plotly's template language.
    """
    return {
        "type": "scatter",
        "mode": "markers",
        "x": rounded(x),
        "y": rounded(y),
        "name": name,
        "marker": {"size": 5, "opacity": 0.75, "color": f"var(--{color})"},
        "hovertemplate": f"{hover}<extra></extra>",
    }


def bars(shown: Sequence[Measured], *, color: str, thickness: float = 1) -> Figure:
    """Returns error bars; of no length where there is no interval.

    Args:
        shown: the numbers they are around.
        color: name of the page's color.
        thickness: of a bar, pixels.
    """
    values = np.array([one.value for one in shown])
    low, high = np.array([one.interval or (one.value, one.value) for one in shown]).T
    return {
        "type": "data",
        "symmetric": False,
        "array": rounded(high - values),
        "arrayminus": rounded(values - low),
        "thickness": thickness,
        "width": 0,
        "color": f"var(--{color})",
    }


def across(axis: str, value: float, line: Figure) -> Figure:
    """Returns a line across the plot at one value of an axis.

    Args:
        axis: `x` or `y`.
        value: where on it.
        line: its look.
    """
    other = "x" if axis == "y" else "y"
    return {
        "type": "line",
        f"{axis}0": value,
        f"{axis}1": value,
        f"{other}0": 0,
        f"{other}1": 1,
        f"{other}ref": "paper",
        "line": line,
    }


def as_text(label: str) -> str:
    """Returns a label cut to 24 characters and escaped, because Plotly reads tags in names."""
    return html.escape(label if len(label) <= LONGEST_NAME else f"{label[: LONGEST_NAME - 1]}…", quote=False)


def rounded(values: np.ndarray) -> list[float]:
    """Returns values with five significant digits: what a plot can show, at a quarter of the bytes."""
    return [float(f"{value:.5g}") for value in values]
