"""A flat map of the codes, colored by label."""

import html
from collections import Counter

import numpy as np
from sklearn.decomposition import PCA

from components.evaluator.sample import Sample
from components.report.style import Figure, as_text, layout, points

COLORS = 10


def embedding_map(sample: Sample) -> tuple[Figure, float]:
    """Returns the sampled codes on their first two principal components.

    Returns:
        The figure, and the share of the codes' variance that the two components hold.
    """
    places, share = _flattened(sample.codes.astype(np.float64))
    look = layout(x="first component", y="second component", yaxis={"scaleanchor": "x"})
    return {"data": _groups(places, sample.labels), "layout": look}, share


def legend(figure: Figure) -> list[tuple[str, str]]:
    """Returns the map's labels, as plain text, with their colors; none without labels."""
    named = [trace for trace in figure["data"] if trace["name"]]
    return [(html.unescape(trace["name"]), trace["marker"]["color"]) for trace in named]


def _flattened(codes: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns the codes on two components, [sample, 2], and the share of variance these hold."""
    if not codes.var(axis=0).any():
        return np.zeros((len(codes), 2)), 1.0
    model = PCA(min(2, *codes.shape), random_state=0)
    flat = model.fit_transform(codes)
    flat = np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))
    return flat, float(model.explained_variance_ratio_.sum())


def _groups(places: np.ndarray, labels: list[str] | None) -> list[Figure]:
    """Returns the points of each label; beyond ten labels, the rarer ones are "other"."""
    if labels is None:
        return [points(places[:, 0], places[:, 1], color="encoder", name="", hover="%{x:.2f}, %{y:.2f}")]
    kept = _shown(labels)
    names = np.array([label if label in kept else None for label in labels], dtype=object)
    groups = [(as_text(label) or "no label", f"class-{place}", names == label) for place, label in enumerate(kept)]
    groups.append(("other", "random", np.array([name is None for name in names])))
    return [
        points(places[chosen, 0], places[chosen, 1], color=color, name=name, hover=name)
        for name, color, chosen in groups
        if chosen.any()
    ]


def _shown(labels: list[str]) -> list[str]:
    """Returns the labels that get a color of their own, numbers in numeric order."""
    ranked = [label for label, _ in Counter(labels).most_common()]
    kept = ranked if len(ranked) <= COLORS else ranked[: COLORS - 1]
    return sorted(kept, key=lambda label: (not label.isdecimal(), label.zfill(20) if label.isdecimal() else label))
