"""Evaluations with a few numbers and with every kind of number, and the examples that their plots show."""

from html.parser import HTMLParser

import numpy as np
import pytest

from components.evaluator.sample import Sample
from components.evaluator.schema import BoundRecord, DataFacts, Evaluation, Metric, Omission, TaskFacts
from components.evaluator.settings import Settings
from components.report import nats, tables

HOSTILE = '<script>alert("1")</script>'


def accuracy(name: str, of: str, value: float) -> Metric:
    return Metric(
        name, of, value, "accuracy", (value - 0.0123, value + 0.0123), "test", 180, 5, "interval: t over draws"
    )


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    nats = [
        Metric(name, "encoder", value, "nats", (value - 0.31, value + 0.29), "test", 180, 1, "interval: bootstrap")
        for name, value in (("rate", 14.204), ("distortion", 1018.456), ("elbo", -1032.66))
    ]
    values = {"encoder": 0.9123, "pca": 0.9012, "random": 0.8034, "raw": 0.9567}
    probes = [
        accuracy(f"probe/{kind}/{budget}", of, value - gap)
        for kind in ("linear", "knn")
        for budget, gap in (("10", 0.3), ("1000", 0.05), ("all", 0.0))
        for of, value in values.items()
    ]
    return Evaluation(
        schema=2,
        space="beta_vae-10-0123456789ab",
        recipe="beta_vae",
        parameters={"beta": 4.0},
        objective="nll + 4 * kl",
        latent=10,
        data=DataFacts(
            name="folder/<i>digits",
            kind="image",
            counts={"train": 1437, "eval": 180, "test": 180},
            shape=(8, 8, 1),
            label="digit",
            classes=10,
            majority=0.1234,
            probed={"train": 1437, "test": 180},
        ),
        metrics=(*nats, Metric("active_units", "encoder", 8, "count", None, "test", 180, 1, "of 10"), *probes),
        bounds=(
            BoundRecord("rate", "max", 20, 14.2, None, ok=True, reason="rate is 14.20, at or below the maximum 20"),
            BoundRecord("elbo", "min", 0, -1032.66, None, ok=False, reason="elbo is -1,032.66, below the minimum 0"),
        ),
        blessed=False,
        omitted=(Omission("probe/linear/10000", "only 1,437 labelled training examples"),),
        warnings=("2 of 10 units are not active.",),
        widths={"encoder": 10, "pca": 10, "random": 10, "raw": 64},
        settings=Settings(),
        code="0.1.0",
    )


@pytest.fixture(scope="module")
def shown() -> Sample:
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(180, 10)).astype(np.float32)
    labels = [str(row % 8) for row in range(178)] + [HOSTILE, ""]
    rates = np.array([1.5] * 8 + [0.001] * 2)
    variance = np.array([0.9] * 8 + [1e-4] * 2)
    return Sample("test", 180, codes, rng.gamma(9, size=180), rng.gamma(20, size=180), labels, variance, rates)


def metric(name: str, value: float, unit: str, of: str = "encoder", *, reach: float | None = 0.02) -> Metric:
    interval = None if reach is None else (value - reach, value + reach)
    return Metric(name, of, value, unit, interval, "test", 180, 1, "a note")


def beside(name: str, value: float, unit: str) -> list[Metric]:
    """A metric of every representation, the encoder's the largest."""
    steps = {"encoder": 0.0, "pca": 0.05, "random": 0.2, "raw": 0.1}
    return [metric(name, value - gap, unit, of) for of, gap in steps.items()]


def budgets(kind: str, column: str, unit: str) -> list[Metric]:
    """A probe's score and label distortion of a column at three budgets, for every representation."""
    of = f" of {column}" if column else ""
    found = []
    for budget, gap in (("10", 0.3), ("1000", 0.05), ("all", 0.0)):
        found += beside(f"probe/{kind}/{budget}{of}", 0.9 - gap, unit)
        found += beside(f"label_distortion/{kind}/{budget}{of}", 0.4 + gap, "nats")
    return found


def everything() -> Evaluation:
    """An evaluation in which every family was measured."""
    metrics = [metric(name, value, "nats") for name, value in (("rate", 6.2), ("distortion", 18.4), ("elbo", -24.6))]
    metrics.append(metric("active_units", 3, "count", reach=None))
    for kind in ("linear", "gbt", "mlp"):
        metrics += budgets(kind, "", "accuracy")
    metrics += [metric("probe/linear/all", 0.97, "accuracy", "ceiling"), metric("efficiency/linear", 0.8, "ratio")]
    metrics += [*budgets("linear", "price", "r2"), metric("probe/linear/all of price", 0.95, "r2", "ceiling")]
    for family, names in tables.PANELS.items():
        units = {"clusters": "score", "disentanglement": "score", "leakage": "accuracy", "fairness": "difference"}
        metrics += [one for name in names for one in beside(name, 0.6, units[family])]
    metrics += [metric(name, value, "nats") for name, value in zip(nats.PARTS, (4.3, 1.8, 0.1), strict=True)]
    metrics += [metric("decomposition/mismatch", 1.9, "nats"), metric("correlation/wasserstein", 0.04, "score")]
    metrics += [metric("membership/advantage", 0.11, "difference"), metric("membership/auc", 0.546, "auc")]
    for place, value in enumerate(("Female", "Male", HOSTILE)):
        metrics.append(metric(f"distortion where sex={value}", 17.0 + place, "nats"))
        metrics.append(metric(f"probe/linear/all where sex={value}", 0.7 + place / 10, "accuracy"))
    facts = DataFacts(
        name="adult.csv",
        kind="table",
        counts={"train": 1437, "eval": 180, "test": 180},
        shape=(9,),
        label="income",
        classes=2,
        majority=0.52,
        probed={"train": 1437, "test": 180},
        tasks=(TaskFacts("price", "regression", 0, 1400, 175),),
        sensitive="sex",
        factors=("shape", "scale"),
    )
    judged = (
        BoundRecord("probe/linear/all", "min", 0.8, 0.9, None, ok=True, reason="at or above the minimum"),
        BoundRecord("rate", "rise", 0.5, 6.2, 5.1, ok=False, reason="a rise, p = 0.012", p_value=0.012),
    )
    return Evaluation(
        schema=2,
        space="beta_vae-4-0123456789ab",
        recipe="beta_vae",
        parameters={"beta": 4.0},
        objective="nll + 4 * kl",
        latent=4,
        data=facts,
        metrics=tuple(metrics),
        bounds=judged,
        blessed=False,
        omitted=(
            Omission("slices by sex", "fewer than 20 examples: Other"),
            Omission("disentanglement", "too few examples"),
            Omission("probe/knn/all of price", "too few examples"),
        ),
        importance=((0.41, 0.02), (0.05, 0.39), (0.07, 0.06), (0.0, 0.0)),
        widths={"encoder": 4, "pca": 4, "random": 4, "raw": 9},
        settings=Settings(slices=("sex",), probes=("linear", "gbt", "mlp")),
        code="0.1.0",
    )


class Reader(HTMLParser):
    """Collects a page's text, its elements, and the content of its scripts and styles."""

    def __init__(self, page: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in self.raw:
            self.raw[tag].append("")

    def handle_data(self, data):
        if self.cdata_elem:
            self.raw[self.cdata_elem][-1] += data
        else:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())
