"""One pass over the codes of a split: everything that needs no labels, in bounded memory."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.evaluator import rows
from components.evaluator.sample import Sample, Sampler
from components.evaluator.schema import Metric
from components.metrics.codes import Spread, active_units, standard_normal_rate
from components.metrics.intervals import Mean

NATS = ("rate", "distortion", "elbo")


@dataclass(frozen=True)
class CodesPass:
    """What one pass found.

    Args:
        metrics: rate, distortion, ELBO and active units.
        sample: what plots are drawn from.
    """

    metrics: tuple[Metric, ...]
    sample: Sample


class _Accumulators:
    """Everything that one pass adds up."""

    def __init__(self, split: str) -> None:
        self.split = split
        self.means = {name: Mean() for name in NATS}
        self.spread = Spread()
        self.rates = 0.0
        self.sampler = Sampler()

    def add(self, batch: pa.RecordBatch) -> None:
        codes = rows.matrix(batch, "embedding", self.split)
        stddev = rows.matrix(batch, "stddev", self.split)
        nats = {name: rows.scalars(batch, name, self.split) for name in NATS}
        for name in NATS:
            self.means[name].add(nats[name])
        self.spread.add(codes)
        self.rates = self.rates + _summed_rates(codes, stddev)
        shown = {"codes": codes, "rate": nats["rate"], "distortion": nats["distortion"]}
        if "label" in batch.schema.names:
            labels = batch.column("label").fill_null("").to_pylist()
            shown["label"] = np.array(labels, dtype=object)
        self.sampler.add(batch.column("id").to_pylist(), shown)


def pass_over(root: Path, split: str, *, seed: int) -> CodesPass:
    """Reads a split's codes once and measures them.

    Args:
        root: folder of the Embeddings artifact.
        split: a split with at least one example.
        seed: seed of the intervals.

    Raises:
        InputError: if a value is not finite.
    """
    columns = ("id", "embedding", "stddev", *NATS)
    if "label" in rows.columns(root, split, "embeddings"):
        columns = (*columns, "label")
    found = _Accumulators(split)
    for batch in rows.stream(root, split, "embeddings", columns):
        found.add(batch)
    return CodesPass(metrics=_metrics(found, seed), sample=_sample(found))


def _metrics(found: _Accumulators, seed: int) -> tuple[Metric, ...]:
    count = found.spread.count
    nats = [
        Metric(
            name=name,
            representation="encoder",
            value=mean.value,
            unit="nats",
            interval=mean.interval(np.random.default_rng(seed)),
            split=found.split,
            count=count,
            seeds=1,
            note="interval: bootstrap",
        )
        for name, mean in found.means.items()
    ]
    active = Metric(
        name="active_units",
        representation="encoder",
        value=active_units(found.spread.variance),
        unit="count",
        interval=None,
        split=found.split,
        count=count,
        seeds=1,
        note=f"of {len(found.spread.variance)}: variance above 0.01",
    )
    return (*nats, active)


def _sample(found: _Accumulators) -> Sample:
    columns = found.sampler.columns
    return Sample(
        split=found.split,
        total=found.spread.count,
        codes=columns["codes"],
        rate=columns["rate"],
        distortion=columns["distortion"],
        labels=list(columns["label"]) if "label" in columns else None,
        variance=found.spread.variance,
        rates=_rates(found),
    )


def _summed_rates(codes: np.ndarray, stddev: np.ndarray) -> np.ndarray | float:
    """Returns the rates of every dimension against the standard normal, summed over the batch."""
    if not (stddev > 0).all():
        return np.full(codes.shape[1], np.nan)
    return standard_normal_rate(codes.astype(np.float64), stddev.astype(np.float64)).sum(axis=0)


def _rates(found: _Accumulators) -> np.ndarray | None:
    """Returns the mean rate of every dimension if they add up to the measured rate.

    They do where the posterior is a diagonal normal and the prior the standard normal; files do not
    name the prior, but under any other one the sum differs.
    """
    rates = np.asarray(found.rates) / found.spread.count
    return rates if np.isclose(rates.sum(), found.means["rate"].value, rtol=0.01, atol=1e-3) else None
