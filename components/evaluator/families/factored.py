"""Codes of examples whose ground-truth factors are known: what scores of disentanglement are taken of."""

import functools
from dataclasses import dataclass

import numpy as np

from components.metrics.dci import Dci, dci_histogram


@dataclass(frozen=True, eq=False)
class Factored:
    """Codes with the factors of their examples.

    Args:
        codes: [count, latent].
        factors: class indices, [count, factors].
        seed: of everything that a score draws.
        stddev: standard deviations of diagonal normal posteriors around the codes, [count, latent]; None where the
            posteriors are something else.
    """

    codes: np.ndarray
    factors: np.ndarray
    seed: int | tuple[int, ...]
    stddev: np.ndarray | None = None

    @property
    def rng(self) -> np.random.Generator:
        """A new source of draws, the same for every score."""
        return np.random.default_rng(self.seed)

    @property
    def parts(self) -> dict[str, int]:
        """Two thirds to learn from, a third to score on, as the published 10,000 and 5,000 are."""
        test = len(self.codes) // 3
        return {"train": len(self.codes) - test, "test": test}

    @functools.cached_property
    def dci(self) -> Dci:
        """DCI by trees on histograms, which both scores and the matrix of importance are of.

        Raises:
            UndefinedError: as `dci_histogram` does.
        """
        return dci_histogram(self.codes, self.factors, self.rng, **self.parts)

    def some(self, most: int) -> "Factored":
        """Returns the first examples: they come in the order of their ids' hashes, so these are drawn at random."""
        return self._take(np.arange(min(most, len(self.codes))), self.seed)

    def halves(self, count: int) -> list["Factored"]:
        """Returns so many random halves of the examples."""
        seeds = [(*np.atleast_1d(self.seed).tolist(), draw) for draw in range(count)]
        kept = len(self.codes) // 2
        return [self._take(np.random.default_rng(s).permutation(len(self.codes))[:kept], s) for s in seeds]

    def _take(self, rows: np.ndarray, seed: int | tuple[int, ...]) -> "Factored":
        stddev = None if self.stddev is None else self.stddev[rows]
        return Factored(self.codes[rows], self.factors[rows], seed, stddev)
