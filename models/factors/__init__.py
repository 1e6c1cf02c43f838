"""Factors: conditional distributions, `(inputs) -> tfd.Distribution`."""

from models.factors.base import Factor
from models.factors.likelihoods import Bernoulli, Gaussian
from models.factors.normal import DiagonalNormal
from models.factors.scales import FixedScale, LearnedScale, Scale
from models.factors.tabular import Tabular, TabularLikelihood

__all__ = [
    "Bernoulli",
    "DiagonalNormal",
    "Factor",
    "FixedScale",
    "Gaussian",
    "LearnedScale",
    "Scale",
    "Tabular",
    "TabularLikelihood",
]
