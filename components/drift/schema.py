"""The versioned drift.json: what a comparison of live embeddings with the evaluation's found."""

from pathlib import Path
from typing import Any, Literal

from pydantic import FiniteFloat, TypeAdapter
from pydantic.dataclasses import dataclass

from components.records import read_record
from models.atomic import write_whole

VERSION = 1
DRIFT_FILE = "drift.json"

What = Literal["codes", "dimensions", "rate"]


@dataclass(frozen=True)
class Side:
    """One of the two samples.

    Args:
        place: the file or folder it is from.
        total: number of examples there.
        sampled: number of examples that were looked at.
        nonfinite: number of examples left out because their code or rate is not finite.
    """

    place: str
    total: int
    sampled: int
    nonfinite: int


@dataclass(frozen=True)
class Kernel:
    """The test of whole codes.

    Args:
        mmd2: unbiased estimate of MMD^2, in units of the kernel.
        lengthscale: median distance of two codes of both samples.
        permutations: number of permutations behind the p-value.
        p_value: of the permutation test.
    """

    mmd2: FiniteFloat
    lengthscale: FiniteFloat
    permutations: int
    p_value: FiniteFloat


@dataclass(frozen=True)
class Dimension:
    """The test of one dimension of the codes.

    Args:
        statistic: Kolmogorov-Smirnov statistic, 0 to 1.
        p_value: adjusted for the number of dimensions (Holm).
        drifted: whether it counts as drift.
    """

    statistic: FiniteFloat
    p_value: FiniteFloat
    drifted: bool


@dataclass(frozen=True)
class Rate:
    """The test of the mean rate.

    Args:
        reference: mean rate of the reference in nats.
        live: mean rate of the live examples in nats.
        shift: their difference in nats.
        interval: 95 % interval of the shift.
        p_value: of Welch's test.
        surprising: share of the live examples whose rate exceeds the reference's 99th percentile; 0.01 is usual.
    """

    reference: FiniteFloat
    live: FiniteFloat
    shift: FiniteFloat
    interval: tuple[FiniteFloat, FiniteFloat]
    p_value: FiniteFloat
    surprising: FiniteFloat


@dataclass(frozen=True)
class Drift:
    """A comparison and its verdict.

    Args:
        schema: version of this format.
        space: id of the embedding space.
        when: when it was made, ISO 8601.
        reference: the evaluation's embeddings.
        live: the live embeddings.
        alpha: probability of a false alarm of the whole comparison.
        level: each test's share of it: what its p-value is compared with.
        kernel: the test of whole codes.
        dimensions: the test of each dimension.
        rate: the test of the mean rate; None where one of the samples has no rates, or few.
        drifted: in what there is drift; empty where there is none.
    """

    schema: Literal[1]
    space: str
    when: str
    reference: Side
    live: Side
    alpha: FiniteFloat
    level: FiniteFloat
    kernel: Kernel
    dimensions: tuple[Dimension, ...]
    rate: Rate | None
    drifted: tuple[What, ...]


_ADAPTER = TypeAdapter(Drift)


def write_drift(drift: Drift, folder: Path) -> Path:
    """Writes `drift.json` into a folder, all of it or nothing, and returns its path."""
    return write_whole(folder / DRIFT_FILE, _ADAPTER.dump_json(drift, indent=2))


def read_drift(path: Path) -> Drift:
    """Reads and validates a `drift.json`.

    Raises:
        InputError: if there is no such file, or it is not a valid record of this version.
    """
    return read_record(_ADAPTER, path, missing="Check the path.", again="Run `metaprior monitor` again.")


def plain(drift: Drift) -> dict[str, Any]:
    """Returns a comparison in plain values, as `drift.json` holds them."""
    return _ADAPTER.dump_python(drift, mode="json")
