"""Metrics in words and numbers as people read them: the same in bounds, console and report."""

from components.evaluator.schema import Metric

PROBES = {"linear": "linear probe", "knn": "k-NN"}
PLAIN = {"rate": "rate", "distortion": "distortion", "elbo": "ELBO", "active_units": "active units"}
WORDS = {
    "encoder": "encoder",
    "pca": "PCA",
    "random": "random encoder",
    "raw": "raw features",
}
DECIMALS = {"nats": 2, "accuracy": 3, "count": 0}


def probe_name(kind: str, budget: int | str) -> str:
    """Returns the metric name of a probe at a label budget, such as `probe/linear/100`."""
    return f"probe/{kind}/{budget}"


def in_words(name: str) -> str:
    """Returns a metric's name in words: `probe/linear/100` is "linear probe, 100 labels"."""
    if name in PLAIN:
        return PLAIN[name]
    _, kind, budget = name.split("/")
    return f"{PROBES[kind]}, {budget_in_words(budget)}"


def heading(name: str) -> str:
    """Returns a metric's name in words with a capital letter, except for the k of k-NN."""
    words = in_words(name)
    return words if words.startswith("k-NN") else f"{words[0].upper()}{words[1:]}"


def budget_in_words(budget: str) -> str:
    """Returns "all labels" for `all`, "1,000 labels" for `1000`."""
    return "all labels" if budget == "all" else f"{int(budget):,} labels"


def number(value: float, unit: str) -> str:
    """Returns a value at its unit's precision: nats 0.01, accuracy 0.001, counts whole."""
    return f"{value:,.{DECIMALS[unit]}f}"


def value_in_words(metric: Metric) -> str:
    """Returns a metric's value with its unit, as in "14.20 nats"."""
    text = number(metric.value, metric.unit)
    return f"{text} nats" if metric.unit == "nats" else text


def beside(value: float, limit: float, unit: str) -> str:
    """Returns a value with as many decimals as it takes to see on which side of a limit it is, up to six."""
    decimals = DECIMALS[unit]
    while decimals < 6 and _side(round(value, decimals), limit) != _side(value, limit):
        decimals += 1
    return f"{value:,.{decimals}f}"


def _side(value: float, limit: float) -> int:
    return (value > limit) - (value < limit)
