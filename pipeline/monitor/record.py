"""What a comparison leaves behind: a JSON record, TensorBoard's scalars, and a file for Prometheus."""

import datetime
from pathlib import Path

import tensorflow as tf
from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from components.drift.schema import Drift, write_drift

BOARD_FOLDER = "tensorboard"
TEXTFILE = "metaprior_drift.prom"


def write(drift: Drift, folder: Path, *, textfile: Path | None = None) -> Path:
    """Writes all three.

    Args:
        drift: the comparison.
        folder: where the record and TensorBoard's files go.
        textfile: Prometheus's file; in the folder where None.

    Returns:
        The path of the JSON record.
    """
    values = _values(drift)
    # Before the record, by which the next look knows that this one was told: Prometheus's file may be anywhere.
    _textfile(values, drift, textfile or folder / TEXTFILE)
    path = write_drift(drift, folder)
    _board(values, folder / BOARD_FOLDER, step=int(datetime.datetime.fromisoformat(drift.when).timestamp()))
    return path


def _values(drift: Drift) -> dict[str, tuple[float, str]]:
    """Returns every number that is worth a curve, and what it is."""
    largest = max(drift.dimensions, key=lambda dimension: dimension.statistic)
    values = {
        "detected": (float(bool(drift.drifted)), "1 where there is drift."),
        "mmd2": (drift.kernel.mmd2, "MMD^2 of live codes and the evaluation's, in units of the kernel."),
        "mmd_p_value": (drift.kernel.p_value, "Of its permutation test."),
        "dimensions": (sum(d.drifted for d in drift.dimensions), "Number of dimensions of the code that moved."),
        "ks": (largest.statistic, "Largest Kolmogorov-Smirnov statistic of a dimension, 0 to 1."),
        "ks_p_value": (min(d.p_value for d in drift.dimensions), "Smallest of a dimension, adjusted by Holm."),
        "live_examples": (drift.live.total, "Live examples that the sample was drawn from."),
        "live_nonfinite": (drift.live.nonfinite, "Live examples whose code or rate is not finite."),
    }
    if drift.rate is not None:
        values |= {
            "rate_shift_nats": (drift.rate.shift, "Mean rate of live examples minus the evaluation's, nats."),
            "rate_p_value": (drift.rate.p_value, "Of Welch's test of the mean rate."),
            "surprising": (drift.rate.surprising, "Share of live examples beyond the evaluation's 99 % of rates."),
        }
    return values


def _board(values: dict[str, tuple[float, str]], folder: Path, *, step: int) -> None:
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(step=step):
        for name, (value, text) in values.items():
            tf.summary.scalar(f"drift/{name}", value, description=text)
    writer.close()


def _textfile(values: dict[str, tuple[float, str]], drift: Drift, path: Path) -> None:
    registry = CollectorRegistry()
    for name, (value, text) in values.items():
        Gauge(f"metaprior_drift_{name}", text, ["space"], registry=registry).labels(drift.space).set(value)
    when = datetime.datetime.fromisoformat(drift.when).timestamp()
    moment = Gauge("metaprior_drift_time_seconds", "When it was compared.", ["space"], registry=registry)
    moment.labels(drift.space).set(when)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(path), registry)
