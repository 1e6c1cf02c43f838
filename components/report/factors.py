"""How much each dimension of a code says of each ground-truth factor."""

from dataclasses import dataclass

import numpy as np

from components.evaluator.schema import Evaluation

MOST = 40
STRONG = 0.55
"""The share of the largest importance from which a cell's ground is too dark for dark figures."""


@dataclass(frozen=True)
class Importance:
    """One dimension's importance for one factor.

    Args:
        text: percent of all importance, as in "12.3".
        level: share of the largest importance in percent, 0 to 100, for the color.
        strong: whether the color is so strong that figures on it need the other ink.
    """

    text: str
    level: int
    strong: bool


@dataclass(frozen=True)
class Heatmap:
    """A matrix of importance.

    Args:
        factors: its columns.
        rows: dimension, and a cell per factor; in the order of the code.
        left_out: number of dimensions that say less than those shown.
        main: per factor, the dimension that says most of it, and the share of the factor's importance it has, percent.
    """

    factors: tuple[str, ...]
    rows: tuple[tuple[int, tuple[Importance, ...]], ...]
    left_out: int
    main: tuple[tuple[str, int, str], ...]


def heatmap(evaluation: Evaluation) -> Heatmap | None:
    """Returns the importance of dimensions for factors, None where there are no factors.

    Of codes with more than 40 dimensions those 40 that say most are shown.
    """
    if not evaluation.importance:
        return None
    matrix = np.array(evaluation.importance)
    factors = evaluation.data.factors
    kept = np.sort(np.argsort(-matrix.sum(axis=1), kind="stable")[:MOST])
    largest = matrix.max()
    rows = tuple((int(place), tuple(_cell(value, largest) for value in matrix[place])) for place in kept)
    main = tuple(_main(name, matrix[:, place]) for place, name in enumerate(factors))
    return Heatmap(factors, rows, left_out=len(matrix) - len(kept), main=main)


def _cell(value: float, largest: float) -> Importance:
    level = value / largest
    return Importance(text=f"{100 * value:.1f}", level=round(100 * level), strong=level >= STRONG)


def _main(name: str, column: np.ndarray) -> tuple[str, int, str]:
    total = column.sum()
    share = column.max() / total if total > 0 else 0.0
    return name, int(column.argmax()), f"{share:.0%}"
