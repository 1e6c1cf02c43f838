"""Terms: what a model is punished for, `(trace) -> [batch]` in nats per example."""

from models.terms.aggregate import (
    CorrelationBetweenGroups,
    CorrelationWithinGroups,
    DimensionWiseKL,
    MutualInformation,
    TotalCorrelation,
)
from models.terms.base import Term
from models.terms.clamp import GroupInvariance
from models.terms.critic import CriticTotalCorrelation, Leakage
from models.terms.divergence import KL, RateTarget
from models.terms.kernel import MMD, HSICBetweenGroups, HSICOfSensitive, MMDBetweenGroups
from models.terms.likelihood import LabelNegativeLogLikelihood, NegativeLogLikelihood
from models.terms.moments import DiagonalCovariance, OffDiagonalCovariance

__all__ = [
    "KL",
    "MMD",
    "CorrelationBetweenGroups",
    "CorrelationWithinGroups",
    "CriticTotalCorrelation",
    "DiagonalCovariance",
    "DimensionWiseKL",
    "GroupInvariance",
    "HSICBetweenGroups",
    "HSICOfSensitive",
    "LabelNegativeLogLikelihood",
    "Leakage",
    "MMDBetweenGroups",
    "MutualInformation",
    "NegativeLogLikelihood",
    "OffDiagonalCovariance",
    "RateTarget",
    "Term",
    "TotalCorrelation",
]
