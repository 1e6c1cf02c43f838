"""Which points no other one beats, and where their curve bends."""

import numpy as np

KNEE = "the point of the rate-distortion Pareto set farthest below the chord of its ends, on axes scaled from 0 to 1"


def pareto(costs: np.ndarray) -> np.ndarray:
    """Returns which rows no other row dominates.

        a dominates b  <=>  a_i <= b_i for all i and a_i < b_i for some i

    Args:
        costs: [points, axes], lower is better on each axis.

    Returns:
        Booleans [points]; of equal rows all or none are in the set.
    """
    lower = (costs[:, None] <= costs[None]).all(-1) & (costs[:, None] < costs[None]).any(-1)
    return np.logical_not(lower.any(axis=0))


def knee(rate: np.ndarray, distortion: np.ndarray) -> tuple[int, float] | None:
    """Returns the knee of a falling curve: its index and its distance to the chord.

        d = (1 - x - y) / sqrt(2),  x, y = rate, distortion scaled from 0 to 1

    Args:
        rate: [points], a Pareto set's, in any order.
        distortion: [points], likewise.

    Returns:
        None where there are fewer than three points, or none lies below the chord.

    Reference:
        Satopaa et al., "Finding a 'Kneedle' in a Haystack: Detecting Knee Points in System Behavior" (2011),
        section III, without its smoothing.
    """
    if len(rate) < 3 or np.ptp(rate) == 0 or np.ptp(distortion) == 0:
        return None
    x, y = ((values - values.min()) / np.ptp(values) for values in (rate, distortion))
    distances = (1 - x - y) / np.sqrt(2)
    best = int(np.argmax(distances))
    return (best, float(distances[best])) if distances[best] > 1e-9 else None
