"""How badly the code explains the data."""

import tensorflow as tf

from models.terms.base import Term
from models.trace import Trace


class NegativeLogLikelihood(Term):
    """-log p(x|z), one sample of z per example: the distortion. Sum over the event, nats.

    Args:
        weight: a number, or a schedule of the training step.

    Reference:
        Kingma and Welling 2014, arXiv:1312.6114, Eq. 7, second part.
    """

    label = "nll"

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns the distortion, [batch]."""
        return trace.distortion
