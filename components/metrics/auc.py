"""Area under the ROC curve with DeLong's interval, for two classes, several classes and several labels."""

import numpy as np
import scipy.stats

from components.metrics.intervals import CONFIDENCE, Estimate
from components.metrics.undefined import UndefinedError


def macro_auc(scores: np.ndarray, positive: np.ndarray) -> Estimate:
    """Mean over columns of P(score of a positive > score of a negative) + P(equal) / 2.

    The interval is DeLong's: an AUC is a mean of every example's placement among the others, so it has a
    standard error in closed form, and so has a mean of several AUCs of the same examples.

    Args:
        scores: [examples, columns], such as probabilities of each class.
        positive: 0/1 [examples, columns]; columns of one value only are left out.

    Returns:
        From 0 to 1, 0.5 for scores that tell nothing.

    Raises:
        UndefinedError: if no column has both values.

    Reference:
        DeLong, DeLong, Clarke-Pearson, "Comparing the Areas under Two or More Correlated Receiver Operating
        Characteristic Curves" (1988).
    """
    positive = positive.astype(bool)
    both = positive.any(axis=0) & ~positive.all(axis=0)
    if not both.any():
        raise UndefinedError("every class is on all or on none of the test examples")
    placed = [_placements(column, ones) for column, ones in zip(scores.T[both], positive.T[both], strict=True)]
    value = float(np.mean([area for area, _ in placed]))
    influence = sum(influence for _, influence in placed) / len(placed)
    reach = float(scipy.stats.norm.ppf((1 + CONFIDENCE) / 2) * np.std(influence) / np.sqrt(len(scores)))
    return Estimate(value, (max(value - reach, 0.0), min(value + reach, 1.0)))


def _placements(scores: np.ndarray, positive: np.ndarray) -> tuple[float, np.ndarray]:
    """Returns the AUC of one column and how much every example moves it (its influence function), [examples]."""
    ranks, within = scipy.stats.rankdata(scores), np.empty(len(scores))
    for side in (positive, ~positive):
        within[side] = scipy.stats.rankdata(scores[side])
    ones, zeros = positive.sum(), (~positive).sum()
    below = ranks - within  # examples of the other side below this one, ties counted half
    placements = np.where(positive, below / zeros, 1 - below / ones)
    area = float(placements[positive].mean())
    return area, (placements - area) * np.where(positive, len(scores) / ones, len(scores) / zeros)


def class_auc(probabilities: np.ndarray, labels: np.ndarray) -> Estimate:
    """Returns the AUC of two classes, or the mean of one against the rest over all classes the labels name.

    Args:
        probabilities: [examples, classes].
        labels: class indices, [examples].

    Raises:
        UndefinedError: if all labels are the same.
    """
    classes = [1] if probabilities.shape[1] == 2 else np.unique(labels)
    return macro_auc(probabilities[:, classes], labels[:, None] == classes)


def label_auc(probabilities: np.ndarray, labels: np.ndarray) -> Estimate:
    """Returns the mean AUC of several labels.

    Args:
        probabilities: of a 1, [examples, columns].
        labels: 0/1, [examples, columns].

    Raises:
        UndefinedError: if no column has both values.
    """
    return macro_auc(probabilities, labels)
