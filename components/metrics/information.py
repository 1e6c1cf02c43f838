"""Mutual information of binned codes and factors: the matrix that MIG and modularity read."""

import numpy as np

BINS = 20


def binned(codes: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Index of the bin of each code, bins of equal width from the least to the greatest code of a dimension.

    The same as `np.digitize(code, np.histogram(code, bins)[1][:-1]) - 1` for each dimension.

    Args:
        codes: [count, latent], finite, float64.
        bins: bins of each dimension.

    Returns:
        From 0 to bins - 1, [count, latent].
    """
    columns = np.ascontiguousarray(codes.T)  # all that follows runs along dimensions
    low, high = columns.min(axis=1), columns.max(axis=1)
    flat = low == high
    low, high = np.where(flat, low - 0.5, low), np.where(flat, high + 0.5, high)
    edges = np.linspace(low, high, bins + 1).T  # [latent, bins + 1]
    scale = bins / (high - low)
    edges[:, -1] = np.inf  # the last bin has its upper edge
    places = ((columns - low[:, None]) * scale[:, None]).astype(np.int64)
    np.minimum(places, bins - 1, out=places)
    for column, place, edge in zip(columns, places, edges, strict=True):
        # The quotient can be one bin off where a code is within rounding of an edge.
        place -= column < edge.take(place)
        place += column >= edge.take(place + 1)
    return places.T


def information(codes: np.ndarray, bins: int, values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """I(code j; value k) = H(code j) + H(value k) - H(code j, value k) of index arrays.

    Biased upward by about (bins - 1) (size - 1) / (2 count) nats.

    Args:
        codes: from 0 to bins - 1, [count, latent].
        bins: number of indices of each dimension.
        values: from 0 to size - 1, [count, factors].
        sizes: number of indices of each factor, [factors].

    Returns:
        Nats, [latent, factors].
    """
    latent = codes.shape[1]
    places = np.ascontiguousarray(codes.T) + bins * np.arange(latent)[:, None]
    matrix = np.empty((latent, len(sizes)))
    for k, size in enumerate(sizes):
        index = places * size
        index += values[:, k]
        joint = np.bincount(index.ravel(), minlength=latent * bins * size).reshape(latent, bins, size)
        code, value = joint.sum(axis=2), joint.sum(axis=1)
        matrix[:, k] = _entropy(code) + _entropy(value) - _entropy(joint.reshape(latent, -1))
    # A difference of entropies can be a rounding error below zero.
    return np.maximum(matrix, 0.0)


def entropies(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """H(value k) of index arrays.

    Args:
        values: from 0 to size - 1, [count, factors].
        sizes: number of indices of each factor, [factors].

    Returns:
        Nats, [factors].
    """
    return np.array([_entropy(np.bincount(value, minlength=size)) for value, size in zip(values.T, sizes, strict=True)])


def _entropy(counts: np.ndarray) -> np.ndarray:
    """H of the shares that counts are of their sum, nats, over the last axis."""
    total = counts.sum(axis=-1)
    logs = np.log(np.maximum(counts, 1))  # 0 log 0 = 0
    return np.log(total) - (counts * logs).sum(axis=-1) / total
