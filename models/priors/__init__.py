"""Priors: distributions over codes, `() -> tfd.Distribution`."""

from models.priors.base import Prior
from models.priors.normal import StandardNormal

__all__ = ["Prior", "StandardNormal"]
