"""Disentanglement metrics: speed and values, beside disentanglement_lib's on the same arrays.

    python -m benchmarks.metrics [--rounds 5] [--dci 2000] [--no-peer]

10,000 codes of 10 dimensions and 5 factors in which every combination of factors stands equally often; metrics
that split have 10,000 to fit and 5,000 to score. The codes are imperfect: factors are mixed and noisy. One core
for each side, runs alternate; printed are medians over the rounds of CPU time and of its ratio, with the range.
Votes are drawn anew in every round, by both sides, so their values are compared by the mean over rounds.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.peers.environment import Peer, Unavailable, process
from components.metrics.correlation import correlation
from components.metrics.dci import dci_gbt, dci_histogram, dci_lasso
from components.metrics.disentanglement import mig, modularity
from components.metrics.explicitness import explicitness
from components.metrics.irs import irs
from components.metrics.sap import sap, sap_continuous
from components.metrics.table import split, table
from components.metrics.udr import udr
from components.metrics.votes import beta_vae_score, factor_vae_score

SIZES, LATENT, TRAIN, TEST = (2, 4, 5, 5, 5), 10, 10_000, 5_000
PEER = "disentanglement_lib"
GBT, DRAWN = "DCI by boosted trees", ("BetaVAE score", "FactorVAE score")

Codes = tuple[np.ndarray, np.ndarray]
Metric = Callable[[Codes, Codes, int], float]


def summed(codes: Codes) -> float:
    found = correlation(codes[0])
    return found.total_correlation + found.wasserstein + (found.mutual_information or 0.0)


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


# Of (10,000 examples, all examples, seed): the whole table is for those that split it, as the seed says.
BOTH: dict[str, Metric] = {
    "BetaVAE score": lambda some, whole, seed: beta_vae_score(*some, generator(seed)),
    "FactorVAE score": lambda some, whole, seed: factor_vae_score(*some, generator(seed)),
    "MIG": lambda some, whole, seed: mig(*some),
    "modularity": lambda some, whole, seed: modularity(*some),
    "explicitness": lambda some, whole, seed: explicitness(*whole, generator(seed)).score,
    "SAP": lambda some, whole, seed: sap(*whole, generator(seed)).score,
    "SAP, squared correlation": lambda some, whole, seed: sap_continuous(*some).score,
    "IRS": lambda some, whole, seed: irs(*some).score,
    "without labels": lambda some, whole, seed: summed(some),
}
OURS: dict[str, Metric] = {
    "DCI by lasso": lambda some, whole, seed: dci_lasso(*whole, generator(seed)).disentanglement,
    "DCI by histograms": lambda some, whole, seed: dci_histogram(*whole, generator(seed)).disentanglement,
    "UDR, 5 models": lambda some, whole, seed: float(udr(models(some[0]), [np.ones(LATENT)] * 5).scores.mean()),
}


def arrays(seed: int = 0) -> Codes:
    """Returns codes and factors: the grid of factors over and over, each time with other noise."""
    rng = generator(seed)
    grid = np.stack([axis.ravel() for axis in np.indices(SIZES)], axis=1)
    factors = np.tile(grid, ((TRAIN + TEST) // len(grid), 1))
    mixing = rng.normal(size=(len(SIZES), LATENT)) * (rng.random((len(SIZES), LATENT)) < 0.5)
    codes = (factors - factors.mean(axis=0)) / factors.std(axis=0) @ mixing
    return (codes + rng.normal(size=codes.shape)) * np.exp(rng.normal(size=LATENT) / 2), factors


def models(codes: np.ndarray) -> list[np.ndarray]:
    return [codes @ generator(seed).normal(size=(LATENT, LATENT)) for seed in range(5)]


def timed(metric: Metric, some: Codes, whole: Codes, seed: int) -> tuple[float, float]:
    """Returns the value and CPU seconds."""
    start = time.process_time()
    value = metric(some, whole, seed)
    return value, time.process_time() - start


def hand_over(other: Peer, some: Codes, whole: Codes, seed: int, sizes: tuple[int, int]) -> None:
    """Gives the other side the same arrays, split as the seed splits them here."""
    parts = split(table(*whole), *sizes, generator(seed))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "arrays.npz"
        names = {"train": parts.train, "test": parts.test}
        split_up = {f"{name}_codes": part.codes for name, part in names.items()}
        split_up |= {f"{name}_factors": part.values for name, part in names.items()}
        np.savez(file, codes=some[0], factors=some[1], **split_up)
        other.ask({"arrays": str(file)})


def compare(other: Peer | None, rounds: int) -> None:
    """Measures every metric and prints a line for each, and what they cost together."""
    whole = arrays()
    some = whole[0][:TRAIN], whole[1][:TRAIN]
    ours: dict[str, list] = {name: [] for name in BOTH | OURS}
    theirs: dict[str, list] = {name: [] for name in BOTH}
    for seed in range(1 + rounds):  # the first warms up
        if other:
            hand_over(other, some, whole, seed, (TRAIN, TEST))
        for name, metric in (BOTH | OURS).items():
            ours[name].append(timed(metric, some, whole, seed))
            if other and name in BOTH:
                found = other.ask({"run": name, "seed": seed})
                theirs[name].append((found["value"], found["cpu"]))
    total = sum(np.median(np.array(each)[1:, 1]) for each in ours.values())
    for name, each in ours.items():
        report(name, np.array(each)[1:], np.array(theirs.get(name, []))[1:])
    print(f"all of the above: {total:.2f} s", flush=True)


def compare_boosting(other: Peer | None, count: int) -> None:
    """Measures DCI by boosted trees once, on `count` examples to fit and half as many to score."""
    whole = arrays()
    rows = generator(0).permutation(len(whole[0]))[: count + count // 2]
    few, sizes = (whole[0][rows], whole[1][rows]), (count, count // 2)

    def metric(some: Codes, whole: Codes, seed: int) -> float:
        return dci_gbt(*whole, generator(seed), train=sizes[0], test=sizes[1]).disentanglement

    ours, theirs = [timed(metric, few, few, 0)], []
    if other:
        hand_over(other, few, few, 0, sizes)
        found = other.ask({"run": GBT, "seed": 0})
        theirs = [(found["value"], found["cpu"])]
    report(f"{GBT}, {count:,}", np.array(ours), np.array(theirs))


def report(name: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    """Prints the medians, the ratio and the values of one metric: [rounds, value and seconds] for each side."""
    line = f"{name:28} {np.median(ours[:, 1]) * 1000:8,.1f} ms"
    if len(theirs):
        ratios = theirs[:, 1] / ours[:, 1]
        values = f"{ours[:, 0].mean():.6f} and {theirs[:, 0].mean():.6f}, differ by {gap(name, ours, theirs)}"
        line += f", {np.median(ratios):6.1f} x [{ratios.min():.1f}-{ratios.max():.1f}]; values {values}"
    print(line, flush=True)


def gap(name: str, ours: np.ndarray, theirs: np.ndarray) -> str:
    """How far the values are apart: at most, or on average with the standard error where both draw for themselves."""
    difference = ours[:, 0] - theirs[:, 0]
    if name in DRAWN and len(difference) > 1:
        return f"{difference.mean():+.4f} +- {difference.std(ddof=1) / np.sqrt(len(difference)):.4f}"
    return f"{np.abs(difference).max():.1e} at most"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dci", type=int, default=2000, help="examples for DCI by boosted trees, 0 leaves it out")
    parser.add_argument("--no-peer", action="store_true", help="leave disentanglement_lib out")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])  # the other process inherits it
    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(1))
        other = None
        if not arguments.no_peer:
            try:
                other = Peer(PEER, stack.enter_context(process(PEER)))
            except Unavailable as error:
                print(f"{error} The comparison is left out.", flush=True)
        compare(other, arguments.rounds)
        if arguments.dci:
            compare_boosting(other, arguments.dci)


if __name__ == "__main__":
    main()
