"""Live embeddings against the evaluation's: whole codes, each dimension, and the rate."""

import datetime
from dataclasses import dataclass

import numpy as np
import scipy.stats

from components.drift.kernel_test import kernel_test
from components.drift.sample import Sample, draw
from components.drift.schema import VERSION, Dimension, Drift, Kernel, Rate, Side, What
from components.embedder.files import Embeddings
from components.metrics.paired import holm
from models.errors import InputError

FEWEST = 30
SURPRISING = 0.99


@dataclass(frozen=True)
class Settings:
    """How to compare.

    Args:
        sample: the most examples of each side.
        alpha: probability of a false alarm of the whole comparison, in (0, 1).
        permutations: of the kernel test; their p-value must be able to get below a third of alpha.
        seed: seed of the permutations.
        hours: how far back to look for live examples; None for all there are.

    Raises:
        InputError: if the permutations are too few for alpha.
    """

    sample: int = 1_000
    alpha: float = 0.01
    permutations: int = 499
    seed: int = 0
    hours: float | None = None

    def __post_init__(self):
        needed = int(3 / self.alpha)
        if self.permutations < needed:
            raise InputError(
                f"--permutations {self.permutations}: too few to find drift at --alpha {self.alpha:g}. "
                f"It takes {needed} or more."
            )


def compare(reference: Embeddings, live: Embeddings, settings: Settings, *, now: datetime.datetime) -> Drift:
    """Compares two sets of embeddings of one space.

    The kernel test, the dimensions (Kolmogorov-Smirnov, Holm) and the mean rate (Welch) have equal shares of alpha,
    so that all together raise a false alarm with probability alpha at most.

    Args:
        reference: the evaluation's embeddings.
        live: the live ones.
        settings: how to compare.
        now: the time, with its zone.

    Raises:
        InputError: if one of them holds too few examples.
    """
    since = None if settings.hours is None else now - datetime.timedelta(hours=settings.hours)
    usual, today = draw(reference, settings.sample), draw(live, settings.sample, since=since)
    _require_enough(usual, reference, "")
    _require_enough(today, live, "" if settings.hours is None else f" of the last {settings.hours:g} hours")
    rate = _rate(usual.rates, today.rates)
    level = settings.alpha / (3 if rate else 2)
    kernel = kernel_test(usual.codes, today.codes, permutations=settings.permutations, seed=settings.seed)
    dimensions = _dimensions(usual.codes, today.codes, level)
    found: dict[What, bool] = {
        "codes": kernel.p_value <= level,
        "dimensions": any(dimension.drifted for dimension in dimensions),
        "rate": rate is not None and rate.p_value <= level,
    }
    return Drift(
        schema=VERSION,
        space=live.space,
        when=now.isoformat(timespec="seconds"),
        reference=_side(usual, reference),
        live=_side(today, live),
        alpha=settings.alpha,
        level=level,
        kernel=Kernel(kernel.mmd2, kernel.lengthscale, settings.permutations, kernel.p_value),
        dimensions=dimensions,
        rate=rate,
        drifted=tuple(what for what, drifted in found.items() if drifted),
    )


def _require_enough(sample: Sample, embeddings: Embeddings, which: str) -> None:
    if len(sample.codes) >= FEWEST:
        return
    found = sample.total + sample.nonfinite
    if found >= FEWEST:
        raise InputError(
            f"{embeddings.place}: {sample.nonfinite} of {found} embeddings{which} of {embeddings.space} have a code or "
            f"a rate that is not finite, and it takes {FEWEST} that are. Check what this encoder was given, or look at "
            "another file."
        )
    raise InputError(
        f"{embeddings.place}: {sample.total} embeddings{which} of {embeddings.space} are too few to tell; it takes "
        f"{FEWEST}. Wait for more, or look at another file."
    )


def _dimensions(reference: np.ndarray, live: np.ndarray, level: float) -> tuple[Dimension, ...]:
    columns = zip(reference.T, live.T, strict=True)
    tests = [scipy.stats.ks_2samp(usual, today, method="asymp") for usual, today in columns]
    adjusted = holm([test.pvalue for test in tests])
    return tuple(
        Dimension(float(test.statistic), float(p_value), drifted=bool(p_value <= level))
        for test, p_value in zip(tests, adjusted, strict=True)
    )


def _rate(reference: np.ndarray | None, live: np.ndarray | None) -> Rate | None:
    if reference is None or live is None or min(len(reference), len(live)) < FEWEST:
        return None
    shift = float(live.mean() - reference.mean())
    p_value, interval = float(shift == 0), (shift, shift)
    if reference.std() or live.std():  # all rates of both alike have no spread to measure the shift by
        test = scipy.stats.ttest_ind(live, reference, equal_var=False)
        bounds = test.confidence_interval(0.95)
        p_value, interval = float(test.pvalue), (float(bounds.low), float(bounds.high))
    surprising = float(np.mean(live > np.quantile(reference, SURPRISING)))
    return Rate(float(reference.mean()), float(live.mean()), shift, interval, p_value, surprising)


def _side(sample: Sample, embeddings: Embeddings) -> Side:
    return Side(str(embeddings.place), sample.total, len(sample.codes), sample.nonfinite)
