"""How codes, and what is read from them, move when the input is a little noisy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from components.metrics.intervals import Estimate, mean_estimate
from components.metrics.probes import PROBES, Codes, Reading
from components.metrics.scores import outcomes
from components.metrics.targets import Targets
from components.metrics.undefined import UndefinedError

PAIRS = 10_000


@dataclass(frozen=True)
class Robustness:
    """What noise of one level does.

    Args:
        level: noise level, in the caller's units.
        displacement: mean distance from the clean to the noisy code over the mean distance between the clean
            codes of two random examples.
        agreement: share of examples whose k-NN prediction is the same from the clean and the noisy code; None
            without targets and for numbers.
        drop: score of a probe that was trained on clean codes, on clean test codes minus on noisy ones: accuracy,
            accuracy on all of several labels at once, or R^2; None without targets.
        outcomes: by the names above, what each of these is the mean of, [examples].
    """

    level: float
    displacement: Estimate
    agreement: Estimate | None
    drop: Estimate | None
    outcomes: Mapping[str, np.ndarray] = field(repr=False)


def displacement(clean: np.ndarray, noisy: np.ndarray, *, seed: int) -> Estimate:
    """Relative code displacement: mean ||z(x + e) - z(x)|| / mean ||z(x) - z(x')||.

    Does not change under rotations, shifts and scalings of the code space. The interval is bootstrapped over
    examples; the denominator, from at most 10,000 random pairs, is taken as exact.

    Args:
        clean: codes of the inputs, [examples, width].
        noisy: codes of the same inputs with noise, [examples, width].
        seed: seed of the pairs and of the bootstrap.

    Returns:
        From 0; 1 if noise moves a code as far as another example is away.

    Raises:
        UndefinedError: if codes are not finite, or all clean ones are the same.
    """
    return mean_estimate(_moved(clean, noisy, seed), seed=seed)


def robustness(
    clean: Codes, noisy: Mapping[float, np.ndarray], targets: Targets | None, *, probe: str = "linear", seed: int
) -> tuple[Robustness, ...]:
    """Measures every noise level against the clean codes of the same test examples.

    Args:
        clean: codes without noise.
        noisy: by noise level, codes of the test part with noise, [test examples, width].
        targets: what probes predict; None leaves displacement only.
        probe: name of the probe whose score may drop.
        seed: seed of pairs, probe and bootstrap.

    Returns:
        One per level, in the order of `noisy`.

    Raises:
        UndefinedError: if codes are not finite, all clean ones are the same, or the targets do not vary.
    """
    moved = {level: _moved(clean.test, codes, seed) for level, codes in noisy.items()}
    if targets is None:
        return tuple(_robustness(level, {"displacement": each}, seed) for level, each in moved.items())
    targets.check()
    if not np.isfinite(clean.train).all():
        raise UndefinedError("some codes are not finite")
    read = read_all("knn", clean, noisy, targets, seed) if targets.kind != "regression" else []
    merits = [outcomes(reading, targets.test).merit for reading in read_all(probe, clean, noisy, targets, seed)]
    found = []
    for place, level in enumerate(noisy, start=1):
        each = {"displacement": moved[level], "drop": merits[0] - merits[place]}
        found.append(_robustness(level, each | ({"agreement": _same(read[0], read[place])} if read else {}), seed))
    return tuple(found)


def _robustness(level: float, outcomes: Mapping[str, np.ndarray], seed: int) -> Robustness:
    found = {name: mean_estimate(each, seed=seed) for name, each in outcomes.items()}
    return Robustness(level, found["displacement"], found.get("agreement"), found.get("drop"), outcomes)


def read_all(probe: str, codes: Codes, others: Mapping[Any, np.ndarray], targets: Targets, seed: int) -> list[Reading]:
    """Fits a probe to codes once, and reads their test part and then other codes of the same test examples.

    Args:
        probe: name of the probe.
        codes: what it is fitted to, and the first test part it reads.
        others: further test parts, each [test examples, width].
        targets: what it predicts.
        seed: seed of the probe.

    Returns:
        One reading for `codes.test`, then one for each of `others`, in their order.
    """
    shown = [codes.test, *others.values()]
    rows = np.arange(len(targets.train))
    how = PROBES[probe]
    prepared = how.prepare(Codes(codes.train, np.concatenate(shown)))
    reading = how.read(prepared, rows, targets.labels(rows), seed)
    parts = np.array_split(reading.predictions, len(shown))
    shares = [None] * len(shown) if reading.probabilities is None else np.array_split(reading.probabilities, len(shown))
    return [Reading(part, share, reading.variance) for part, share in zip(parts, shares, strict=True)]


def _same(clean: Reading, noisy: Reading) -> np.ndarray:
    """Whether each example is read the same, 0 or 1: [examples]."""
    same = clean.predictions == noisy.predictions
    return (same if same.ndim == 1 else same.all(axis=1)).astype(float)


def _moved(clean: np.ndarray, noisy: np.ndarray, seed: int) -> np.ndarray:
    """How far each code moves, as a share of the mean distance of two examples: [examples]."""
    if not (np.isfinite(clean).all() and np.isfinite(noisy).all()):
        raise UndefinedError("some codes are not finite")
    return np.linalg.norm(noisy - clean, axis=1) / _mean_distance(clean, seed)


def _mean_distance(codes: np.ndarray, seed: int) -> float:
    """Mean distance between two different examples, from at most 10,000 pairs."""
    rng, count = np.random.default_rng(seed), len(codes)
    if count < 2:
        raise UndefinedError("there are no two examples to take a distance between")
    first = rng.integers(count, size=PAIRS)
    second = (first + rng.integers(1, count, size=PAIRS)) % count
    apart = float(np.linalg.norm(codes[first] - codes[second], axis=1).mean())
    if apart == 0:
        raise UndefinedError("all codes are the same")
    return apart
