"""Which examples get a label: stratified draws, the same ones for every representation."""

import numpy as np

from components.metrics.targets import LEAST_NUMBERS, Kind, Targets
from components.metrics.undefined import UndefinedError


def draw(targets: Targets, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draws `size` rows of the training part: stratified for classes, any for other targets.

    Args:
        targets: what there is to predict.
        size: number of examples to draw.
        rng: source of the draw.

    Returns:
        Indices into `targets.train`, [size], without repetition.

    Raises:
        UndefinedError: if so many cannot be drawn.
    """
    reason = omission(targets.train, size, kind=targets.kind)
    if reason:
        raise UndefinedError(reason)
    if targets.kind == "classification":
        return stratified(targets.train, size, rng)
    return rng.choice(len(targets.train), size, replace=False)


def stratified(labels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draws `size` examples so that every class has its share, and at least one example.

    Shares are proportional to the classes' frequencies, by largest remainders.

    Args:
        labels: class index of every example, [examples].
        size: number of examples to draw, between the number of classes and the number of examples.
        rng: source of the draw.

    Returns:
        Indices into `labels`, [size], without repetition.

    Raises:
        ValueError: if `size` is out of range.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    if not len(classes) <= size <= len(labels):
        raise ValueError(
            f"`size` must be between the number of classes ({len(classes)}) and of examples ({len(labels)}). "
            f"Received: size={size}."
        )
    quotas = _quotas(sizes, size)
    picks = [
        rng.choice(np.flatnonzero(labels == c), quota, replace=False) for c, quota in zip(classes, quotas, strict=True)
    ]
    return np.concatenate(picks)


def _quotas(sizes: np.ndarray, size: int) -> np.ndarray:
    """Returns how many examples each class gives: its share rounded to a total of `size`, at least one."""
    ideal = sizes * (size / sizes.sum())
    quotas = np.maximum(np.floor(ideal).astype(int), 1)
    while quotas.sum() != size:
        # One at a time, to or from the class whose quota is furthest from its share.
        gap = ideal - quotas
        if quotas.sum() < size:
            quotas[np.argmax(np.where(quotas < sizes, gap, -np.inf))] += 1
        else:
            quotas[np.argmin(np.where(quotas > 1, gap, np.inf))] -= 1
    return quotas


def omission(labels: np.ndarray, budget: int | str, *, kind: Kind = "classification") -> str | None:
    """Returns why a label budget cannot be drawn from these training labels, None if it can."""
    if budget == "all":
        return None
    if int(budget) > len(labels):
        return f"only {len(labels):,} labelled training examples"
    if kind == "regression" and int(budget) < LEAST_NUMBERS:
        return f"{budget} labels are fewer than the {LEAST_NUMBERS} that numbers take"
    if kind == "classification" and int(budget) < (classes := len(np.unique(labels))):
        return f"{budget} labels are fewer than the {classes} classes"
    return None
