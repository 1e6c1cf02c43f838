"""The report's plots of accuracies, rates and distortions, as Plotly figures."""

import numpy as np

from components.evaluator.sample import Sample
from components.evaluator.schema import REPRESENTATIONS, Evaluation, Metric, Representation
from components.evaluator.wording import WORDS
from components.report.style import DOTTED, Figure, layout, points, rounded
from models.collapse import ACTIVE

MOST_BINS = 40
LINES: dict[Representation, Figure] = {
    "encoder": {"dash": "solid", "symbol": "circle", "width": 3},
    "pca": {"dash": "dash", "symbol": "square", "width": 1.5},
    "random": {"dash": "dot", "symbol": "diamond", "width": 1.5},
    "raw": {"dash": "dashdot", "symbol": "triangle-up", "width": 1.5},
}


def label_efficiency(evaluation: Evaluation, kind: str) -> Figure | None:
    """Returns accuracy by label budget, a line per representation; None if this probe was not run."""
    curves = {name: _curve(evaluation.metrics, kind, name) for name in REPRESENTATIONS}
    budgets = [metric.name.rsplit("/", 1)[1] for metric in curves["encoder"]]
    if not budgets:
        return None
    traces = [_line(name, curves[name], shift=(place - 1.5) * 0.035) for place, name in enumerate(REPRESENTATIONS)]
    traces.reverse()  # The last one drawn lies on top: the encoder.
    ticks = {"tickvals": list(range(len(budgets))), "ticktext": [_tick(evaluation, budget) for budget in budgets]}
    look = layout(x="labels", y="accuracy", xaxis={**ticks, "range": [-0.3, len(budgets) - 0.7]})
    if evaluation.data.majority is not None:
        look["shapes"] = [_mark(axis="y", value=evaluation.data.majority)]
    return {"data": traces, "layout": look}


def histogram(values: np.ndarray, *, name: str) -> Figure:
    """Returns how a quantity in nats is spread over the sampled examples, its mean marked."""
    bins = min(len(np.histogram_bin_edges(values, bins="auto")) - 1, MOST_BINS)
    counts, edges = np.histogram(values, bins=bins)
    trace = {
        "type": "bar",
        "x": rounded((edges[:-1] + edges[1:]) / 2),
        "y": counts.tolist(),
        "marker": {"color": "var(--encoder)"},
        "hovertemplate": "%{x:.2f} nats: %{y} examples<extra></extra>",
    }
    look = layout(x=f"{name}, nats per example", y="examples")
    look["shapes"] = [_mark(axis="x", value=float(values.mean()))]
    return {"data": [trace], "layout": look}


def rate_distortion(sample: Sample) -> Figure:
    """Returns distortion by rate, a point per sampled example, and their mean."""
    hover = "rate %{x:.2f}, distortion %{y:.2f} nats"
    examples = points(sample.rate, sample.distortion, color="encoder", name="", hover=hover)
    center = np.array([sample.rate.mean()]), np.array([sample.distortion.mean()])
    mean = points(*center, color="ink", name="", hover=f"mean: {hover}")
    mean["marker"] = {
        "size": 15,
        "symbol": "diamond",
        "color": "var(--ink)",
        "line": {"width": 2, "color": "var(--paper)"},
    }
    return {"data": [examples, mean], "layout": layout(x="rate, nats", y="distortion, nats")}


def dimensions(sample: Sample) -> Figure:
    """Returns what each dimension of the code carries: its rate where known, else its variance."""
    values = sample.variance if sample.rates is None else sample.rates
    order = np.argsort(-values, kind="stable")
    colors = ["var(--encoder)" if active else "var(--random)" for active in sample.variance[order] > ACTIVE]
    trace = {
        "type": "bar",
        "x": list(range(1, len(order) + 1)),
        "y": rounded(values[order]),
        "customdata": order.tolist(),
        "marker": {"color": colors},
        "hovertemplate": "dimension %{customdata}: %{y:.3f}<extra></extra>",
    }
    name = "variance" if sample.rates is None else "rate, nats"
    return {"data": [trace], "layout": layout(x="dimension, largest first", y=name)}


def _curve(metrics: tuple[Metric, ...], kind: str, representation: Representation) -> list[Metric]:
    return [m for m in metrics if m.representation == representation and m.name.startswith(f"probe/{kind}/")]


def _line(name: Representation, curve: list[Metric], *, shift: float) -> Figure:
    """Returns one representation's accuracies with intervals, moved sideways so that intervals stay apart."""
    values = np.array([metric.value for metric in curve])
    low, high = np.array([metric.interval or (metric.value, metric.value) for metric in curve]).T
    look = LINES[name]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": WORDS[name],
        "x": [place + shift for place in range(len(curve))],
        "y": rounded(values),
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": rounded(high - values),
            "arrayminus": rounded(values - low),
            "thickness": 1,
            "width": 0,
            "color": f"var(--{name})",
        },
        "line": {"color": f"var(--{name})", "width": look["width"], "dash": look["dash"]},
        "marker": {"color": f"var(--{name})", "symbol": look["symbol"], "size": 9 if name == "encoder" else 7},
        "hovertemplate": f"{WORDS[name]}: %{{y:.3f}}<extra></extra>",
    }


def _tick(evaluation: Evaluation, budget: str) -> str:
    return f"all {evaluation.data.probed['train']:,}" if budget == "all" else f"{int(budget):,}"


def _mark(*, axis: str, value: float) -> Figure:
    """Returns a dotted line across the plot at one value of an axis."""
    other = "x" if axis == "y" else "y"
    return {
        "type": "line",
        f"{axis}0": value,
        f"{axis}1": value,
        f"{other}0": 0,
        f"{other}1": 1,
        f"{other}ref": "paper",
        "line": DOTTED,
    }
