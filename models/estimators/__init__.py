"""Estimators of information quantities: pure functions of samples and distributions."""

from models.estimators.divergence import kl

__all__ = ["kl"]
