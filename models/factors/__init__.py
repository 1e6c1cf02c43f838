"""Factors: conditional distributions, `(inputs) -> tfd.Distribution`."""

from models.factors.base import Factor
from models.factors.conditional import Clamped, Conditional, Decoder
from models.factors.deterministic import Deterministic
from models.factors.labels import LabelLikelihood, Labels
from models.factors.likelihoods import Bernoulli, Gaussian
from models.factors.multiplicative import LogNormal
from models.factors.normal import DiagonalNormal, SoftplusNormal
from models.factors.scales import FixedScale, LearnedScale, Scale
from models.factors.tabular import Tabular, TabularLikelihood

__all__ = [
    "Bernoulli",
    "Clamped",
    "Conditional",
    "Decoder",
    "Deterministic",
    "DiagonalNormal",
    "Factor",
    "FixedScale",
    "Gaussian",
    "LabelLikelihood",
    "Labels",
    "LearnedScale",
    "LogNormal",
    "Scale",
    "SoftplusNormal",
    "Tabular",
    "TabularLikelihood",
]
