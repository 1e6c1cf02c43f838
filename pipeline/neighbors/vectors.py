"""Codes as an index takes them: Euclidean distance among them orders as the metric does."""

import numpy as np

from pipeline.neighbors.record import Metric


def scaled(codes: np.ndarray, metric: Metric) -> np.ndarray:
    """Returns codes [n, latent] as they are, or of length one for the cosine.

    |u - v|^2 = 2 (1 - cos(u, v)) for u and v of length one
    """
    return codes if metric == "euclidean" else codes / np.linalg.norm(codes, axis=1, keepdims=True)


def distances(to: np.ndarray, of: np.ndarray, metric: Metric) -> np.ndarray:
    """Returns the distances, [n, k], of scaled codes [n, k, latent] to scaled codes [n, latent], in float64.

    Euclidean distance, or the cosine's 1 - cos(u, v), 0 to 2.
    """
    squared = np.square(to.astype(np.float64) - of.astype(np.float64)[:, None, :]).sum(axis=2)
    return np.sqrt(squared) if metric == "euclidean" else squared / 2.0


def fault(codes: np.ndarray, metric: Metric) -> tuple[int, str] | None:
    """Returns the first row of codes that has no place in an index, and why; None where all have one."""
    broken = ~np.isfinite(codes).all(axis=1)
    if broken.any():
        return int(np.argmax(broken)), "is not finite: leave it out"
    without = ~codes.any(axis=1)
    if metric == "cosine" and without.any():
        return int(np.argmax(without)), "is all zeros and has no direction: leave it out, or use --metric euclidean"
    return None
