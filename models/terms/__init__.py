"""Terms: what a model is punished for, `(trace) -> [batch]` in nats per example."""

from models.terms.base import Term
from models.terms.divergence import KL
from models.terms.likelihood import NegativeLogLikelihood

__all__ = ["KL", "NegativeLogLikelihood", "Term"]
