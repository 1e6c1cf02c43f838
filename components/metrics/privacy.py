"""Whether a model gives away which examples it was trained on."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_curve

from components.metrics.auc import macro_auc
from components.metrics.intervals import RESAMPLES, Estimate, percentiles
from components.metrics.undefined import UndefinedError

LEAST = 20
"""Fewer examples of a part than this give no threshold worth measuring."""


@dataclass(frozen=True)
class Membership:
    """How well a per-example score tells training examples from others.

    Args:
        advantage: true positive rate minus false positive rate at `threshold`, on examples that did not choose it.
        auc: P(a member's score > another's) + P(equal) / 2, on all examples.
        threshold: examples that score at least this are taken for members.
        members: number of training examples.
        others: number of examples the model was not trained on.
    """

    advantage: Estimate
    auc: Estimate
    threshold: float
    members: int
    others: int


def membership(members: np.ndarray, others: np.ndarray, *, seed: int) -> Membership:
    """Membership-inference advantage: max over thresholds t of P(score >= t | member) - P(score >= t | other).

    The threshold is the best one on a random half of both parts; the advantage is measured on the other half,
    so that a model without a leak has 0 on average and may come out negative. Its interval is bootstrapped within
    the measured halves with the threshold held fixed; that of the AUC is DeLong's.

    Args:
        members: a score of every training example, such as the ELBO in nats; higher means more likely a member.
        others: the same score of examples the model was not trained on.
        seed: seed of the halves and of the bootstrap.

    Returns:
        Advantage from -1 to 1.

    Raises:
        UndefinedError: if a part has fewer than 20 examples, a score is not finite, or all are the same.

    Reference:
        Yeom et al., "Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting" (2018),
        definition 4.
    """
    for name, scores in (("training", members), ("test", others)):
        if len(scores) < LEAST:
            raise UndefinedError(f"the {name} part has {len(scores)} examples, fewer than {LEAST}")
        if not np.isfinite(scores).all():
            raise UndefinedError(f"the {name} part has scores that are not finite")
    both = np.concatenate([members, others])
    if (both == both[0]).all():
        raise UndefinedError("all examples have the same score")
    rng = np.random.default_rng(seed)
    (fit_members, held_members), (fit_others, held_others) = (
        np.array_split(rng.permutation(scores), 2) for scores in (members, others)
    )
    threshold = _best_threshold(fit_members, fit_others)
    is_member = np.concatenate([np.ones(len(members)), np.zeros(len(others))])
    return Membership(
        advantage=_advantage(held_members >= threshold, held_others >= threshold, rng),
        auc=macro_auc(both[:, None], is_member[:, None]),
        threshold=threshold,
        members=len(members),
        others=len(others),
    )


def _best_threshold(members: np.ndarray, others: np.ndarray) -> float:
    """Returns the threshold with the largest gap of rates; infinite if none is better than chance."""
    truth = np.concatenate([np.ones(len(members)), np.zeros(len(others))])
    false, true, thresholds = roc_curve(truth, np.concatenate([members, others]))
    return float(thresholds[np.argmax(true - false)])


def _advantage(members: np.ndarray, others: np.ndarray, rng: np.random.Generator) -> Estimate:
    """Difference of two rates; resampling 0/1 outcomes is drawing from a binomial distribution."""
    rates = [found.mean() for found in (members, others)]
    draws = [rng.binomial(len(x), p, RESAMPLES) / len(x) for x, p in zip((members, others), rates, strict=True)]
    return Estimate(float(rates[0] - rates[1]), percentiles(draws[0] - draws[1]))
