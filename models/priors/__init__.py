"""Priors: distributions over codes, `() -> tfd.Distribution`."""

from models.priors.base import Prior
from models.priors.mixture import GaussianMixture
from models.priors.normal import StandardLogNormal, StandardNormal

__all__ = ["GaussianMixture", "Prior", "StandardLogNormal", "StandardNormal"]
