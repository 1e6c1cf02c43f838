"""An evaluation with every kind of number in it, and the examples that its plots show."""

from html.parser import HTMLParser

import numpy as np
import pytest

from components.evaluator.sample import Sample
from components.evaluator.schema import BoundRecord, DataFacts, Evaluation, Metric, Omission
from components.evaluator.settings import Settings

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
