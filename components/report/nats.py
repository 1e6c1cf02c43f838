"""Rate and distortion, what the rate is made of, and which dimensions carry it, as Plotly figures."""

import math

import numpy as np

from components.evaluator.sample import Sample
from components.evaluator.schema import Evaluation, Metric, find
from components.evaluator.wording import in_words
from components.report.style import DOTTED, Figure, across, layout, points, rounded
from models.collapse import ACTIVE

MOST_BINS = 40
PARTS = {
    "decomposition/mutual_information": "encoder",
    "decomposition/total_correlation": "pca",
    "decomposition/dimension_wise_kl": "random",
}


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
    look["shapes"] = [across("x", float(values.mean()), DOTTED)]
    return {"data": [trace], "layout": look}


def rate_distortion(sample: Sample, *, explains: str = "x") -> Figure:
    """Returns distortion by rate, a point per sampled example, and their mean.

    Args:
        sample: the examples.
        explains: what the distortion is of, the example (`x`) or its `label`.
    """
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
    look = layout(x="rate, nats", y=f"{in_words('distortion', explains=explains)}, nats")
    return {"data": [examples, mean], "layout": look}


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


def parts(evaluation: Evaluation) -> Figure | None:
    """Returns what the rate is made of as one stacked bar, the bound log N of the first part dotted.

    None where it was not measured.
    """
    found = rate_parts(evaluation)
    if not found:
        return None
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": in_words(metric.name),
            "x": rounded(np.array([metric.value])),
            "y": [""],
            "marker": {"color": f"var(--{color})"},
            "hovertemplate": f"{in_words(metric.name)}: %{{x:.2f}} nats<extra></extra>",
        }
        for metric, color in zip(found, PARTS.values(), strict=True)
    ]
    look = layout(x="nats per example", y="", yaxis={"visible": False})
    look |= {"barmode": "relative", "shapes": [across("x", most_information(found), DOTTED)], "bargap": 0.3}
    return {"data": bars, "layout": look}


def rate_parts(evaluation: Evaluation) -> list[Metric]:
    """Returns the parts of the rate, in the order of the bar; all of them or none."""
    found = [metric for name in PARTS if (metric := find(evaluation.metrics, name))]
    return found if len(found) == len(PARTS) else []


def most_information(found: list[Metric]) -> float:
    """Returns the most that the mutual information of this many examples can be, log N, nats."""
    return math.log(found[0].count)
